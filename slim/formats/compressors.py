"""Which compressor made an archive: the one thing besides the input that its bytes depend on.

Other versions of a library may compress the same bytes to other bytes; Python's own version doesn't
matter. So the name and version go into the manifest.

Sources: lzma.h (``lzma_version_string``), bzlib.h (``BZ2_bzlibVersion``), dlsym(3): a symbol is
looked for in a library and in those that it needs.
"""

from __future__ import annotations

import ctypes
import functools
import zlib

UNKNOWN = "version unknown"
"""Said where a library is built into Python and doesn't show its symbols. A version is never guessed."""


@functools.cache
def liblzma() -> str:
    """Such as ``liblzma 5.4.1``."""
    return f"liblzma {_version('_lzma', 'lzma_version_string')}"


@functools.cache
def libbz2() -> str:
    """Such as ``libbz2 1.0.8``; the library adds the date of its release, which is left out."""
    return f"libbz2 {_version('_bz2', 'BZ2_bzlibVersion').partition(',')[0]}"


def zlib_() -> str:
    """Such as ``zlib 1.3.1``, or ``zlib 1.3.1.zlib-ng``: what runs, not what Python was compiled with."""
    return f"zlib {zlib.ZLIB_RUNTIME_VERSION}"


def libzstd() -> str:
    """Such as ``libzstd 1.5.7``: the one inside the zstandard package."""
    import zstandard

    return f"libzstd {'.'.join(map(str, zstandard.ZSTD_VERSION))}"


def _version(module: str, function: str) -> str:
    """What a C function without arguments says, of the library behind one of Python's modules."""
    extension = __import__(module)
    try:
        symbol = getattr(ctypes.CDLL(getattr(extension, "__file__", None)), function)
    except (OSError, AttributeError, TypeError):
        return UNKNOWN
    symbol.restype = ctypes.c_char_p
    text = symbol()
    return text.decode("ascii", "replace") if isinstance(text, bytes) else UNKNOWN
