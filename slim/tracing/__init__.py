"""Recordings of what a product uses: its runs in a copy of the stack, and what they tell."""
