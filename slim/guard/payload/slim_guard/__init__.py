"""Tells which modules slim removed from this installation, when a program imports one.

``_slim_guard.pth`` imports this module when Python starts. All it does then is to put a finder
behind all others on ``sys.meta_path``: it is asked for modules that nobody else finds, and has the
tables of removed modules read at the first of those. Standard library alone, Python 3.9 or newer.

A folder of which only data is left would be imported as an empty package (PEP 420), and this finder
never be asked. ``hollow-1.txt`` beside this file, and ``hollow-2.txt`` ... of later runs, name such
folders, relative to the folder that this package lies in. In the folders around those, and nowhere
else, Python's own finder is told not to see them.

``SLIM_MISSES`` in the environment names a file that every miss is appended to. ``bring`` may be set
to a function that brings a rest pack: see docs/guard.md of slim.
"""

import os
import sys
from _frozen_importlib_external import FileFinder  # as importlib.machinery, which isn't loaded yet

TYPE_CHECKING = False  # the module typing would cost more than all of this
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    from _typeshed.importlib import PathEntryFinderProtocol

    from ._bring import Pack

bring: "Callable[[Pack], str | None] | None" = None
"""Function of the product's that returns the path of a rest pack, or None if it has none."""


class Finder:
    """The finder behind all others."""

    @staticmethod
    def find_spec(
        name: str, path: "Sequence[str] | None" = None, target: object = None
    ) -> "ModuleSpec | None":
        """Return None for what slim didn't remove, and for probes of what it did.

        Raises ModuleNotFoundError (ImportError for ``from x import y``) for imports of a module
        that slim removed.
        """
        # Python asks for these two whenever it starts.
        if name in ("sitecustomize", "usercustomize") or name.startswith("slim_guard"):
            return None
        from . import _misses

        return _misses.missed(name, path, sys._getframe(1), Finder, bring)


class Around(FileFinder):
    """Python's finder for one folder, which doesn't take hollow folders in it for packages."""

    hollow: "frozenset[str]" = frozenset()
    """Names of hollow folders in it."""

    def find_spec(self, name: str, target: "ModuleType | None" = None) -> "ModuleSpec | None":
        """Return None for a hollow folder, and for all else what Python's finder returns."""
        spec = super().find_spec(name, target)
        empty = spec is not None and spec.loader is None
        return None if empty and name.rpartition(".")[2] in self.hollow else spec


_around: "dict[str, set[str]]" = {}
"""Names of hollow folders, by the folder around them."""
_names: "set[str]" = set()
"""Names of the folders around them: others needn't be looked at."""
_searched: "set[str]" = set()
"""Entries of ``sys.path`` whose lists were read."""


def finder_around(folder: str) -> "PathEntryFinderProtocol":
    """Return the finder for a folder with hollow ones in it.

    An entry of ``sys.path_hooks``: raises ImportError for all other folders.
    """
    _search_new()
    if not _may_be_around(folder):
        raise ImportError("no hollow folder in it")
    hollow = next((_around[known] for known in _around if _is_same(known, folder)), None)
    for hook in sys.path_hooks if hollow else ():
        if hook is finder_around:
            continue
        try:
            finder = hook(folder)
        except ImportError:
            continue
        if type(finder) is FileFinder:  # made as others are, for the same suffixes
            finder.__class__ = Around
            vars(finder)["hollow"] = frozenset(hollow or ())
        return finder
    raise ImportError("no hollow folder in it")


def _may_be_around(folder: object) -> bool:
    """Return whether a folder is called like one with hollow folders in it: most aren't."""
    return isinstance(folder, str) and folder[folder.rfind(os.sep) + 1 :] in _names


def _search_new() -> None:
    """Read the lists of entries of ``sys.path`` that weren't there before."""
    for place in sys.path:
        if isinstance(place, str) and place not in _searched:
            _searched.add(place)
            _search(place)


def _search(place: str) -> None:
    """Read the lists in a folder; finders that were made before are made again."""
    number = 1
    while True:
        try:
            file = os.open("%s/slim_guard/hollow-%d.txt" % (place, number), os.O_RDONLY)
        except (OSError, ValueError):
            return
        try:
            text = os.read(file, os.fstat(file).st_size).decode("utf-8", "surrogateescape")
        finally:
            os.close(file)
        found = set()
        for line in text.splitlines():
            folder, own = os.path.split(os.path.normpath(os.path.join(place, line)))
            found.add(folder)
            _around.setdefault(folder, set()).add(own)
            _names.add(os.path.basename(folder))
        for known in list(sys.path_importer_cache):  # a few, when Python starts
            if _may_be_around(known) and any(_is_same(folder, known) for folder in found):
                sys.path_importer_cache.pop(known, None)
        number += 1


def _is_same(folder: str, other: str) -> bool:
    """Return whether two paths lead to one folder; those of other names aren't looked at."""
    if folder == other:
        return True
    if not isinstance(other, str) or os.path.basename(folder) != os.path.basename(other):
        return False
    try:
        return os.path.samefile(folder, other)
    except (OSError, ValueError):
        return False


if Finder not in sys.meta_path:
    sys.meta_path.append(Finder)
    sys.path_hooks.insert(0, finder_around)
    _search_new()
