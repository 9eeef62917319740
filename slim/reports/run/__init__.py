"""Reports of ``slim run`` and ``slim explain``."""
