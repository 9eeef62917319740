"""Oracle of wheels that lost files: the same wheel, without some Windows programs.

Sources: the standard library's :mod:`zipfile`, and PyPA "Binary distribution format".
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import struct
import zipfile
import zlib
from collections.abc import Iterator

_END = 22
"""Bytes of an end record without a comment."""
_LARGEST = 256 << 20
"""Bytes of all members that are read to compare them."""
_ATTRIBUTES = ("date_time", "external_attr", "internal_attr", "create_system", "comment")
_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, struct.error, csv.Error, EOFError, OSError),
    *(ValueError, TypeError, LookupError, RuntimeError),  # strange headers and names of digests
)


def check(original: memoryview, edited: memoryview) -> list[str]:
    """Compare an edited wheel with its original; return what is wrong, a sentence each.

    Checked are that each member has its bytes, header and attributes in the same order but for
    Windows programs, which may be gone, and RECORD; that RECORD has lost the rows of what is gone,
    and states each member with its digest and size; and that the wheel is smaller. Raises nothing.
    """
    if len(original) > _LARGEST:
        return [f"the wheel has more than {_LARGEST} bytes"]
    try:
        with zipfile.ZipFile(_file(original)) as before, zipfile.ZipFile(_file(edited)) as after:
            return list(_problems(before, after, original, edited))
    except _ERRORS as error:
        return [f"the wheel can't be read: {error}"]


def _file(view: memoryview) -> io.BytesIO:
    return io.BytesIO(bytes(view))


def _problems(
    before: zipfile.ZipFile, after: zipfile.ZipFile, original: memoryview, edited: memoryview
) -> Iterator[str]:
    if max(sum(one.file_size for one in wheel.infolist()) for wheel in (before, after)) > _LARGEST:
        yield f"the wheel unpacks to more than {_LARGEST} bytes"
        return
    if len(edited) >= len(original):
        yield f"the wheel isn't smaller: {len(edited)} bytes, {len(original)} before"
    names, left = before.namelist(), after.namelist()
    gone = [name for name in names if name not in left]
    if [name for name in names if name not in gone] != left or len(set(left)) != len(left):
        yield "the wheel has other members, or in another order"
        return
    broken = after.testzip()
    if broken is not None:
        yield f"{broken} doesn't match its CRC"
    for name in gone:
        if not (name.endswith(".exe") and before.read(name).startswith(b"MZ")):
            yield f"{name} is gone, and is no program for Windows"
    records = [name for name in left if name.endswith(".dist-info/RECORD")]
    if len(records) != 1:
        yield "the wheel has no RECORD, or several"
        return
    yield from _same_members(before, after, records[0], original, edited)
    rows, now = _rows(before.read(records[0])), _rows(after.read(records[0]))
    if now != [row for row in rows if row[0] not in gone]:
        yield "RECORD has other rows"
    yield from _true_rows(after, records[0], now)


def _same_members(
    before: zipfile.ZipFile,
    after: zipfile.ZipFile,
    record: str,
    original: memoryview,
    edited: memoryview,
) -> Iterator[str]:
    """Compare the bytes of each member, from its local header to the next one's."""
    old, new = _entries(before, original), _entries(after, edited)
    if min(new[name][0] for name in new) or after.start_dir + _directory(after) != len(edited):
        yield "there are bytes of no member"
    for name in new.keys() - {record}:
        (start, end), (first, last) = old[name], new[name]
        if original[start:end] != edited[first:last]:
            yield f"the bytes of {name} have changed"
    for one in after.infolist():
        was = before.getinfo(one.filename)
        kept = (*_ATTRIBUTES, "compress_type", "CRC", "extra", "flag_bits")
        for attribute in _ATTRIBUTES if one.filename == record else kept:
            if getattr(one, attribute) != getattr(was, attribute):
                yield f"the {attribute} of {one.filename} has changed"


def _entries(opened: zipfile.ZipFile, data: memoryview) -> dict[str, tuple[int, int]]:
    """The offsets at which each member's bytes begin and end."""
    ordered = sorted(opened.infolist(), key=lambda one: one.header_offset)
    starts = [one.header_offset for one in ordered]
    ends = [*starts[1:], opened.start_dir]
    return {
        one.filename: place
        for one, place in zip(ordered, zip(starts, ends, strict=True), strict=True)
    }


def _directory(opened: zipfile.ZipFile) -> int:
    """Bytes of the directory, as its members have them, with the end record."""
    return _END + sum(
        46 + len(one.orig_filename.encode()) + len(one.extra) + len(one.comment)
        for one in opened.infolist()
    )


def _rows(content: bytes) -> list[list[str]]:
    found = csv.reader(io.StringIO(content.decode(), newline=""), strict=True)
    return [row for row in found if row]


def _true_rows(opened: zipfile.ZipFile, record: str, rows: list[list[str]]) -> Iterator[str]:
    """Compare RECORD with the members; it states itself without digest and size."""
    files = sorted(name for name in opened.namelist() if not name.endswith("/"))
    if sorted(row[0] for row in rows) != files:
        yield "RECORD doesn't list what is in the wheel"
        return
    for name, digest, size in rows:
        content = opened.read(name)
        algorithm, _, stated = digest.partition("=")
        if name == record:
            continue
        made = base64.urlsafe_b64encode(hashlib.new(algorithm, content).digest()).rstrip(b"=")
        if stated != made.decode() or size != str(len(content)):
            yield f"RECORD isn't true of {name}"
