"""Make the Python layers of a venvstacks stack smaller, and prove that they still work."""

from __future__ import annotations

__version__ = "0.1.0"
__distribution__ = "venvstacks-slim"
"""Name of the distribution that this package belongs to: on PyPI, ``slim`` is somebody else's."""
