"""Ad-hoc code signatures: reading one, and writing it again for changed bytes.

Everything but the hashes of pages is carried over.

A signature is a "super blob" with an index. Code directories hold a hash for each page of the image
before the signature, and hashes of the other blobs in slots of their own. An ad-hoc signature has
no certificate: whoever changes the image may compute the hashes again, which is what Apple's own
strip and install_name_tool do.

Source: Apple's ``cs_blobs.h`` (xnu, ``osfmk/kern``) and ``codedirectory.h`` (Security,
``libsecurity_codesigning``).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass

from slim.binaries.macho.linkedit import Span
from slim.binaries.macho.names import (
    CS_ADHOC,
    CS_HASHTYPE_SHA1,
    CS_HASHTYPE_SHA256,
    CS_HASHTYPE_SHA256_TRUNCATED,
    CS_HASHTYPE_SHA384,
    CS_SUPPORTSCODELIMIT64,
    CS_SUPPORTSEXECSEG,
    CS_SUPPORTSRUNTIME,
    CS_SUPPORTSSCATTER,
    CS_SUPPORTSTEAMID,
    CSMAGIC_BLOBWRAPPER,
    CSMAGIC_CODEDIRECTORY,
    CSMAGIC_EMBEDDED_SIGNATURE,
    CSSLOT_ALTERNATE_CODEDIRECTORIES,
    CSSLOT_ALTERNATE_CODEDIRECTORY_MAX,
    CSSLOT_CODEDIRECTORY,
    CSSLOT_LIBRARY_CONSTRAINT,
    CSSLOT_SIGNATURESLOT,
)
from slim.binaries.refusal import NotEditable, RefusalKind, Refused
from slim.system.mapped import seen

_SUPER_BLOB = struct.Struct(">3I")
_INDEX = struct.Struct(">2I")
_BLOB = struct.Struct(">2I")
_DIRECTORY = struct.Struct(">9I4BI")

_ALTERNATES = range(
    CSSLOT_ALTERNATE_CODEDIRECTORIES,
    CSSLOT_ALTERNATE_CODEDIRECTORIES + CSSLOT_ALTERNATE_CODEDIRECTORY_MAX,
)
_VERSIONS = range(0x2_0001, CS_SUPPORTSRUNTIME + 1)
_HASHES = {
    CS_HASHTYPE_SHA1: ("sha1", 20),
    CS_HASHTYPE_SHA256: ("sha256", 32),
    CS_HASHTYPE_SHA256_TRUNCATED: ("sha256", 20),
    CS_HASHTYPE_SHA384: ("sha384", 48),
}
"""The name of an algorithm in ``hashlib`` and the bytes of a hash that are kept, by type."""
_PAGE_BITS = range(12, 17)
_LINKER_ALIGN = 8
_ALIGN = 16

ReadRange = Callable[[int, int], bytes | memoryview]
"""Gives the bytes of an image from one offset to another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeDirectory:
    """One code directory.

    ``prefix`` is all before the hashes of pages: header, names, hashes of other blobs.
    """

    prefix: bytes
    flags: int
    algorithm: str
    hash_size: int
    page: int
    hashes: bytes

    def hash(self, data: bytes | memoryview) -> bytes:
        """The hash of a page or blob, cut to the size that the directory uses."""
        digest = hashlib.new(self.algorithm, data, usedforsecurity=False).digest()
        seen(data)
        return digest[: self.hash_size]

    def size(self, limit: int) -> int:
        """Bytes of such a directory for an image with ``limit`` bytes before its signature."""
        return len(self.prefix) + -(-limit // self.page) * self.hash_size


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """An ad-hoc signature.

    ``span`` is where it is, ``length`` its bytes without the padding after it. ``entries`` are the
    blobs by their place: slot, offset in the super blob, and content (a code directory or bytes);
    ``order`` lists the slots as the index has them; ``padding`` are the bytes after the super blob.
    """

    span: Span
    length: int
    order: tuple[int, ...]
    entries: tuple[tuple[int, int, CodeDirectory | bytes], ...]
    padding: bytes

    @property
    def directories(self) -> tuple[CodeDirectory, ...]:
        """The code directories."""
        return tuple(blob for _, _, blob in self.entries if isinstance(blob, CodeDirectory))


def read_signature(view: memoryview, span: Span) -> Signature:
    """Take a signature apart.

    Raises :class:`slim.binaries.refusal.Refused` with ``SIGNED`` where somebody's identity vouches
    for the image, and for whatever couldn't be written again as it was.
    """
    data = bytes(view[span.offset : span.end])
    if len(data) < _SUPER_BLOB.size:
        raise Refused.malformed("the code signature is cut short")
    magic, length, count = _SUPER_BLOB.unpack_from(data)
    start = _SUPER_BLOB.size + count * _INDEX.size
    if magic != CSMAGIC_EMBEDDED_SIGNATURE or not start <= length <= len(data):
        raise Refused.malformed("the code signature isn't one, or doesn't lie in its place")
    rows = [
        _INDEX.unpack_from(data, _SUPER_BLOB.size + number * _INDEX.size) for number in range(count)
    ]
    slots = tuple(slot for slot, _ in rows)
    if len(set(slots)) != len(slots) or CSSLOT_CODEDIRECTORY not in slots:
        raise Refused.malformed("the code signature has no code directory, or a slot twice")
    at = start
    blobs: list[tuple[int, int, bytes]] = []
    for slot, offset in sorted(rows, key=lambda row: row[1]):
        blob = _read_blob(data, slot, at, offset, length)
        at = offset + len(blob)
        blobs.append((slot, offset, blob))
    if length - at >= _ALIGN or any(data[at:length]):
        raise Refused.malformed("the code signature holds bytes that belong to no blob")
    entries = tuple(
        (slot, offset, _read_directory(blob, span.offset) if _holds_directory(slot) else blob)
        for slot, offset, blob in blobs
    )
    signature = Signature(
        span=span, length=length, order=slots, entries=entries, padding=data[length:]
    )
    _check_special(signature)
    return signature


def _holds_directory(slot: int) -> bool:
    return slot == CSSLOT_CODEDIRECTORY or slot in _ALTERNATES


def _read_blob(data: bytes, slot: int, at: int, offset: int, length: int) -> bytes:
    """The bytes of a blob, which begins at ``offset`` and not before ``at``."""
    if offset < at or offset - at >= _ALIGN or any(data[at:offset]) or offset + _BLOB.size > length:
        raise Refused.malformed("blobs of the code signature overlap or have gaps")
    magic, size = _BLOB.unpack_from(data, offset)
    if size < _BLOB.size or offset + size > length:
        raise Refused.malformed("a blob of the code signature doesn't lie in it")
    if slot == CSSLOT_SIGNATURESLOT:
        if magic != CSMAGIC_BLOBWRAPPER or size > _BLOB.size:
            raise Refused(NotEditable(RefusalKind.SIGNED, "it is signed with an identity"))
    elif _holds_directory(slot):
        if magic != CSMAGIC_CODEDIRECTORY:
            raise Refused.malformed("the code directory isn't one")
    elif not 0 < slot <= CSSLOT_LIBRARY_CONSTRAINT:
        raise Refused.unsupported(
            f"the code signature has a blob in slot {slot:#x}, which slim doesn't know"
        )
    return data[offset : offset + size]


def _read_directory(blob: bytes, limit: int) -> CodeDirectory:
    if len(blob) < _DIRECTORY.size:
        raise Refused.malformed("the code directory is cut short")
    row = _DIRECTORY.unpack_from(blob)
    (
        _,
        _,
        version,
        flags,
        hashes,
        name,
        special,
        pages,
        code_limit,
        hash_size,
        hash_type,
        platform,
        page_bits,
        spare,
    ) = row
    if not flags & CS_ADHOC:
        raise Refused(NotEditable(RefusalKind.SIGNED, "its signature isn't marked as ad-hoc"))
    if version not in _VERSIONS or platform or spare or page_bits not in _PAGE_BITS:
        raise Refused.unsupported(
            f"a code directory of version {version:#x} for platform {platform}"
        )
    if hash_type not in _HASHES or _HASHES[hash_type][1] != hash_size:
        raise Refused.unsupported(
            f"a code directory with hashes of type {hash_type} and {hash_size} bytes"
        )
    header = _check_extensions(blob, version)
    if (
        code_limit != limit
        or pages != -(-limit >> page_bits)
        or hashes + pages * hash_size != len(blob)
    ):
        raise Refused.malformed("the code directory isn't about all of the image")
    names_end = hashes - special * hash_size
    if not header <= name < names_end or blob.find(b"\0", name, names_end) < 0:
        raise Refused.malformed("the code directory has no identifier")
    return CodeDirectory(
        prefix=blob[:hashes],
        flags=flags,
        algorithm=_HASHES[hash_type][0],
        hash_size=hash_size,
        page=1 << page_bits,
        hashes=blob[hashes:],
    )


def _check_extensions(blob: bytes, version: int) -> int:
    """Return the size of the header.

    Raises Refused if it uses what later versions added and slim can't carry over.
    """
    # Version, name, offset, and whether the field may be set: scatter tables and 64-bit limits
    # describe pages.
    sizes = {
        CS_SUPPORTSSCATTER: (44, "I"),
        CS_SUPPORTSTEAMID: (48, "I"),
        CS_SUPPORTSCODELIMIT64: (52, "IQ"),
        CS_SUPPORTSEXECSEG: (64, "QQQ"),
        CS_SUPPORTSRUNTIME: (88, "II"),
    }
    end = _DIRECTORY.size
    fields: dict[int, tuple[int, ...]] = {}
    for since, (offset, layout) in sizes.items():
        if version >= since:
            end = offset + struct.calcsize(f">{layout}")
            if end > len(blob):
                raise Refused.malformed("the code directory is cut short")
            fields[since] = struct.unpack_from(f">{layout}", blob, offset)
    if any(fields.get(CS_SUPPORTSSCATTER, ())) or any(fields.get(CS_SUPPORTSCODELIMIT64, ())):
        raise Refused.unsupported("the code directory has a scatter table or a 64-bit limit")
    if any(fields.get(CS_SUPPORTSTEAMID, ())):
        raise Refused(NotEditable(RefusalKind.SIGNED, "its signature names a team"))
    if fields.get(CS_SUPPORTSRUNTIME, (0, 0))[1]:
        raise Refused.unsupported("the code directory has hashes from before encryption")
    return end


def _special_count(directory: CodeDirectory) -> int:
    return int(_DIRECTORY.unpack_from(directory.prefix)[6])


def _check_special(signature: Signature) -> None:
    """Blobs that are carried over have to be the ones that the code directories vouch for."""
    for directory in signature.directories:
        count = _special_count(directory)
        for slot, _, blob in signature.entries:
            if isinstance(blob, CodeDirectory) or slot == CSSLOT_SIGNATURESLOT:
                continue
            at = len(directory.prefix) - slot * directory.hash_size
            if slot > count or directory.prefix[at : at + directory.hash_size] != directory.hash(
                blob
            ):
                raise Refused.malformed(
                    f"the blob in slot {slot} of the code signature isn't what was signed"
                )


def check_pages(view: memoryview, signature: Signature) -> None:
    """Raise :class:`slim.binaries.refusal.Refused` unless every page is what was signed."""
    limit = signature.span.offset
    for directory in signature.directories:
        for number, start in enumerate(range(0, limit, directory.page)):
            expected = directory.hashes[
                number * directory.hash_size : (number + 1) * directory.hash_size
            ]
            if directory.hash(view[start : min(start + directory.page, limit)]) != expected:
                raise Refused.malformed(f"the bytes at offset {start:#x} aren't what was signed")


def signed_size(signature: Signature, limit: int) -> int:
    """Bytes that the signature takes in a file with ``limit`` bytes before it, with padding."""
    # Apple's newer linkers round to 8 bytes, all others to 16. The space that codesign reserves for
    # a certificate (18,000 bytes) isn't carried over.
    tight = signature.span.size % _ALIGN and signature.span.size == _round_up(
        signature.length, _LINKER_ALIGN
    )
    return _round_up(_length(signature, limit), _LINKER_ALIGN if tight else _ALIGN)


def _length(signature: Signature, limit: int) -> int:
    before = sum(len(one.prefix) + len(one.hashes) for one in signature.directories)
    return signature.length - before + sum(one.size(limit) for one in signature.directories)


def sign(
    signature: Signature, limit: int, read: ReadRange, unchanged: tuple[int, int] = (0, 0)
) -> bytes:
    """The signature again, for an image with ``limit`` bytes before it that ``read`` gives.

    Everything is carried over but the hashes of pages, and what counts them. Pages that lie wholly
    in ``unchanged`` keep their hash. The result has :func:`signed_size` bytes.
    """
    blobs: list[tuple[int, bytes]] = []
    offsets: dict[int, int] = {}
    old_end = new_end = _SUPER_BLOB.size + len(signature.order) * _INDEX.size
    for slot, offset, content in signature.entries:
        if isinstance(content, CodeDirectory):
            size, blob = (
                len(content.prefix) + len(content.hashes),
                _write_directory(content, limit, read, unchanged),
            )
        else:
            size, blob = len(content), content
        offsets[slot] = new_end + offset - old_end
        blobs.append((offset - old_end, blob))
        old_end, new_end = offset + size, offsets[slot] + len(blob)
    length = _length(signature, limit)
    index = b"".join(_INDEX.pack(slot, offsets[slot]) for slot in signature.order)
    body = b"".join(bytes(gap) + blob for gap, blob in blobs)
    data = _SUPER_BLOB.pack(CSMAGIC_EMBEDDED_SIGNATURE, length, len(signature.order)) + index + body
    return data + bytes(signed_size(signature, limit) - len(data))


def sign_again(signature: Signature, view: memoryview) -> bytes:
    """The signature of an image that hasn't changed in length, with the padding that it had."""
    data = sign(signature, signature.span.offset, lambda start, end: view[start:end])
    return data[: signature.length] + signature.padding


def _write_directory(
    old: CodeDirectory, limit: int, read: ReadRange, unchanged: tuple[int, int]
) -> bytes:
    hashes = []
    for number, start in enumerate(range(0, limit, old.page)):
        end = min(start + old.page, limit)
        if unchanged[0] <= start and end <= unchanged[1] and end == start + old.page:
            hashes.append(old.hashes[number * old.hash_size : (number + 1) * old.hash_size])
        else:
            hashes.append(old.hash(read(start, end)))
    row = list(_DIRECTORY.unpack_from(old.prefix))
    row[1], row[7], row[8] = old.size(limit), len(hashes), limit
    return _DIRECTORY.pack(*row) + old.prefix[_DIRECTORY.size :] + b"".join(hashes)


def _round_up(size: int, align: int) -> int:
    return -(-size // align) * align
