"""Tells which modules slim removed from this installation, when a program imports one.

``_slim_guard.pth`` imports this module when Python starts. All it does then is to put a finder
behind all others on ``sys.meta_path``: it is asked for modules that nobody else finds, and has the
tables of removed modules read at the first of those. Standard library alone, Python 3.9 or newer.

``SLIM_MISSES`` in the environment names a file that every miss is appended to. ``bring`` may be set
to a function that brings a rest pack: see docs/guard.md of slim.
"""

import sys

TYPE_CHECKING = False  # the module typing would cost more than all of this
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec

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


if Finder not in sys.meta_path:
    sys.meta_path.append(Finder)
