"""Golden tests: what slim says, word for word."""
