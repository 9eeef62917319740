"""Debug information that is kept for debuggers: collected, named, and packed as they expect it."""
