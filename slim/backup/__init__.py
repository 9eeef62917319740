"""Nothing lost: originals of what a run removes or rewrites, and what debuggers need of stripped native files."""
