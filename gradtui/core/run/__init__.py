"""A watched training: what its records say, as values."""
