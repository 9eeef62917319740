"""Paths that Python code puts together, as far as its text tells, and what it does with them."""
