"""Logs of the recorder, read into the facts of one run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from slim.errors import ConfigError, StorageError, UnsafeInputError
from slim.model.stack import Platform
from slim.system.regular import read_input

MAX_LOG: Final = 256 << 20
"""Bytes of one process's log that slim is willing to read."""
_ESCAPE: Final = re.compile(r"\\(.)")
_ESCAPED: Final = {"t": "\t", "n": "\n", "r": "\r", "\\": "\\"}
_SYSTEMS: Final = {"linux": "linux", "darwin": "macosx", "win32": "win"}
_COUNTS: Final = {"h": 4, "m": 5, "n": 5, "c": 5, "r": 4, "l": 4, "d": 4, "x": 4, "e": 1}
"""Fields of each kind of line, after the kind."""


class Origin(NamedTuple):
    """Place from which something was imported: ``how`` is the function of importlib called."""

    importer: str
    line: int
    how: str


@dataclass(kw_only=True)
class Logged:
    """Facts of a run, as its processes wrote them.

    Paths are relative to the folder that the layers lie in. ``modules`` are files that were loaded
    as modules, ``names`` what was to be imported by name, ``computed`` what import_module was
    called with, each with the places that wanted them;
    ``read`` and ``listed`` are files and folders that Python code opened; ``natives`` libraries and
    programs that it loaded and started. ``lost`` counts lines that couldn't be written.
    """

    platforms: set[Platform] = field(default_factory=set)
    """Platforms that its processes ran on."""
    modules: dict[str, set[Origin]] = field(default_factory=dict)
    names: dict[str, set[Origin]] = field(default_factory=dict)
    computed: dict[str, set[Origin]] = field(default_factory=dict)
    read: set[str] = field(default_factory=set)
    listed: set[str] = field(default_factory=set)
    natives: set[str] = field(default_factory=set)
    lost: int = 0
    processes: int = 0
    """Number of logs."""


def read_logs(folder: Path) -> Logged:
    """Read every log in a folder.

    A last line without an end is what a full disk left of it, and counts as lost. Raises
    UnsafeInputError for other lines that the recorder doesn't write, ConfigError where there is no
    log, and StorageError.
    """
    found = Logged()
    try:
        files = sorted(folder.glob("*.log"))
        if not folder.is_dir():
            raise ConfigError(
                "is no folder of the recorder", file=folder, hint="SLIM_TRACE named one"
            )
    except OSError as error:
        raise StorageError.from_os_error(error, file=folder) from error
    for file in files:
        found.processes += 1
        for number, fields in enumerate(_lines(file, found), 1):
            try:
                _take(found, fields)
            except (ValueError, KeyError):
                raise UnsafeInputError(
                    "not a line of the recorder",
                    file=file,
                    place=f"line {number}",
                    hint="leave the file out, and record the run again",
                ) from None
    return found


def _lines(file: Path, found: Logged) -> Iterator[list[str]]:
    data = read_input(file, MAX_LOG, noun="log")
    *lines, rest = data.decode("utf-8", "surrogateescape").split("\n")
    found.lost += bool(rest)
    for line in lines:
        fields = line.split("\t")
        if "\\" in line:
            fields = [_ESCAPE.sub(lambda match: _ESCAPED[match[1]], text) for text in fields]
        yield fields


def _take(found: Logged, fields: list[str]) -> None:
    kind, *rest = fields
    if len(rest) != _COUNTS[kind]:
        raise ValueError
    match kind:
        case "h":
            system, machine = rest[2], rest[3]
            tag = f"{_SYSTEMS.get(system, system)}_{machine.lower()}"
            found.platforms.add(Platform.parse(tag))
        case "m" | "n" | "c":
            table = _TABLES[kind](found)
            table.setdefault(rest[0], set()).add(Origin(rest[1], int(rest[2]), rest[4]))
        case "e":
            found.lost += int(rest[0])
        case _:
            _PLAIN[kind](found).add(rest[0])


_TABLES: Final[dict[str, Callable[[Logged], dict[str, set[Origin]]]]] = {
    "m": lambda found: found.modules,
    "n": lambda found: found.names,
    "c": lambda found: found.computed,
}
_PLAIN: Final[dict[str, Callable[[Logged], set[str]]]] = {
    "r": lambda found: found.read,
    "l": lambda found: found.listed,
    "d": lambda found: found.natives,
    "x": lambda found: found.natives,
}
