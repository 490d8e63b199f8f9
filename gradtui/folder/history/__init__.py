"""The history of a watched run: segments of checked records, one folder for each rank."""
