"""Passes: each proposes removals or rewrites, none does anything."""
