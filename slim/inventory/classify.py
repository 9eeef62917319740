"""The category of a file, as a person would name it.

Categories are for counting; rules don't use them.
"""

from __future__ import annotations

import posixpath
import re

from slim.inventory.distributions import is_licence_name
from slim.model.record import FileKind, NativeFormat

_EXTENSION_NAME = re.compile(r"\.(cpython-\d+[^/]*|abi3|cp\d+-[^/]*|pypy\d+[^/]*)\.(so|pyd)\Z")
_TEST_NAME = re.compile(r"(test_[^/]*\.py|conftest\.py)\Z")
_DEBUG_SUFFIXES = (".pdb", ".debug", ".dwo", ".dwp", ".ilk")
_SUFFIXES: dict[str, FileKind] = {
    ".py": FileKind.PYTHON,
    ".pyw": FileKind.PYTHON,
    ".pyc": FileKind.BYTECODE,
    ".pyo": FileKind.BYTECODE,
    ".pyi": FileKind.STUBS,
    ".pyx": FileKind.SOURCES,
    ".pxd": FileKind.SOURCES,
    ".pxi": FileKind.SOURCES,
    ".c": FileKind.SOURCES,
    ".cc": FileKind.SOURCES,
    ".cpp": FileKind.SOURCES,
    ".cu": FileKind.SOURCES,
    ".f": FileKind.SOURCES,
    ".f90": FileKind.SOURCES,
    ".h": FileKind.HEADERS,
    ".hh": FileKind.HEADERS,
    ".hpp": FileKind.HEADERS,
    ".cuh": FileKind.HEADERS,
    ".inl": FileKind.HEADERS,
    ".a": FileKind.STATIC,
    ".lib": FileKind.STATIC,
    ".o": FileKind.STATIC,
    ".md": FileKind.DOCS,
    ".rst": FileKind.DOCS,
    ".html": FileKind.DOCS,
    ".mo": FileKind.LOCALE,
    ".po": FileKind.LOCALE,
    ".pdb": FileKind.DEBUG,
}
_DOC_FOLDERS = frozenset({"doc", "docs", "man", "help"})
_LOCALE_FOLDERS = frozenset({"locale", "locales", "locale-data", "translations"})


def classify(
    path: str, *, native: NativeFormat | None, exports_module: bool, is_licence: bool = False
) -> FileKind:
    """Return the category of a regular file, by its path in the layer and its native format.

    ``exports_module``: the native file defines the init function of a Python module of its own
    name; ``is_licence``: its distribution declares it as a licence file.
    """
    name = posixpath.basename(path)
    folders = path.split("/")[:-1]
    suffix = posixpath.splitext(name)[1].lower()
    if is_licence or is_licence_name(path):
        return FileKind.LICENCE
    if any(folder.endswith((".dist-info", ".egg-info")) for folder in folders) or path.startswith(
        "share/venv/meta"
    ):
        return FileKind.METADATA
    if name.endswith(_DEBUG_SUFFIXES) or any(folder.endswith(".dSYM") for folder in folders):
        return FileKind.DEBUG
    if "tests" in folders or "test" in folders or _TEST_NAME.match(name):
        return FileKind.TESTS
    if native is not None:
        return _native_kind(name, suffix, native, exports_module)
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    if _LOCALE_FOLDERS.intersection(folders):
        return FileKind.LOCALE
    if _DOC_FOLDERS.intersection(folders):
        return FileKind.DOCS
    return FileKind.DATA


def _native_kind(name: str, suffix: str, native: NativeFormat, exports_module: bool) -> FileKind:
    if native is NativeFormat.ARCHIVE:
        return FileKind.STATIC
    if suffix == ".o":
        return FileKind.STATIC
    if exports_module or suffix == ".pyd" or _EXTENSION_NAME.search(name):
        return FileKind.EXTENSION
    if suffix in (".so", ".dll", ".dylib") or ".so." in name:
        return FileKind.LIBRARY
    return FileKind.EXECUTABLE
