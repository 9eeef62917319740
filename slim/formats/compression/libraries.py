"""Versions of the libraries that compress.

Besides the input, an archive's bytes depend on them alone: other versions of a library may compress
the same bytes to other bytes; Python's own version doesn't matter. So the name and version go into
the manifest.

Sources: lzma.h (``lzma_version_string``), bzlib.h (``BZ2_bzlibVersion``), dlsym(3): a symbol is
looked for in a library and in those that it needs.
"""

from __future__ import annotations

import ctypes
import functools

UNKNOWN = "version unknown"
"""Said where a library is built into Python and doesn't show its symbols; nothing is guessed."""


@functools.cache
def version_of(module: str, function: str) -> str:
    """Version that a C function without arguments gives, of the library behind a Python module."""
    extension = __import__(module)
    try:
        symbol = getattr(ctypes.CDLL(getattr(extension, "__file__", None)), function)
    except (OSError, AttributeError, TypeError):
        return UNKNOWN
    symbol.restype = ctypes.c_char_p
    text = symbol()
    return text.decode("ascii", "replace") if isinstance(text, bytes) else UNKNOWN
