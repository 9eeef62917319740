"""Deltas: packages from which a client of one stack makes the next one, bit for bit."""
