"""Backups: originals of the files that a run removes or rewrites, and the way back to them."""
