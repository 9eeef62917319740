"""Oracle of ad-hoc signatures: right, and the one that was there but for the hashes of pages.

The part of :mod:`slim.verification.native.macho` that is about signatures; shares no code with the
editor either.

Source: Apple's ``cs_blobs.h`` (xnu, ``osfmk/kern``), for what the kernel checks when it maps a
page.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from slim.binaries.macho.names import (
    CS_ADHOC,
    CS_HASHTYPE_SHA1,
    CS_HASHTYPE_SHA256,
    CS_HASHTYPE_SHA256_TRUNCATED,
    CS_HASHTYPE_SHA384,
    CSMAGIC_CODEDIRECTORY,
    CSMAGIC_EMBEDDED_SIGNATURE,
    CSSLOT_ALTERNATE_CODEDIRECTORIES,
    CSSLOT_ALTERNATE_CODEDIRECTORY_MAX,
    CSSLOT_CODEDIRECTORY,
    CSSLOT_LIBRARY_CONSTRAINT,
    CSSLOT_SIGNATURESLOT,
)
from slim.system.mapped import seen

_KNOWN_HASHES = {
    CS_HASHTYPE_SHA1: hashlib.sha1,
    CS_HASHTYPE_SHA256: hashlib.sha256,
    CS_HASHTYPE_SHA256_TRUNCATED: hashlib.sha256,
    CS_HASHTYPE_SHA384: hashlib.sha384,
}
_HASH_BYTES = {
    CS_HASHTYPE_SHA1: 20,
    CS_HASHTYPE_SHA256: 32,
    CS_HASHTYPE_SHA256_TRUNCATED: 20,
    CS_HASHTYPE_SHA384: 48,
}
_HEADER = struct.Struct(">9I4BI")


class _Broken(Exception):
    """The signature can't be read."""


@dataclass(frozen=True)
class _Directory:
    """Code directory. ``rest`` is all that may not change.

    That is everything but length, number of pages, limit and hashes.
    """

    limit: int
    adhoc: bool
    page: int
    kind: int
    pages: list[bytes]
    special: list[bytes]
    rest: tuple[object, ...]

    def hash(self, data: bytes | memoryview) -> bytes:
        digest = _KNOWN_HASHES[self.kind](data, usedforsecurity=False).digest()
        seen(data)
        return digest[: _HASH_BYTES[self.kind]]


def _blobs(data: bytes) -> dict[int, bytes]:
    """Return the blobs of a signature by slot, in the order of the index."""
    if len(data) < 12:
        raise _Broken("it is cut short")
    magic, length, count = struct.unpack_from(">3I", data)
    if magic != CSMAGIC_EMBEDDED_SIGNATURE or length > len(data) or 12 + 8 * count > length:
        raise _Broken("its header is wrong")
    found: dict[int, bytes] = {}
    taken = [(0, 12 + 8 * count)]
    for number in range(count):
        slot, start = struct.unpack_from(">2I", data, 12 + 8 * number)
        size = struct.unpack_from(">I", data, start + 4)[0] if start + 8 <= length else 0
        if size < 8 or start + size > length or slot in found:
            raise _Broken(f"the blob in slot {slot:#x} doesn't lie in it, or is there twice")
        found[slot] = data[start : start + size]
        taken.append((start, start + size))
    taken.sort()
    if any(first[1] > second[0] for first, second in pairwise(taken)):
        raise _Broken("its blobs overlap")
    return found


def _is_directory(slot: int) -> bool:
    alternate = slot - CSSLOT_ALTERNATE_CODEDIRECTORIES
    return slot == CSSLOT_CODEDIRECTORY or 0 <= alternate < CSSLOT_ALTERNATE_CODEDIRECTORY_MAX


def _directory(blob: bytes) -> _Directory:
    if len(blob) < _HEADER.size or blob[:4] != CSMAGIC_CODEDIRECTORY.to_bytes(4, "big"):
        raise _Broken("the code directory isn't one")
    (
        magic,
        _,
        version,
        flags,
        hashes,
        name,
        specials,
        pages,
        limit,
        width,
        kind,
        platform,
        bits,
        spare,
    ) = _HEADER.unpack_from(blob)
    if kind not in _KNOWN_HASHES or width != _HASH_BYTES[kind] or not 12 <= bits <= 16:
        raise _Broken("the code directory has unknown hashes or pages")
    first = hashes - specials * width
    if (
        first < _HEADER.size
        or hashes + pages * width > len(blob)
        or not _HEADER.size <= name < first
    ):
        raise _Broken("the hashes of the code directory don't lie in it")
    if hashes + pages * width != len(blob):
        raise _Broken("the code directory is longer than its hashes")
    fields = (magic, version, flags, hashes, name, specials, width, kind, platform, bits, spare)
    return _Directory(
        limit=limit,
        adhoc=bool(flags & CS_ADHOC),
        page=1 << bits,
        kind=kind,
        pages=[
            blob[hashes + width * number : hashes + width * (number + 1)] for number in range(pages)
        ],
        special=[
            blob[hashes - width * number : hashes - width * (number - 1)]
            for number in range(1, specials + 1)
        ],
        rest=(*fields, blob[_HEADER.size : hashes]),
    )


def signature_problems(image: memoryview, start: int, size: int) -> Iterator[str]:
    """Tell what is wrong with the signature at an offset of an image.

    Checked are its blobs, limits, every page hash, and the hashes of blobs.
    """
    try:
        blobs = _blobs(bytes(image[start : start + size]))
        directories = [_directory(blob) for slot, blob in blobs.items() if _is_directory(slot)]
    except _Broken as error:
        yield f"the signature is broken: {error}"
        return
    if CSSLOT_CODEDIRECTORY not in blobs:
        yield "the signature has no code directory"
    for one in directories:
        if one.limit != start:
            yield f"the signature covers {one.limit:#x} bytes, the image before it has {start:#x}"
        pages = range(0, start, one.page)
        if len(pages) != len(one.pages):
            yield f"the signature has {len(one.pages)} page hashes, not {len(pages)}"
        bad = [
            at
            for at, hashed in zip(pages, one.pages, strict=False)
            if one.hash(image[at : min(at + one.page, start)]) != hashed
        ]
        if bad:
            yield f"{len(bad)} pages don't have their hash, the first at offset {bad[0]:#x}"
        for slot, blob in blobs.items():
            if 0 < slot <= CSSLOT_LIBRARY_CONSTRAINT and (
                slot > len(one.special) or one.special[slot - 1] != one.hash(blob)
            ):
                yield f"the blob in slot {slot} of the signature doesn't have its hash"


def signature_changes(before: memoryview, after: memoryview) -> Iterator[str]:
    """Tell what an edit has changed in a signature that it may not.

    That is all but lengths, the limit and the hashes of pages.
    """
    try:
        old, new = _blobs(bytes(before)), _blobs(bytes(after))
        if list(old) != list(new):
            yield "the signature has other blobs than before"
            return
        if len(old.get(CSSLOT_SIGNATURESLOT, b"")) > 8:
            yield "the original is signed with an identity, and has been changed"
        for slot, blob in old.items():
            if not _is_directory(slot):
                if blob != new[slot]:
                    yield f"the blob in slot {slot:#x} of the signature has changed"
                continue
            first, second = _directory(blob), _directory(new[slot])
            if not first.adhoc:
                yield "the original isn't signed ad hoc, and has been changed"
            if first.rest != second.rest:
                yield "the code directory has changed in more than its page hashes"
    except _Broken as error:
        yield f"the signature is broken: {error}"
