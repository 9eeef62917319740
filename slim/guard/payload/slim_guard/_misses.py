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
    from types import FrameType

    from ._bring import Pack
    from ._tables import Table

_BOOTSTRAP = "<frozen importlib._bootstrap>"
_MANY = 10_000
"""Misses that a process tells; a program that wants more is in a loop."""

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
    for table in _tables.tables():
        found = table.find(name)
        if found is not None:
            break
    else:
        return None
    finders = list(sys.meta_path)
    later = finders[finders.index(own) + 1 :] if own in finders else []
    spec = _ask(later, name, path)
    if spec is not None:
        return spec
    how, importer = _manner(asking, name)
    rule, glob = found
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
    if how == "names":
        return None
    raise _error(how, name, table, rule, glob, problem)


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
    why = "slim removed %%s from layer %s (rule %s).%s " % (table.layer, rule, problem)
    keep = 'To keep it, put this into slim.toml and run slim again: keep = ["%s"]' % glob
    if how != "from":
        text = "No module named %r: %s%s" % (name, why % "it", keep)
        return ModuleNotFoundError(text, name=name)
    package, _, own = name.rpartition(".")
    place = getattr(sys.modules.get(package), "__file__", None) or "unknown location"
    beginning = "cannot import name %r from %r (%s): " % (own, package, place)
    return ImportError(beginning + why % ("module " + name) + keep, name=package, path=place)


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
