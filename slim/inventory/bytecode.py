"""Estimates how many bytes of ``.pyc`` the post-install step will compile from a source file.

Compiling for real would cost more time than everything else slim does, and would need the layer's
own interpreter. A linear model over counts of a few characters is within about 2% of the truth for
whole stacks (8% for the median file); ``bench/bytecode_estimate.py`` fits it again and prints how
far off it is on a deployed stack.
"""

from __future__ import annotations

_COUNTED: tuple[tuple[bytes, int], ...] = (
    (b"(", 19_587),
    (b".", 8_634),
    (b"=", 9_843),
    (b"[", 5_706),
    (b"\n", 246),
    (b"def ", 175_750),
    (b"class ", 114_536),
    (b":", 16_506),
    (b"#", -17_594),
    (b'"""', -21_699),
)
"""What is counted, and what each occurrence adds, in thousandths of a byte."""

_PER_BYTE = 447
_CONSTANT = 216_112
_SMALLEST = 130


def estimate(source: bytes) -> int:
    """Bytes of bytecode that CPython 3.11 to 3.14 will write for ``source``."""
    thousandths = _CONSTANT + _PER_BYTE * len(source)
    for needle, weight in _COUNTED:
        thousandths += weight * source.count(needle)
    return max(_SMALLEST, thousandths // 1000)
