"""Entry points of a stack: of its distributions, of stray metadata, and of build files that stay.

``importlib.metadata`` finds the entry points of a ``.dist-info`` or ``.egg-info`` folder that has
no METADATA, and a project that was unpacked by hand may be installed from its ``setup.cfg``.

Sources: PyPA specifications "Entry points" and "Declaring project metadata", the setuptools
documentation ("Declarative configuration").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from slim.analysis import ReadFile
from slim.analysis.imports.modules import as_bytes
from slim.inventory.distributions import parse_entry_points
from slim.model.record import EntryPoint, EntryType, FileKey, FileRecord, Inventory

_STRAY = re.compile(r"(?:.*/)?(?:[^/]+\.(?:dist|egg)-info|EGG-INFO)/entry_points\.txt\Z")
_BUILD_FILE = re.compile(r"(?:.*/)?(setup\.cfg|pyproject\.toml)\Z")
_SECTION = re.compile(r"\s*+\[++([^\]#]+)\]+")
_POINTS = re.compile(
    r"""(?:options\.)?entry_points|(?:project|tool\.[\w-]+)\.
    (?:(?:gui-)?scripts|entry-points|plugins)(?:\.[\w."'-]+)?""",
    re.VERBOSE,
)
_POINT = re.compile(
    r"""["']?([\w.-]+)["']?\s*=\s*["']?([^\W\d]\w*(?:\.[^\W\d]\w*)*(?::[\w.]+)?)\s*(?:\[|["',]|$)"""
)
MAX_BUILD_FILE = 1 << 20
"""Bytes of the largest build file that is read; nobody writes larger ones."""


class DeclaredPoint(NamedTuple):
    """An entry point, the label of what declares it, and that file (None if it isn't there)."""

    point: EntryPoint
    label: str
    path: str
    """Deployed path of the file that declares it."""
    record: FileRecord | None


def declared_points(inventory: Inventory, read: ReadFile) -> Iterator[DeclaredPoint]:
    """Yield every entry point that anything in the stack declares."""
    known: set[str] = set()
    for distributions in inventory.distributions.values():
        for distribution in distributions.values():
            path = f"{distribution.info_dir}/entry_points.txt"
            record = inventory.get((distribution.layer, path))
            deployed = f"{distribution.layer}/{path}"
            known.add(deployed)
            for point in distribution.entry_points:
                yield DeclaredPoint(point, distribution.owner.label, deployed, record)
    for record in inventory:
        if record.type is not EntryType.FILE or record.size > MAX_BUILD_FILE:
            continue
        points: list[EntryPoint] = []
        if _STRAY.match(record.path) and record.deployed_path not in known:
            points = list(parse_entry_points(bytes(read(record))))
        elif _BUILD_FILE.match(record.path):
            points = list(points_of_build_file(bytes(read(record)).decode("utf-8", "replace")))
        for point in points:
            yield DeclaredPoint(point, record.path, record.deployed_path, record)


def points_of_build_file(text: str) -> Iterator[EntryPoint]:
    """Yield the entry points that a ``setup.cfg`` or ``pyproject.toml`` declares.

    Reads line by line, since what stays may be cut short or be of a newer format.
    """
    group = ""
    for line in text.splitlines():
        section = _SECTION.match(line) if line[:1] == "[" else None
        if section is not None:
            name = section[1].strip()
            group = name if _POINTS.fullmatch(name) else ""
        elif group and not line.lstrip().startswith(("#", ";")):
            for name, value in _POINT.findall(line):
                yield EntryPoint(group=group, name=name, value=value)


class PointLines:
    """The lines on which files declare entry points; each file is read once."""

    def __init__(self, read: ReadFile) -> None:
        self._read = read
        self._lines: dict[FileKey, dict[bytes, int]] = {}

    def of(self, record: FileRecord, name: str) -> int | None:
        """The line (from 1) on which a file declares an entry point of that name; None: on none."""
        if record.key not in self._lines:
            found = self._lines[record.key] = {}
            for number, line in enumerate(bytes(self._read(record)).split(b"\n"), 1):
                declared, sign, _ = line.partition(b"=")
                if sign:
                    found.setdefault(declared.strip(b" \t"), number)
        return self._lines[record.key].get(as_bytes(name))
