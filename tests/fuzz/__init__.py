"""Every parser of slim against bytes that nobody wrote on purpose; see ``python -m tests.fuzz --help``."""
