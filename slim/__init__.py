"""slim makes the Python layers of a venvstacks stack smaller, and proves that they still work."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("slim")
except PackageNotFoundError:  # run from a checkout that was never installed
    __version__ = "0+unknown"
