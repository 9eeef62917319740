"""A strict parser of zip files.

Zip readers disagree on where a zip file starts, which of two directories counts, and whether the
local or the central header is right; attacks live in those gaps. Here every byte belongs to exactly
one record, and the records agree with each other: the members have to tile the file without gap or
overlap, the central directory has to follow, and the end record has to be the last 22 bytes.

Source: PKWARE APPNOTE.TXT 6.3.10 (section numbers are given where they apply).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from slim.errors import LimitError, UnsafeInputError
from slim.formats.names import display
from slim.model.limits import Limits

PYTHON_SUFFIXES = (".zip", ".egg", ".whl", ".pyz", ".pyzw", ".pex")
"""Suffixes of zip files that Python imports from or runs."""
STORED = 0
DEFLATED = 8

_LOCAL = struct.Struct("<4s5H3I2H")  # 4.3.7
_CENTRAL = struct.Struct("<4s6H3I5H2I")  # 4.3.12
_END = struct.Struct("<4s4H2IH")  # 4.3.16
_END64 = struct.Struct("<4sQ2H2I4Q")  # 4.3.14
_LOCATOR = struct.Struct("<4sIQI")  # 4.3.15

_ENCRYPTED = 0x2041  # 4.4.4: bits 0, 6 and 13
_DESCRIPTOR = 0x0008
_UTF8 = 0x0800
_KNOWN_FLAGS = _DESCRIPTOR | _UTF8 | 0x0006

_ZIP64_EXTRA = 0x0001
_UNICODE_PATH_EXTRA = 0x7075
_NEWEST = 63  # 4.4.3.2: version 6.3 of the format
_MAX16, _MAX32 = 0xFFFF, 0xFFFFFFFF

_HINT = "build the archive again with a plain zip tool"


@dataclass(frozen=True, slots=True, kw_only=True)
class ZipRecord:
    """One member as the central directory states it.

    ``data`` is the offset of ``packed`` compressed bytes; ``end`` is where the next member begins.
    ``header`` is the offset of its ``header_size`` bytes in the central directory.
    """

    name: str
    system: int
    attributes: int
    method: int
    crc: int
    packed: int
    size: int
    date: int
    time: int
    offset: int
    flags: int
    data: int = 0
    end: int = 0
    header: int = 0
    header_size: int = 0


@dataclass(frozen=True, slots=True)
class _End:
    offset: int
    size: int
    count: int
    position: int


def without_prefix(data: memoryview) -> memoryview:
    """Return the zip file alone where another file was put before it and its offsets stayed."""
    at = len(data) - _END.size
    if at < 0 or bytes(data[at : at + 4]) != b"PK\5\6":
        return data
    *_, size, offset, _ = _END.unpack_from(data, at)
    return data[max(0, at - size - offset) :]


class ZipParser:
    """Parses one zip file of at most ``members`` members.

    ``prefixed``: something else may lie before the first member, such as the line that starts a
    zipapp. Raises UnsafeInputError and LimitError.
    """

    def __init__(
        self,
        data: memoryview,
        source: object,
        *,
        members: int = Limits().members,
        prefixed: bool = False,
    ) -> None:
        self._data = data
        self._source = source
        self._most = members
        self._prefixed = prefixed

    def records(self) -> list[ZipRecord]:
        """The members, in the order of the central directory."""
        end = self._end()
        if end.count > self._most:
            raise LimitError(
                f"more than {self._most} members",
                file=self._source,
                hint="raise the limit on the number of members",
            )
        if end.offset + end.size != end.position:
            raise self._refuse("the central directory doesn't lie right before the end record")
        central = list(self._central(end))
        at = min((record.offset for record in central), default=0) if self._prefixed else 0
        found: dict[int, ZipRecord] = {}
        for record in sorted(central, key=lambda record: record.offset):
            if record.offset != at:
                word = (
                    "overlaps another one"
                    if record.offset < at
                    else "is preceded by bytes of no member"
                )
                raise self._refuse(f"the member {word}", record.name)
            local, at = self._local(record, end.offset)
            found[record.offset] = local
        if at != end.offset:
            raise self._refuse("there are bytes of no member before the central directory")
        return [found[record.offset] for record in central]

    # The end of the file

    def _end(self) -> _End:
        at = len(self._data) - _END.size
        if at < 0 or bytes(self._data[at : at + 4]) != b"PK\5\6":
            raise self._refuse(
                "the end record isn't the end of the file (truncated, a comment, or bytes after it)"
            )
        _, disk, first, here, count, size, offset, comment = _END.unpack_from(self._data, at)
        if comment:
            raise self._refuse("the end record announces a comment")
        if disk or first or here != count:
            raise self._refuse("the zip file is one of several volumes")
        locator = at - _LOCATOR.size
        if locator >= 0 and bytes(self._data[locator : locator + 4]) == b"PK\6\7":
            return self._end64(locator, (count, size, offset))
        if count == _MAX16 or size == _MAX32 or offset == _MAX32:
            raise self._refuse("the zip64 end record is missing")
        return _End(offset, size, count, at)

    def _end64(self, locator: int, short: tuple[int, int, int]) -> _End:
        _, disk, position, disks = _LOCATOR.unpack_from(self._data, locator)
        at = locator - _END64.size
        if disk or disks != 1 or position != at or at < 0:
            raise self._refuse("the zip64 locator points somewhere else than right before itself")
        signature, length, _, _, disk, first, here, count, size, offset = _END64.unpack_from(
            self._data, at
        )
        if signature != b"PK\6\6" or length != _END64.size - 12 or disk or first or here != count:
            raise self._refuse("the zip64 end record is malformed")
        for value, stated, unset in zip(
            (count, size, offset), short, (_MAX16, _MAX32, _MAX32), strict=True
        ):
            if stated not in (value, unset):
                raise self._refuse("the two end records contradict each other")
        return _End(offset, size, count, at)

    # The central directory

    def _central(self, end: _End) -> Iterator[ZipRecord]:
        at = end.offset
        count = 0
        while at < end.position:
            if at + _CENTRAL.size > end.position:
                raise self._refuse("the central directory is truncated")
            fields = _CENTRAL.unpack_from(self._data, at)
            signature, made, version, flags, method, time, date, crc, packed, size = fields[:10]
            name_length, extra_length, comment, disk, _, attributes, offset = fields[10:]
            body = at + _CENTRAL.size
            at = body + name_length + extra_length + comment
            if signature != b"PK\1\2" or at > end.position:
                raise self._refuse("the central directory is malformed")
            name = self._name(body, name_length, flags)
            if comment or disk or version > _NEWEST:
                raise self._refuse(
                    "the member has a comment, lies on another volume, or is of a newer version",
                    name,
                )
            extras = self._extras(body + name_length, extra_length, name)
            size, packed, offset = self._wide(extras, name, size, packed, offset)
            self._check(name, flags, method, packed, size)
            count += 1
            if count > end.count:
                break
            yield ZipRecord(
                name=name,
                system=made >> 8,
                attributes=attributes,
                method=method,
                crc=crc,
                packed=packed,
                size=size,
                date=date,
                time=time,
                offset=offset,
                flags=flags,
                header=body - _CENTRAL.size,
                header_size=at - body + _CENTRAL.size,
            )
        if count != end.count:
            there = f"there are {count}" if count < end.count else "there are more"
            raise self._refuse(f"the end record announces {end.count} members, and {there}")

    def _check(self, name: str, flags: int, method: int, packed: int, size: int) -> None:
        if flags & _ENCRYPTED:
            raise self._refuse("the member is encrypted", name)
        if flags & ~_KNOWN_FLAGS:
            raise self._refuse(f"the member has unknown flags {flags:#06x}", name)
        if method not in (STORED, DEFLATED):
            raise self._refuse(
                f"the compression method {method} isn't one that every tool reads", name
            )
        if method == STORED and packed != size:
            raise self._refuse("a stored member has two different sizes", name)

    def _name(self, start: int, length: int, flags: int) -> str:
        raw = bytes(self._data[start : start + length])
        if not raw.isascii() and not flags & _UTF8:
            raise self._refuse(
                "the name is neither ASCII nor marked as UTF-8", raw.decode("latin-1")
            )
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise self._refuse(
                "the name is marked as UTF-8 and isn't", raw.decode("latin-1")
            ) from None

    def _extras(self, start: int, length: int, name: str) -> dict[int, memoryview]:
        found: dict[int, memoryview] = {}
        at, end = start, start + length
        while at < end:
            if at + 4 > end:
                raise self._refuse("an extra field is malformed", name)
            key, size = struct.unpack_from("<2H", self._data, at)
            at += 4 + size
            if at > end or key in found:
                raise self._refuse("an extra field is malformed or given twice", name)
            found[key] = self._data[at - size : at]
        if _UNICODE_PATH_EXTRA in found:
            raise self._refuse("an extra field gives the member a second name", name)
        return found

    def _wide(self, extras: dict[int, memoryview], name: str, *values: int) -> list[int]:
        """Take the values that don't fit into 32 bits from the zip64 field (4.5.3)."""
        raw = extras.get(_ZIP64_EXTRA)
        wanted = sum(value == _MAX32 for value in values)
        if raw is None:
            if wanted:
                raise self._refuse("the zip64 field is missing", name)
            return list(values)
        if len(raw) != 8 * wanted:
            raise self._refuse("the zip64 field doesn't match the sizes", name)
        wide = iter(struct.unpack(f"<{wanted}Q", raw))
        return [next(wide) if value == _MAX32 else value for value in values]

    # Local headers

    def _local(self, record: ZipRecord, limit: int) -> tuple[ZipRecord, int]:
        """Compare the local header with the central one.

        Returns the record with the place of its data, and the offset of the member's end.
        """
        start = record.offset
        if start + _LOCAL.size > limit:
            raise self._refuse("the member starts outside the archive", record.name)
        signature, _, flags, method, time, date, crc, packed, size, name_length, extra_length = (
            _LOCAL.unpack_from(self._data, start)
        )
        body = start + _LOCAL.size
        data = body + name_length + extra_length
        if signature != b"PK\3\4" or data + record.packed > limit:
            raise self._refuse("the local header is malformed", record.name)
        if self._name(body, name_length, flags) != record.name:
            raise self._refuse("the local header has another name", record.name)
        extras = self._extras(body + name_length, extra_length, record.name)
        stated = (crc, packed, size)
        if not flags & _DESCRIPTOR:
            size, packed = self._wide(extras, record.name, size, packed)
            stated = (crc, packed, size)
        expected = (record.crc, record.packed, record.size)
        unknown = bool(flags & _DESCRIPTOR) and stated in ((0, 0, 0), (0, _MAX32, _MAX32))
        if (flags, method, time, date) != (
            record.flags,
            record.method,
            record.time,
            record.date,
        ) or not (stated == expected or unknown):
            raise self._refuse("the local header contradicts the central directory", record.name)
        end = data + record.packed
        if flags & _DESCRIPTOR:
            end = self._descriptor(record, end, wide=_ZIP64_EXTRA in extras)
        return replace(record, data=data, end=end), end

    def _descriptor(self, record: ZipRecord, at: int, *, wide: bool) -> int:
        """Step over the data descriptor (4.3.9), which has to repeat the central directory."""
        values = struct.pack(
            "<IQQ" if wide else "<III",
            record.crc,
            record.packed & _mask(wide),
            record.size & _mask(wide),
        )
        for expected in (b"PK\7\x08" + values, values):
            if bytes(self._data[at : at + len(expected)]) == expected:
                return at + len(expected)
        raise self._refuse("the data descriptor contradicts the central directory", record.name)

    def _refuse(self, message: str, name: str = "") -> UnsafeInputError:
        return UnsafeInputError(message, file=self._source, place=display(name) or None, hint=_HINT)


def _mask(wide: bool) -> int:
    return (1 << 64) - 1 if wide else _MAX32
