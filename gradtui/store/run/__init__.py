"""A training run followed while it is written: its history held in memory, bounded, newest first."""
