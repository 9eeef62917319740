"""Files of a folder that name the very folder by its absolute path: a copy of it runs the original.

The post-install step of venvstacks writes ``pyvenv.cfg`` and ``sitecustomize.py`` with absolute
paths; installers write such paths into scripts, ``.pth`` files, the finders of editable packages,
and kernels of Jupyter. In the slimmed copy they still lead into the original, so that trying the
copy proves nothing.

Sources: CPython documentation of ``site`` and ``sys._base_executable``; PEP 405.
"""

from __future__ import annotations

import os
import posixpath
import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from slim.formats.names import display
from slim.inventory.load import LoadedStack
from slim.inventory.manifest import POSTINSTALL
from slim.model.plan import Plan
from slim.model.record import EntryType, FileRecord, Inventory
from slim.model.stack import Layer, LayerKind, Stack, StackKind

_LOOKED_AT: Final = 1 << 16
"""Bytes at the beginning of a file that are looked at."""
_MAX_NAMES: Final = 3
"""Files that a warning names; the rest is counted."""
_SCRIPTS: Final = re.compile(r"(?:.*/)?(?:bin|Scripts)/[^/]+\Z")
_MADE: Final = ("pyvenv.cfg", "sitecustomize.py")
"""Names of the files that the post-install step writes anew."""
_PATHS: Final = (".pth", "._pth", ".egg-link")
_READ: Final = re.compile(
    r"usercustomize\.py|__editable__.*\.py|kernel\.json|qt\.conf|.*\.desktop"
    r"|[Aa]ctivate(?:[._-].*)?"
)
"""Names of other files by which programs find modules, libraries, or the Python to start."""
_PYTHONS: Final = ("bin/python", "bin/python3", "python.exe", "Scripts/python.exe")
# "command" in pyvenv.cfg is for people: Python doesn't read it.
_COMMAND: Final = re.compile(rb"^command *=.*$", re.MULTILINE)


def origin_warnings(loaded: LoadedStack, plan: Plan) -> Iterator[str]:
    """Yield a warning for each layer that keeps files which lead into the folder it is read from.

    Only folders have such a place: what was published is unpacked anywhere.
    """
    stack = loaded.stack
    if stack.kind not in (StackKind.EXPORT, StackKind.BUILD, StackKind.FOLDER):
        return
    folders = _spellings([stack.source, *map(str, loaded.places.values())])
    for layer in stack:
        found = [
            record
            for record in loaded.inventory.records[layer.name].values()
            if _may_hold(record)
            and not plan.removes(record.key)
            and _leads_back(record, bytes(loaded.read(record)[:_LOOKED_AT]), folders)
        ]
        if found:
            yield _warning(layer, found, stack, loaded.inventory)


def _spellings(places: Iterable[str]) -> re.Pattern[bytes]:
    """Return a pattern for absolute paths into these folders, also as Python quotes them."""
    paths = {path for place in places for path in (Path(place).absolute(), Path(place).resolve())}
    spelled = {os.fsencode(path) for path in paths if path != path.parent}
    spelled |= {path.replace(b"\\", b"\\\\") for path in spelled}
    either = b"|".join(re.escape(path) for path in sorted(spelled)) or rb"(?!)"
    return re.compile(rb"(?<![\w./-])(?:" + either + rb")(?![\w.-])")


def _may_hold(record: FileRecord) -> bool:
    name = posixpath.basename(record.path)
    return (
        record.type is EntryType.FILE
        and record.native is None
        and (_is_read(name) or _SCRIPTS.match(record.path) is not None)
    )


def _is_read(name: str) -> bool:
    return name in _MADE or name.endswith(_PATHS) or _READ.fullmatch(name) is not None


def _leads_back(record: FileRecord, text: bytes, folders: re.Pattern[bytes]) -> bool:
    name = posixpath.basename(record.path)
    if name == "pyvenv.cfg":
        text = _COMMAND.sub(b"", text)
    elif not _is_read(name) and not text.startswith(b"#!"):
        return False
    return folders.search(text) is not None


def _warning(layer: Layer, found: list[FileRecord], stack: Stack, inventory: Inventory) -> str:
    """Say which files lead back, and what to do about it."""
    steps: list[str] = []
    others = found
    if POSTINSTALL in inventory.records[layer.name]:
        made = [record for record in found if posixpath.basename(record.path) in _MADE]
        others = [record for record in found if record not in made]
        if made:
            command = (
                f"{_python(layer, stack, inventory)} {shlex.quote(f'{layer.name}/{POSTINSTALL}')}"
            )
            steps.append(f"run the post-install step at the new place, in OUT: {command}")
    if others:
        steps.append(f"write {_names(others)} anew")
    return (
        f"{display(layer.name)}: {_names(found)}: absolute paths lead into the folder that was "
        "read, so the copy uses files of the original and trying it proves nothing; "
        f"{', and '.join(steps)}"
    )


def _python(layer: Layer, stack: Stack, inventory: Inventory) -> str:
    """Return the runtime's Python below the folder of the layers, for a shell."""
    runtimes = [
        other.name
        for other in stack
        if other.kind is LayerKind.RUNTIME and other.name in (layer.name, *layer.requires)
    ]
    for name in (*runtimes, layer.name):
        for path in _PYTHONS:
            if path in inventory.records[name]:
                return shlex.quote(f"{name}/{path}")
    return "python3"


def _names(records: list[FileRecord]) -> str:
    shown = ", ".join(display(record.path) for record in records[:_MAX_NAMES])
    more = len(records) - _MAX_NAMES
    return f"{shown} and {more:,} more" if more > 0 else shown
