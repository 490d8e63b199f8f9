"""A debug folder held in memory and kept current, and what the user's machine remembers of it."""
