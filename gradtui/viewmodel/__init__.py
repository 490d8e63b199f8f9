"""What to show, as values: rows, maps, links and short text. Nothing here draws."""
