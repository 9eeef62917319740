"""Debug information that is kept for debuggers: what is collected, how it is named, and the cabinets it is packed in."""
