"""Values to strips of terminal cells."""
