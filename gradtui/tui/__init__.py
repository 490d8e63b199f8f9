"""The terminal application: the only room that knows Textual, rich and plotext."""
