"""Results that are taken from a cache instead of being made again: layers, whole runs, deltas."""
