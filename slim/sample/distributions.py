"""Packages of the framework layer: installed distributions, by the files in their RECORD.

Source: PyPA "Recording installed projects" and "Core metadata"; PEP 508 for the requirements.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from slim.errors import StorageError
from slim.sample.contents import LayerContents

ROOTS = ("click", "jinja2", "packaging", "pyelftools", "rich", "tomlkit", "zstandard")
"""Requirements of slim itself: installed wherever slim is, and different enough to be a sample.

They have pure Python, an extension module with its symbols, a large native library, type stubs and
tests. Others that slim requires would make the sample larger than it needs to be.
"""


def closure(roots: Iterable[str] = ROOTS) -> dict[str, metadata.Distribution]:
    """Return the installed distributions that ``roots`` need here, with themselves, by name.

    Extras are not followed. Raises StorageError where one isn't installed.
    """
    found: dict[str, metadata.Distribution] = {}
    waiting: list[str] = [canonicalize_name(name) for name in roots]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            raise StorageError(
                "isn't installed, and the sample stack is made from it",
                file=name,
                hint="install slim with its requirements: pip install venvstacks-slim",
            ) from None
        waiting.extend(_required_by(found[name]))
    return dict(sorted(found.items()))


def _required_by(distribution: metadata.Distribution) -> list[str]:
    names: list[str] = []
    for line in distribution.requires or ():
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue  # written before PEP 508; pip would have refused it had it mattered
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            names.append(canonicalize_name(requirement.name))
    return names


def add_distribution(
    contents: LayerContents, site: str, distribution: metadata.Distribution
) -> None:
    """Add a distribution's files below the folder ``site``, with a RECORD that names just these.

    Bytecode and scripts stay behind, as a layer has neither. Raises StorageError where the
    distribution has no RECORD (Debian removes it from its packages) or a file is missing.
    """
    record = distribution.read_text("RECORD")
    if record is None:
        raise StorageError(
            "was installed without a RECORD, so nobody knows which files are its own",
            file=distribution.metadata["Name"],
            hint="install slim with pip into a virtual environment",
        )
    rows = [row for row in csv.reader(io.StringIO(record, newline="")) if row and _travels(row[0])]
    for name, *_ in rows:
        contents.add_file(f"{site}/{name}", Path(str(distribution.locate_file(name))))
    own = next(name for name, *_ in rows if name.endswith(".dist-info/RECORD"))
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    contents.add_bytes(f"{site}/{own}", text.getvalue().encode())


def _travels(name: str) -> bool:
    """Return whether a RECORD row is about a file in site-packages that isn't bytecode."""
    parts = Path(name).parts
    return not (
        Path(name).is_absolute() or ".." in parts or "__pycache__" in parts or name.endswith(".pyc")
    )
