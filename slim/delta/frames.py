"""Zstandard frames with old content as dictionary, packed and unpacked in bounded memory.

A raw-content dictionary is what ``zstd --patch-from`` uses: matches may reach into it as if it
stood before the content. It can be reached as long as the window isn't left behind, so every
frame's window is as large as its content.

Source: RFC 8878, 3.1.1.1 and 5.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import zstandard

from slim.delta.hints import GET_AGAIN
from slim.errors import LimitError, UnsafeInputError
from slim.formats.base import Content
from slim.system.mapped import pieces_of

FRAME = 32 << 20
"""Most bytes of content of one frame."""
DICTIONARY = 64 << 20
"""Most bytes of its dictionary. At both maxima packing takes 430 MB, unpacking 210 MB."""
_LARGE = 8 << 20
_LEVEL, _LEVEL_LARGE = 19, 12
"""Levels of zstd for contents up to :data:`_LARGE` bytes, and for larger ones.

A new OpenBLAS of 25 MB is packed to 1.16 MB in a minute at level 19, to 1.24 MB in 2 s at 12.
"""
_PLACES = 25
"""Logarithm of how many places in content and dictionary libzstd remembers of a large content.

It holds two tables of them. With 26, frames of libtorch_cpu.so (448 MB) with 2.10's as dictionary
are 0.7 % smaller, ones of 25 MB with as much dictionary 0.3 %, and packing takes 750 MB.
"""
_LEVEL_QUICK = 3
_STEP = 1 << 10
"""Packed bytes a step, which give 32 MiB at most (see :mod:`slim.formats.compression.zstd`)."""


def pack(content: bytes, dictionary: Iterable[bytes | memoryview] = ()) -> bytes:
    """Pack content into one frame with a checksum and the size of the content.

    The pieces of the dictionary are joined here, so that no copy of it is held while libzstd works
    with its own. The bytes depend on nothing but the arguments and the version of libzstd.
    """
    known = _raw_dictionary(joined(dictionary))
    old_size = 0 if known is None else len(known)
    whole = len(content) + old_size
    large = len(content) > _LARGE
    # At the lower level libzstd's own tables remember 8 million places: of a larger dictionary only
    # the end is found.
    tables = {"hash_log": min(_PLACES, whole.bit_length())} if large else {}
    parameters = zstandard.ZstdCompressionParameters.from_level(
        _LEVEL_LARGE if large else _LEVEL,
        source_size=len(content),
        dict_size=old_size,
        **tables,
        window_log=max(zstandard.WINDOWLOG_MIN, min(27, whole.bit_length())),
        write_content_size=True,
        write_checksum=True,
        write_dict_id=False,
    )
    packer = zstandard.ZstdCompressor(dict_data=known, compression_params=parameters)
    return packer.compress(content)


def quick_size(content: bytes, dictionary: bytes = b"") -> int:
    """Return about how many bytes :func:`pack` gives, to compare dictionaries: in less than 1 s."""
    parameters = zstandard.ZstdCompressionParameters.from_level(
        _LEVEL_QUICK,
        source_size=len(content),
        dict_size=len(dictionary),
        hash_log=22,
        chain_log=22,
        window_log=max(
            zstandard.WINDOWLOG_MIN, min(27, (len(content) + len(dictionary)).bit_length())
        ),
    )
    known = _raw_dictionary(dictionary)
    packer = zstandard.ZstdCompressor(dict_data=known, compression_params=parameters)
    return len(packer.compress(content))


def unpack(
    packed: memoryview, size: int, dictionary: bytes = b"", *, source: object
) -> Iterator[bytes]:
    """Unpack one frame. Yields its content in pieces, exactly ``size`` bytes.

    Raises LimitError where it is larger than a frame may be, UnsafeInputError where it isn't a
    frame that :func:`pack` writes, or isn't one of this size.
    """
    try:
        frame = zstandard.get_frame_parameters(bytes(packed[:18]))
    except (zstandard.ZstdError, ValueError) as error:
        if "too much memory" in str(error):  # a window that no zstd accepts
            raise LimitError(
                f"a frame of more than {FRAME} bytes", file=source, hint=GET_AGAIN
            ) from error
        raise _damaged(source, str(error)) from error
    if size > FRAME or frame.window_size > max(FRAME, 1 << 10):
        raise LimitError(f"a frame of more than {FRAME} bytes", file=source, hint=GET_AGAIN)
    if frame.content_size != size or frame.dict_id:
        raise _damaged(source, "a frame of another size than the table says")
    known = _raw_dictionary(dictionary)
    stream = zstandard.ZstdDecompressor(dict_data=known, max_window_size=1 << 27).decompressobj()
    produced = 0
    try:
        for start in range(0, len(packed), _STEP):
            if stream.eof:
                raise _damaged(source, "bytes after the end of a frame")
            out = stream.decompress(bytes(packed[start : start + _STEP]))
            produced += len(out)
            if produced > size:
                raise _damaged(source, "a frame gives more than it says")
            if out:
                yield out
    except zstandard.ZstdError as error:
        raise _damaged(source, str(error)) from error
    if not stream.eof or stream.unused_data or produced != size:
        raise _damaged(source, "a frame is truncated, or there are bytes after its end")


def _raw_dictionary(content: bytes) -> zstandard.ZstdCompressionDict | None:
    """Dictionary of raw content, None for an empty one."""
    if not content:
        return None
    return zstandard.ZstdCompressionDict(content, dict_type=zstandard.DICT_TYPE_RAWCONTENT)


def part(content: Content, offset: int, length: int) -> Iterator[bytes | memoryview]:
    """Yield a part of a content in pieces, without reading what lies before it."""
    return pieces_of(content.view()[offset : offset + length])


def joined(pieces: Iterable[bytes | memoryview]) -> bytes:
    """Join pieces into one bytes object."""
    return b"".join(pieces)


def _damaged(source: object, message: str) -> UnsafeInputError:
    return UnsafeInputError(f"the patch is damaged: {message}", file=source, hint=GET_AGAIN)
