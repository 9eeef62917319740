"""``slim audit``: sizes of anything with Python in it, and what could go. Reads, never writes."""
