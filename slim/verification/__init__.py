"""Proof that what is about to be published is what was planned, and that it still works."""
