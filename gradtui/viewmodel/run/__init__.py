"""What the screen shows of a watched training, as values."""
