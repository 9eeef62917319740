"""Code that reads the type stubs of whatever module it finds, as tools for documentation do.

Such code asks where a module's file is (its spec's ``origin``, ``inspect.getfile``), and puts the
suffix of stubs in the place of the file's own, or adds a letter to it. Sphinx takes a compiled
module's signatures from there.

Source: Sphinx, changes of 8.2 ("autodoc: Support type stubs of native modules").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial

from slim.analysis import ReadFile
from slim.analysis.python_code import (
    MOST_BYTECODE,
    is_lone_bytecode,
    is_python_script,
    strings_in_bytecode,
)
from slim.analysis.remembering import Remembering, plain
from slim.model.finding import Evidence
from slim.model.record import EntryType, FileKey, FileKind, FileRecord, Inventory, OwnerKind

_SUFFIX = b".pyi"
_MADE = re.compile(rb"[\"'}]\.pyi[\"']")
"""The suffix alone, or behind what an f-string puts in."""
_ADDED = re.compile(
    rb"(?:\bget(?:source|abs)?file\([^()\n]*\)|\.origin|\.__file__)\s*(?:\+\s*[\"']i[\"']|\}i[\"'])"
)
"""The place of a module's source with one letter more."""
_BOUND = re.compile(
    rb"\b(\w{1,60})\s*:?=[^\n=]{0,200}?"
    rb"(?:\bget(?:source|abs)?file\(|\.origin\b|\.__file__\b|\bget_filename\()"
)
"""A variable that holds the place of a module."""
_LETTER_MORE = re.compile(rb"\b(\w{1,60})\s*\+\s*[\"']i[\"']|\{(\w{1,60})\}i[\"']")
_IN_BYTECODE = frozenset({"origin", "getfile", "getsourcefile", "get_filename", "find_spec"})
_LETTERS = (b'"i"', b"'i'", b'}i"', b"}i'")
_FINDS = re.compile(
    rb"\.origin\b|\.loader\.path\b|\b(?:get(?:source)?file|find_spec|get_filename|find_module)\s*\("
)
_READS = plain("reads-found-stubs", bool)


def stub_readers(
    inventory: Inventory, read: ReadFile, readings: Remembering | None = None
) -> Mapping[FileKey, Evidence]:
    """Return the Python files that read stubs of modules which they find, each with what shows it.

    Neither the standard library (IDLE's browser knows the suffix) nor test suites count.
    """
    known = readings or Remembering()
    found: dict[FileKey, Evidence] = {}
    for record in inventory:
        if (
            record.type is not EntryType.FILE
            or record.owner.kind is OwnerKind.RUNTIME
            or record.kind is FileKind.TESTS
        ):
            continue
        if not (
            record.path.endswith(".py")
            or is_lone_bytecode(record)
            or is_python_script(record, read)
        ):
            continue
        if known.of_record(_READS, record, partial(_reads, record, read)):
            found[record.key] = Evidence(
                kind="reads-stubs",
                text="reads stubs beside the modules that it finds",
                file=record.deployed_path,
            )
    return found


def _reads(record: FileRecord, read: ReadFile) -> bool:
    source = bytes(read(record))
    if is_lone_bytecode(record):
        return _SUFFIX in source and (
            len(source) > MOST_BYTECODE or not _IN_BYTECODE.isdisjoint(strings_in_bytecode(source))
        )
    if any(letter in source for letter in _LETTERS) and _adds_letter(source):
        return True
    return (
        _SUFFIX in source and _MADE.search(source) is not None and _FINDS.search(source) is not None
    )


def _adds_letter(source: bytes) -> bool:
    """Return whether code adds a letter to the place of a module, or to what holds one."""
    if _ADDED.search(source) is not None:
        return True
    bound = set(_BOUND.findall(source))
    return any(name in bound for found in _LETTER_MORE.findall(source) for name in found if name)
