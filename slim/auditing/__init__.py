"""``slim audit``: where the bytes of anything with Python in it are, and what could go. Reads, never writes."""
