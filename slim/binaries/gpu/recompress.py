"""Entries of fat binaries that are stored plain or as LZ4, compressed as Zstandard.

An entry stays what it was: its header has other sizes and another flag, and what it unpacks to is
the same. The frames are like those that ``nvcc -compress-mode=size`` writes: in one segment, with
the size of the content and no checksum. Drivers read them from 550.54 (CUDA 12) and 580 (CUDA 13)
on.

What was compressed lies in a temporary file without a name, mapped, so that it takes no memory.

Source: RFC 8878 (Zstandard); the LZ4 block format (``lz4_Block_format.md``); "NVCC",
``--compress-mode``.
"""

from __future__ import annotations

import tempfile
from typing import BinaryIO, Final, cast

import zstandard

from slim.binaries.gpu.fatbin import ENTRY, FLAG_LZ4, FLAG_ZSTD
from slim.binaries.refusal import Refused
from slim.model.gpu import GpuCompression, GpuEntry, GpuKind
from slim.model.recipe import Piece, Zeros
from slim.system.mapped import map_file, seen

DRIVERS: Final = "550.54 for CUDA 12, 580 for CUDA 13"
"""The oldest drivers that read what is compressed here."""

_LEVEL: Final = 19
"""1.4 MB a second. 12 makes kernels of bitsandbytes a sixth larger, at 17 MB a second."""
_LARGEST: Final = 1 << 27
"""Bytes of the largest entry that is compressed again."""
_MOST_WINDOW: Final = 27
_KINDS: Final = frozenset({GpuKind.CUBIN, GpuKind.PTX})


class Recompressor:
    """Compresses the entries of one file again. ``pieces`` are valid after :meth:`finish`.

    Raises OSError where there is no room for a temporary file.
    """

    def __init__(self) -> None:
        # It lives as long as the recipes that lead into it, and has no name.
        made = tempfile.TemporaryFile(prefix="slim-gpu-")  # noqa: SIM115
        self._file = cast(BinaryIO, made)
        self._size = 0
        self._view: memoryview | None = None
        self.entries = 0
        """Entries that were compressed."""
        self.saved = 0
        """Bytes by which they have become smaller."""

    def close(self) -> None:
        """Free the temporary file, but for what is mapped of it."""
        self._file.close()

    def compress(self, view: memoryview, entry: GpuEntry) -> list[Piece | range] | None:
        """Return the pieces of an entry that gets smaller, None for one that doesn't.

        A range stands for bytes of the temporary file, until :meth:`finish` puts them in.
        Raises Refused for an entry that can't be unpacked.
        """
        if entry.kind not in _KINDS or entry.compression is GpuCompression.ZSTD:
            return None
        if max(entry.size, entry.stored_size) > _LARGEST:
            return None
        stored = view[entry.payload : entry.payload + entry.stored_size]
        plain = bytes(stored)
        if entry.compression is GpuCompression.LZ4:
            plain = unpack_lz4(plain, entry.size)
        packed = _frame(plain)
        seen(view, entry.stored_size)
        padding = -len(packed) % 8
        room = len(packed) + padding
        if room >= entry.padded_size:
            return None
        self._file.write(packed)
        self._size += len(packed)
        self.entries += 1
        self.saved += entry.padded_size - room
        place = range(self._size - len(packed), self._size)
        header = _header(view, entry, room, len(packed), len(plain))
        return [header, place, Zeros(padding)]

    def finish(self, pieces: list[Piece | range]) -> list[Piece]:
        """Return the pieces with the bytes of the temporary file in place of ranges."""
        if self._view is None:
            self._file.flush()
            self._view = memoryview(b"")
            if self._size:
                self._view = memoryview(map_file(self._file.fileno(), self._size))
            self.close()
        view = self._view
        return [
            view[piece.start : piece.stop] if isinstance(piece, range) else piece
            for piece in pieces
        ]


def _frame(plain: bytes) -> bytes:
    """Compress one entry: the same bytes give the same frame."""
    window = min(max(len(plain) - 1, 1).bit_length(), _MOST_WINDOW)
    parameters = zstandard.ZstdCompressionParameters.from_level(
        _LEVEL,
        source_size=len(plain),
        window_log=max(window, zstandard.WINDOWLOG_MIN),
        write_content_size=True,
        write_checksum=False,
        write_dict_id=False,
    )
    return zstandard.ZstdCompressor(compression_params=parameters).compress(plain)


def _header(view: memoryview, entry: GpuEntry, room: int, packed: int, plain: int) -> bytes:
    """Return an entry's header with other sizes, and the flag of Zstandard."""
    whole = bytes(view[entry.offset : entry.offset + entry.header_size])
    fields = list(ENTRY.unpack_from(whole))
    fields[3], fields[4], fields[13] = room, packed, plain
    fields[11] = fields[11] & ~FLAG_LZ4 | FLAG_ZSTD
    return ENTRY.pack(*fields) + whole[ENTRY.size :]


def unpack_lz4(packed: bytes, size: int) -> bytes:
    """Unpack a block of LZ4 to ``size`` bytes. Raises Refused for one that isn't that."""
    out = bytearray()
    at, end = 0, len(packed)
    try:
        while at < end:
            token = packed[at]
            at += 1
            literals = token >> 4
            if literals == 15:
                while (more := packed[at]) == 255:
                    literals += 255
                    at += 1
                literals += more
                at += 1
            out += packed[at : at + literals]
            at += literals
            if at >= end:
                break
            back = packed[at] | packed[at + 1] << 8
            at += 2
            length = (token & 15) + 4
            if length == 19:
                while (more := packed[at]) == 255:
                    length += 255
                    at += 1
                length += more
                at += 1
            start = len(out) - back
            if not back or start < 0 or len(out) + length > size:
                raise Refused.malformed("an entry can't be unpacked as LZ4")
            if back >= length:
                out += out[start : start + length]
            else:
                piece = bytes(out[start:])
                out += (piece * (length // back + 1))[:length]
    except IndexError:
        raise Refused.malformed("an entry can't be unpacked as LZ4") from None
    if len(out) != size:
        raise Refused.malformed("an entry can't be unpacked as LZ4")
    return bytes(out)
