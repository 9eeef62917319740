"""ELF libraries for tests of the versions that they need, made of a description.

Tables, no code.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

Needs = Mapping[str, Mapping[str, Sequence[str]]]
"""Library to version to the symbols that are bound to it."""

_MACHINES = {"x86_64": 62, "aarch64": 183, "s390x": 22, "i686": 3}
_PROGBITS, _STRTAB, _DYNAMIC, _DYNSYM, _VERNEED, _VERSYM = 1, 3, 6, 11, 0x6FFFFFFE, 0x6FFFFFFF
_WEAK = 2


class _Strings:
    def __init__(self) -> None:
        self.data = b"\0"

    def add(self, text: str) -> int:
        self.data += text.encode() + b"\0"
        return len(self.data) - len(text.encode()) - 1


def versioned(
    needs: Needs | None = None,
    *,
    needed: Sequence[str] = (),
    weak: Sequence[str] = (),
    machine: str = "x86_64",
    interpreter: str = "",
    kind: int = 3,
    osabi: int = 0,
) -> bytes:
    """A library that needs these versions. Symbols of ``weak`` versions may be missing.

    ``needed`` are further libraries, without versions; i686 gives a file of 32 bits, s390x a
    big-endian one.
    """
    wide, order = machine != "i686", ">" if machine == "s390x" else "<"
    strings = _Strings()
    libraries = {name: strings.add(name) for name in (*(needs or {}), *needed)}
    symbols, versions, tables = _tables(needs or {}, libraries, weak, strings, order, wide)
    word = "Q" if wide else "I"
    tags = [(1, at) for at in libraries.values()]
    head = 64 if wide else 52
    program = 56 if wide else 32
    count = 3 if interpreter else 2
    body = bytearray(bytes(head + program * count))
    places: dict[str, tuple[int, int]] = {}
    for name, data in (
        ("interp", interpreter.encode() + b"\0"),
        ("strings", strings.data),
        ("symbols", symbols),
        ("versions", versions),
        ("needs", tables),
    ):
        body += bytes(-len(body) % 8)
        places[name] = (len(body), len(data))
        body += data
    body += bytes(-len(body) % 8)
    tags += [(5, places["strings"][0]), (10, places["strings"][1]), (0, 0)]
    dynamic = b"".join(struct.pack(f"{order}2{word}", *tag) for tag in tags)
    places["dynamic"] = (len(body), len(dynamic))
    body += dynamic
    names = b"\0.dynstr\0.dynsym\0.gnu.version\0.gnu.version_r\0.dynamic\0.shstrtab\0"
    places["names"] = (len(body), len(names))
    body += names
    body += bytes(-len(body) % 8)
    rows = [
        (0, 0, (0, 0), 0, 0),
        (1, _STRTAB, places["strings"], 0, 0),
        (9, _DYNSYM, places["symbols"], 1, 1),
        (17, _VERSYM, places["versions"], 2, 0),
        (30, _VERNEED, places["needs"], 1, len(needs or {})),
        (45, _DYNAMIC, places["dynamic"], 1, 0),
        (54, _STRTAB, places["names"], 0, 0),
    ]
    table = len(body)
    for name, section, (at, size), link, info in rows:
        if section == _VERNEED and not size:
            section = _PROGBITS
        entry = {_DYNSYM: 24 if wide else 16, _VERSYM: 2}.get(section, 0)
        flags = 2 if section and at != places["names"][0] else 0
        address = at if flags else 0
        body += struct.pack(
            f"{order}2I4{word}2I2{word}",
            name,
            section,
            flags,
            address,
            at,
            size,
            link,
            info,
            1,
            entry,
        )
    segments = [(1, 0, len(body)), (2, *places["dynamic"])]
    if interpreter:
        segments.append((3, *places["interp"]))
    for number, (segment, at, size) in enumerate(segments):
        fields = (segment, 4, at, at, at, size, size, 1)
        if not wide:
            fields = (segment, at, at, at, size, size, 4, 1)
        layout = f"{order}2I6Q" if wide else f"{order}8I"
        struct.pack_into(layout, body, head + number * program, *fields)
    ident = bytes([0x7F, *b"ELF", 2 if wide else 1, 2 if order == ">" else 1, 1, osabi]).ljust(
        16, b"\0"
    )
    body[:16] = ident
    struct.pack_into(
        f"{order}2HI3{word}I6H", body, 16, kind, _MACHINES[machine], 1, 0, head, table, 0,
        head, program, count, 64 if wide else 40, len(rows), len(rows) - 1,
    )  # fmt: skip
    return bytes(body)


def _tables(
    needs: Needs,
    libraries: Mapping[str, int],
    weak: Sequence[str],
    strings: _Strings,
    order: str,
    wide: bool,
) -> tuple[bytes, bytes, bytes]:
    """The contents of ``.dynsym``, ``.gnu.version`` and ``.gnu.version_r``."""
    symbol = struct.Struct(f"{order}IBBHQQ" if wide else f"{order}IIIBBH")
    symbols, versions, table = bytes(symbol.size), [0], b""
    index = 2
    for library, wanted in needs.items():
        auxiliaries = b""
        for number, (version, names) in enumerate(wanted.items()):
            further = 16 if number + 1 < len(wanted) else 0
            flags = _WEAK if version in weak else 0
            auxiliaries += struct.pack(
                f"{order}IHHII", 0, flags, index, strings.add(version), further
            )
            for name in names:
                fields = (strings.add(name), 0x12, 0, 0, 0, 0)
                symbols += symbol.pack(*(fields if wide else (fields[0], 0, 0, 0x12, 0, 0)))
                versions.append(index)
            index += 1
        last = library == list(needs)[-1]
        size = 0 if last else 16 + len(auxiliaries)
        table += struct.pack(f"{order}HHIII", 1, len(wanted), libraries[library], 16, size)
        table += auxiliaries
    return symbols, struct.pack(f"{order}{len(versions)}H", *versions), table
