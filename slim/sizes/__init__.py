"""Sizes measured, compared, and held to a budget."""
