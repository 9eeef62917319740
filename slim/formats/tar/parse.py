"""A strict parser of tar headers: ustar, pax, and GNU's long names.

Accepts exactly what every tool reads the same way, and refuses the rest; ``tarfile`` is not
involved, because what it forgives is what attacks are made of.

Sources: POSIX.1-2017, "pax" (Extended Header, ustar Interchange Format); GNU tar manual, "Basic Tar
Format"; libarchive tar(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from slim.errors import UnsafeInputError
from slim.formats.names import decode, display
from slim.system.mapped import seen

BLOCK = 512
MAX_EXTENDED = 1 << 20
"""Bytes of one extended header or long name.

Names are bounded by 4 KiB; extended attributes may be larger.
"""
MAX_OCTAL = 8**11 - 1
"""The largest size or time that a ustar header itself can hold."""

_ZEROS = bytes(BLOCK)
_OCTAL = re.compile(rb"^ *([0-7]*)[ \0]*$")
_PAX_LENGTH = re.compile(rb"([1-9][0-9]{0,6}) ")
_PAX_TIME = re.compile(r"^([0-9]{1,11})(\.[0-9]{0,20})?$")
_PAX_NUMBER = re.compile(r"^[0-9]{1,20}$")

_NOT_REPRESENTED = {
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a FIFO",
    b"7": "a contiguous file",
    b"S": "a GNU sparse file",
    b"D": "a GNU incremental dump",
    b"M": "a continued multi-volume member",
    b"V": "a volume label",
}
_SPECIAL = frozenset({b"3", b"4", b"6"})
_NUMBERS = (
    (100, 108, "mode"),
    (108, 116, "uid"),
    (116, 124, "gid"),
    (124, 136, "size"),
    (136, 148, "time"),
    (329, 337, "device"),
    (337, 345, "device"),
)
# Keywords of extended headers that say nothing about names, types or contents.
_HARMLESS = frozenset(
    [
        "atime",
        "ctime",
        "comment",
        "uid",
        "gid",
        "uname",
        "gname",
        "LIBARCHIVE.creationtime",
        "LIBARCHIVE.symlinktype",
    ]
)
_ATTRIBUTES = (
    "SCHILY.xattr.",
    "SCHILY.acl.",
    "SCHILY.fflags",
    "LIBARCHIVE.xattr.",
    "RHT.security.selinux",
)
_SIZED = frozenset(["GNU.sparse", "SCHILY.realsize", "SCHILY.filetype"])

_AROUND = 1 << 16
"""Bytes that Linux maps for one that is looked at."""

HINT = "build the archive again with GNU tar, bsdtar or venvstacks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """One member: its header after all extended headers were applied.

    ``kind`` is the type flag (``0``, ``1``, ``2`` or ``5``); ``data`` is the offset of the content,
    of ``size`` bytes. ``dropped`` are keywords whose content is lost when the archive is written
    again.
    """

    name: str
    kind: str
    mode: int
    mtime: int
    size: int
    link: str
    data: int
    dropped: tuple[str, ...] = ()


@dataclass(slots=True)
class _Pending:
    """Statements of extended headers about the next member."""

    pax: dict[str, bytes] | None = None
    name: bytes | None = None
    link: bytes | None = None
    dropped: list[str] = field(default_factory=list)

    @property
    def any(self) -> bool:
        return self.pax is not None or self.name is not None or self.link is not None


class TarParser:
    """Parses one uncompressed tar stream of which every byte has to make sense.

    With ``skip_special`` device nodes and FIFOs, which have no content, are given with their own
    type flag instead of being refused. Raises UnsafeInputError.
    """

    def __init__(self, data: memoryview, source: object, *, skip_special: bool = False) -> None:
        self._data = data
        self._source = source
        self._skipped = _SPECIAL if skip_special else frozenset()
        self._at = 0

    def headers(self) -> Iterator[Header]:
        """The members in order."""
        if len(self._data) % BLOCK:
            raise self._refuse(
                "the tar stream isn't a whole number of 512-byte blocks (truncated?)"
            )
        pending = _Pending()
        while True:
            block = self._block()
            if block == _ZEROS:
                if pending.any:
                    raise self._refuse("an extended header isn't followed by a member")
                self._check_end()
                return
            kind = self._check_block(block)
            if kind in (b"x", b"g", b"L", b"K"):
                self._extend(kind, block, pending)
                continue
            yield self._member(kind, block, pending)
            seen(self._data, _AROUND)
            pending = _Pending()

    # Blocks

    def _block(self) -> bytes:
        if self._at + BLOCK > len(self._data):
            raise self._refuse("the tar stream ends without its two zero blocks (truncated?)")
        block = bytes(self._data[self._at : self._at + BLOCK])
        self._at += BLOCK
        return block

    def _check_end(self) -> None:
        """After the first zero block there has to be a second, and nothing but zeros after it."""
        if self._block() != _ZEROS:
            raise self._refuse("a single zero block in the middle of the tar stream")
        step = BLOCK * 2048
        while self._at < len(self._data):
            piece = self._data[self._at : self._at + step]
            if any(piece):
                raise self._refuse("there are bytes after the end of the tar stream")
            self._at += len(piece)

    def _check_block(self, block: bytes) -> bytes:
        """Check checksum and magic; return the type flag."""
        stated = self._number(block[148:156], "checksum", "")
        if sum(block[:148]) + 8 * 32 + sum(block[156:]) != stated:
            raise self._refuse("a tar header has a wrong checksum")
        magic = block[257:265]
        if magic not in (b"ustar\x0000", b"ustar  \0"):
            raise self._refuse("a header is neither POSIX ustar nor GNU tar")
        if magic == b"ustar  \0" and any(block[345:500]):
            raise self._refuse("a GNU tar header has incremental or sparse fields")
        # Nothing depends on most of these, but a tool that can't read one stops there.
        for start, end, what in _NUMBERS:
            self._number(block[start:end], what, "")
        return block[156:157]

    def _payload(self, block: bytes, what: str) -> bytes:
        size = self._number(block[124:136], "size", what)
        if size > MAX_EXTENDED:
            raise self._refuse(f"{what} of {size} bytes is longer than {MAX_EXTENDED}")
        return bytes(self._take(size, what))

    def _take(self, size: int, place: str) -> memoryview:
        """The next ``size`` bytes, and step over the padding after them."""
        end = self._at + size
        padded = end + -size % BLOCK
        if padded > len(self._data):
            raise self._refuse(
                f"{size} bytes of content don't fit into what is left of the archive", place
            )
        taken = self._data[self._at : end]
        self._at = padded
        return taken

    def _text(self, block: bytes, start: int, end: int, what: str) -> bytes:
        text, _, rest = block[start:end].partition(b"\0")
        if any(rest):
            raise self._refuse(f"hidden bytes after the end of the {what}", decode(text))
        return text

    def _number(self, raw: bytes, what: str, place: str) -> int:
        """An octal field, or GNU's base 256 for what doesn't fit. Never negative."""
        if raw[0] == 0x80:
            return int.from_bytes(raw[1:], "big")
        match = _OCTAL.match(raw)
        if match is None:
            raise self._refuse(f"the {what} field isn't a number", place)
        return int(match[1] or b"0", 8)

    # Extended headers

    def _extend(self, kind: bytes, block: bytes, pending: _Pending) -> None:
        if kind == b"g":
            if pending.any:
                raise self._refuse("a global header between an extended header and its member")
            found = self._records(self._payload(block, "a global header"))
            if set(found) - {"comment"}:
                raise self._refuse("a global extended header changes what members are")
            return
        if kind == b"x":
            if pending.any:
                raise self._refuse("an extended header over another extended header")
            pending.pax = self._records(self._payload(block, "an extended header"))
            self._check_keywords(pending)
            return
        what = "a GNU long name" if kind == b"L" else "a GNU long link"
        if pending.pax is not None:
            raise self._refuse(f"{what} together with a pax header")
        raw = self._payload(block, what)
        text, end, rest = raw.partition(b"\0")
        if not text or not end or any(rest):
            raise self._refuse(f"{what} isn't one name that ends with a zero byte")
        if (pending.name if kind == b"L" else pending.link) is not None:
            raise self._refuse(f"{what} is given twice")
        if kind == b"L":
            pending.name = text
        else:
            pending.link = text

    def _records(self, data: bytes) -> dict[str, bytes]:
        """The ``length keyword=value`` records of a pax header; each keyword at most once."""
        found: dict[str, bytes] = {}
        at = 0
        while at < len(data):
            match = _PAX_LENGTH.match(data, at)
            end = at + int(match[1]) if match else 0
            if (
                match is None
                or end > len(data)
                or data[end - 1 : end] != b"\n"
                or end <= match.end()
            ):
                raise self._refuse("a pax record is malformed")
            keyword, equals, value = data[match.end() : end - 1].partition(b"=")
            if not keyword or not equals or not keyword.isascii():
                raise self._refuse("a pax record is malformed")
            key = keyword.decode("ascii")
            if key in found:
                raise self._refuse(f"the pax keyword {display(key)} is given twice")
            found[key] = value
            at = end
        return found

    def _check_keywords(self, pending: _Pending) -> None:
        pax = pending.pax or {}
        charset = pax.get("hdrcharset")
        if charset not in (None, b"BINARY", b"ISO-IR 10646 2000 UTF-8"):
            raise self._refuse("a pax header names a character set that isn't UTF-8")
        for key in ("path", "linkpath"):
            value = pax.get(key)
            if value is not None and (not value or b"\0" in value):
                raise self._refuse(f"the pax keyword {key} is empty or holds a zero byte")
        for key in pax:
            if key in ("path", "linkpath", "size", "mtime", "hdrcharset") or key in _HARMLESS:
                continue
            if key.startswith("GNU.") or key in _SIZED:
                raise self._refuse(
                    f"the pax keyword {display(key)} (a sparse file or dump) can't be represented"
                )
            pending.dropped.append(
                "extended attributes"
                if key.startswith(_ATTRIBUTES)
                else f"pax keyword {display(key)}"
            )

    # Members

    def _member(self, kind: bytes, block: bytes, pending: _Pending) -> Header:
        pax = pending.pax or {}
        name = self._name(block, pending)
        place = decode(name)
        if kind in _NOT_REPRESENTED and kind not in self._skipped:
            raise self._refuse(f"{_NOT_REPRESENTED[kind]} can't be part of a layer", place)
        if kind not in (b"0", b"\0", b"1", b"2", b"5") and kind not in self._skipped:
            raise self._refuse(f"the member type {kind!r} is unknown", place)
        size = self._size(block, pax, place)
        if size and kind not in (b"0", b"\0"):
            raise self._refuse("a link or folder with content", place)
        link = pax.get("linkpath") or pending.link or self._text(block, 157, 257, "link name")
        if link and kind not in (b"1", b"2"):
            raise self._refuse("a link target on something that isn't a link", place)
        mode = self._number(block[100:108], "mode", place)
        mtime = self._mtime(block, pax, place)
        data = self._at
        self._take(size, place)
        return Header(
            name=place,
            kind="0" if kind == b"\0" else kind.decode("ascii"),
            mode=mode,
            mtime=mtime,
            size=size,
            link=decode(link),
            data=data,
            dropped=tuple(sorted(set(pending.dropped))),
        )

    def _name(self, block: bytes, pending: _Pending) -> bytes:
        name = self._text(block, 0, 100, "name")
        prefix = self._text(block, 345, 500, "name prefix")
        if pending.pax is not None and "path" in pending.pax:
            return pending.pax["path"]
        if pending.name is not None:
            return pending.name
        return prefix + b"/" + name if prefix else name

    def _size(self, block: bytes, pax: dict[str, bytes], place: str) -> int:
        size = self._number(block[124:136], "size", place)
        if "size" not in pax:
            return size
        text = decode(pax["size"])
        if not _PAX_NUMBER.match(text):
            raise self._refuse("the pax size isn't a number", place)
        # A tool that doesn't know the keyword would go on reading headers at another place.
        if int(text) != size and int(text) <= MAX_OCTAL:
            raise self._refuse("the pax size contradicts the header's", place)
        return int(text)

    def _mtime(self, block: bytes, pax: dict[str, bytes], place: str) -> int:
        """Whole seconds; fractions, which pax can hold, are cut off."""
        if "mtime" in pax:
            match = _PAX_TIME.match(decode(pax["mtime"]))
            if match is None:
                raise self._refuse("the pax time isn't a number of seconds since 1970", place)
            mtime = int(match[1])
        else:
            mtime = self._number(block[136:148], "time", place)
        if mtime > MAX_OCTAL:
            raise self._refuse("the time lies after the year 2242", place)
        return mtime

    def _refuse(self, message: str, place: str = "") -> UnsafeInputError:
        where = display(place) if place else f"byte {max(self._at - BLOCK, 0)} of the tar stream"
        return UnsafeInputError(message, file=self._source, place=where, hint=HINT)
