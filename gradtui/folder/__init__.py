"""The debug folder on disk: the only room that knows a file name or a byte layout. ``FORMAT.md`` is normative."""
