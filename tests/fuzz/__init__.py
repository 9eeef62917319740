"""Every parser of slim against random bytes; see ``python -m tests.fuzz --help``."""
