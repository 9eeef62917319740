"""Scripts that run as processes of their own; nothing imports them.

They need the standard library alone.
"""
