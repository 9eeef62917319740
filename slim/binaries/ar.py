"""Archives of object files: ``.a``, and the import libraries that Windows calls ``.lib``.

They are recognised, never edited.

Source: ar(5); "PE Format", section "Archive (Library) File Format".
"""

from __future__ import annotations

from slim.binaries.base import Buffer, ImageKind, NativeInfo
from slim.model.record import NativeFormat
from slim.model.stack import System

MAGIC = b"!<arch>\n"
THIN_MAGIC = b"!<thin>\n"


def describe_archive(view: Buffer) -> NativeInfo | None:
    """Describe an archive; its machine is unknown, because only its members would tell."""
    if bytes(view[:8]) not in (MAGIC, THIN_MAGIC):
        return None
    return NativeInfo(format=NativeFormat.ARCHIVE, system=System.UNKNOWN, kind=ImageKind.ARCHIVE)
