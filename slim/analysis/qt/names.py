"""Names of Qt's modules, as PySide6 and PyQt6 lay them out on Linux, macOS and Windows.

===========  =======================================================  ==========================
part         PySide6                                                  PyQt6
===========  =======================================================  ==========================
extension    ``QtQuick.abi3.so``, ``QtQuick.pyd``, ``QtQuick.pyi``    the same
Linux        ``Qt/lib/libQt6Quick.so.6``                              ``Qt6/lib/libQt6Quick.so.6``
macOS        ``Qt/lib/QtQuick.framework``                             ``Qt6/lib/...``
Windows      ``Qt6Quick.dll``                                         ``Qt6/bin/Qt6Quick.dll``
===========  =======================================================  ==========================

Sources: the wheels of both, and "Deploying Qt Applications" of Qt's documentation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

_BINDING = r"(?P<root>(?:.*/)?(?:PySide6|PyQt6))/"
_FILE = re.compile(
    _BINDING + r"(?:Qt(?P<extension>\w+)(?:\.[\w-]+)?\.(?:so|pyd)"
    r"|Qt(?P<stub>\w+)\.pyi"
    r"|(?:Qt6?/(?:lib|bin)/)?(?:"
    r"libQt6(?P<elf>\w+)\.so\.6|Qt6(?P<dll>\w+)\.dll|Qt(?P<framework>\w+)\.framework/.+))\Z"
)
_NEEDED = re.compile(
    r"(?:.*/)?(?:libQt6(?P<elf>\w+)\.so\.6"
    r"|Qt6(?P<dll>\w+)\.dll"
    r"|Qt(?P<framework>\w+)\.framework/(?:Versions/\w+/)?Qt\w+)\Z",
    re.I,
)
_QML = re.compile(_BINDING + r"(?:Qt6?/)?qml/(?P<rest>.+)\Z")


class Part(StrEnum):
    """Parts that a module of Qt has in a binding."""

    EXTENSION = "extension"
    STUB = "stub"
    LIBRARY = "library"


@dataclass(frozen=True, slots=True)
class ModuleFile:
    """File of one Qt module: the binding's folder, the module's name (``Quick``), and the part."""

    root: str
    module: str
    part: Part


def module_file(path: str) -> ModuleFile | None:
    """Return the Qt module whose file lies at a path; None for every other file."""
    found = _FILE.match(path)
    if found is None:
        return None
    if found["extension"]:
        return ModuleFile(found["root"], found["extension"], Part.EXTENSION)
    if found["stub"]:
        return ModuleFile(found["root"], found["stub"], Part.STUB)
    name = found["elf"] or found["dll"] or found["framework"]
    return ModuleFile(found["root"], name, Part.LIBRARY)


def needed_module(name: str) -> str | None:
    """Return the Qt module that a needed library's name means, whether it is there or not."""
    found = _NEEDED.match(name)
    return None if found is None else found["elf"] or found["dll"] or found["framework"]


def root_of(path: str) -> str | None:
    """Return the binding's folder around a path, with its own name; None outside of any."""
    found = re.match(_BINDING, path)
    return None if found is None else found["root"]


def qml_path(path: str) -> str | None:
    """Return a file's path below the folder ``qml`` of a binding; None for every other file."""
    found = _QML.match(path)
    return None if found is None else found["rest"]
