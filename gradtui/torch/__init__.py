"""The adapter that lives in the training or debug process, and writes the debug folder."""
