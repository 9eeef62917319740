"""Judges a module that nobody finds, by the tables, and by the frames that ask for it.

Probes (``importlib.util.find_spec``) see what they would see without the guard. Imports fail as
they would, with the same error and more words. Sources: the Python documentation of
``sys.meta_path``; ``Lib/importlib/_bootstrap.py`` (the same functions from Python 3.9 to 3.14).
"""

import os
import sys

from . import _tables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import FrameType, TracebackType

    from ._bring import Pack
    from ._tables import Table

_BOOTSTRAP = "<frozen importlib._bootstrap>"
_MANY = 10_000
"""Misses that a process tells; a program that wants more is in a loop."""
_SHOWN = 60
"""Names in what is told of swallowed errors: Pillow asks for its 40 plug-ins at once."""
_REMOVED = "slim removed "
"""What each message has."""

_logged: "set[tuple[str, ...]]" = set()


def missed(
    name: str,
    path: "Sequence[str] | None",
    asking: "FrameType | None",
    own: object,
    bring: "Callable[[Pack], str | None] | None",
) -> "ModuleSpec | None":
    """Judge a module that no finder before ``own`` found; ``asking`` is the frame that asked.

    Raises ModuleNotFoundError, or ImportError for ``from x import y``, if slim removed it and
    somebody imports it. ``bring`` is the product's function for rest packs, if it has one.
    """
    gone = _gone(name)
    if gone is None:
        return None
    table, (rule, glob) = gone
    finders = list(sys.meta_path)
    later = finders[finders.index(own) + 1 :] if own in finders else []
    spec = _ask(later, name, path)
    if spec is not None:
        return spec
    how, importer = _manner(asking, name)
    log(how, name, table.layer, rule, importer)
    if how == "probe":
        return None
    problem = ""
    if bring is not None and "pack" in table.header:
        from . import _bring

        problem = _bring.brought(table, bring)
        others = [finder for finder in sys.meta_path if finder is not own]
        spec = None if problem else _ask(others, name, path)
        if spec is not None:
            return spec
        problem = " " + (problem or "The rest pack doesn't have it.")
    _last.remember(name, glob)
    if how == "names":
        return None
    raise _error(how, name, table, rule, glob, problem)


def _gone(name: str) -> "tuple[Table, tuple[str, str]] | None":
    """Return the table that has a module, and what it says; None for a module that none has."""
    for table in _tables.tables():
        found = table.find(name)
        if found is not None:
            return table, found
    return None


def _ask(
    finders: "Sequence[object]", name: str, path: "Sequence[str] | None"
) -> "ModuleSpec | None":
    for finder in finders:
        find = getattr(finder, "find_spec", None)
        spec: "ModuleSpec | None" = None if find is None else find(name, path, None)
        if spec is not None:
            return spec
    return None


def _manner(frame: "FrameType | None", name: str) -> "tuple[str, FrameType | None]":
    """Return how a module is asked for, and the frame of the code that does.

    ``import``, also of what ``python -m`` is to run; ``from`` (``from x import y``); ``names`` for
    other uses of a list of names, which mean attributes as well as modules and so never fail here;
    ``probe`` for anything else.
    """
    outer = None if frame is None else frame.f_back
    is_import = (
        frame is not None
        and outer is not None
        and _is(frame, "_find_spec")
        and _is(outer, "_find_and_load_unlocked")
    )
    from_list = False
    while frame is not None and _is_machinery(frame):
        from_list = from_list or _is(frame, "_handle_fromlist")
        frame = frame.f_back
    if not is_import:
        runs = frame is not None and frame.f_globals.get("__name__") == "runpy"
        return "import" if runs else "probe", frame
    if not from_list:
        return "import", frame
    own = name.rpartition(".")[2]
    return "from" if frame is not None and own in frame.f_code.co_names else "names", frame


def _is(frame: "FrameType", function: str) -> bool:
    return frame.f_code.co_name == function and frame.f_code.co_filename == _BOOTSTRAP


def _is_machinery(frame: "FrameType") -> bool:
    return str(frame.f_globals.get("__name__")).startswith(("importlib", "_frozen_importlib"))


def _error(how: str, name: str, table: "Table", rule: str, glob: str, problem: str) -> ImportError:
    why = "%s%%s from layer %s (rule %s).%s " % (_REMOVED, table.layer, rule, problem)
    keep = 'To keep it, put this into slim.toml and run slim again: keep = ["%s"]' % glob
    if how != "from":
        text = "No module named %r: %s%s" % (name, why % "it", keep)
        return ModuleNotFoundError(text, name=name)
    package, _, own = name.rpartition(".")
    place = getattr(sys.modules.get(package), "__file__", None) or "unknown location"
    beginning = "cannot import name %r from %r (%s): " % (own, package, place)
    return ImportError(beginning + why % ("module " + name) + keep, name=package, path=place)


class _Last:
    """The end of a program that swallowed an error of the guard's, and failed for another reason.

    Pillow passes over plug-ins that can't be imported, and saving then ends with ``KeyError:
    'WEBP'``. Once there was such an error, ``sys.excepthook`` says so below the traceback.
    """

    def __init__(self) -> None:
        self._globs: "dict[str, str]" = {}
        self._before = sys.excepthook

    def remember(self, name: str, glob: str) -> None:
        """Have an error that ends the program tell of a module, in case nobody sees this one."""
        if not self._globs:
            self._before, sys.excepthook = sys.excepthook, self._tell
        if len(self._globs) < _MANY:
            self._globs[name] = glob

    def _tell(
        self, kind: "type[BaseException]", error: BaseException, trace: "TracebackType | None"
    ) -> None:
        self._before(kind, error, trace)
        if not issubclass(kind, Exception) or _has_message(error) or sys.stderr is None:
            return
        names = list(self._globs)
        more = " and %d more" % (len(names) - _SHOWN) if len(names) > _SHOWN else ""
        text = (
            "%s%s%s, which this program tried to import before; that may be why it failed. "
            "To keep such a module, put a line like this into slim.toml and run slim again: "
            'keep = ["%s"]\n'
        ) % (_REMOVED, ", ".join(names[:_SHOWN]), more, self._globs[names[0]])
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except (OSError, ValueError):
            return


_last = _Last()


def _has_message(error: "BaseException | None") -> bool:
    """Return whether a traceback shows a message of the guard's, among an error's causes too."""
    seen: "set[int]" = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, ImportError) and _REMOVED in str(error):
            return True
        seen.add(id(error))
        hidden = error.__suppress_context__ or error.__cause__ is not None
        error = error.__cause__ if hidden else error.__context__
    return False


def log(how: str, name: str, layer: str, rule: str, importer: "FrameType | None") -> None:
    """Append a line to the file that ``SLIM_MISSES`` names: once for each place that asks.

    It is there as soon as this returns, whatever becomes of the process. An error of writing is
    no error of the program's.
    """
    target = os.environ.get("SLIM_MISSES")
    if not target:
        return
    module, line = "", "0"
    if importer is not None:
        module, line = str(importer.f_globals.get("__name__", "")), str(importer.f_lineno)
    row = (how, name, layer, rule, module, line)
    if row in _logged or len(_logged) >= _MANY:
        return
    _logged.add(row)
    text = "\t".join("".join(c if c.isprintable() else "?" for c in cell) for cell in row) + "\n"
    try:
        file = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            os.write(file, text.encode("utf-8", "backslashreplace"))
        finally:
            os.close(file)
    except (OSError, ValueError):
        return
