"""Logs which modules a program uses that a run of slim would have removed, and removes nothing.

``_slim_canary.pth`` starts it. It does nothing unless ``SLIM_CANARY`` in the environment names a
file. That becomes a trace, which ``slim trace merge`` takes: each module that is looked for, and
each of their sources that is read as data, is appended as it happens. Standard library alone,
Python 3.9 or newer.

``watched-1.txt`` lies beside this file in each layer: a header of ``word value`` lines, an empty
line, and a line for each module: its name, the number of its owner, and its path from the layer's
site folder, as they stand in traces.
"""

import os
import sys

TYPE_CHECKING = False  # the module typing would cost more than all of this
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_FIRST_LINE = "slim canary 1"
_TRACE = b"slim trace 1\n"
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

_modules: "dict[str, str]" = {}
_files: "dict[str, str]" = {}
_read: "set[str]" = set()
_platform = ""


def start() -> None:
    """Watch what the tables of the layers that Python searches name. Never raises OSError."""
    if not os.environ.get("SLIM_CANARY"):
        return
    for place in list(sys.path):
        if isinstance(place, str) and place not in _read:
            _read.add(place)
            _take(place)
    if _modules and Finder not in sys.meta_path:
        sys.meta_path.insert(0, Finder)
        sys.addaudithook(_audit)


def _take(place: str) -> None:
    """Take over the table of a layer, if there is one."""
    global _platform
    try:
        with open(os.path.join(place, "slim_canary", "watched-1.txt"), "rb") as file:
            text = file.read().decode("utf-8", "surrogateescape")
    except (OSError, ValueError):
        return
    head, _, rows = text.partition("\n\n")
    first, *lines = head.splitlines()
    if first != _FIRST_LINE:
        return
    owners, layer = [], ""
    for line in lines:
        word, _, value = line.partition(" ")
        if word == "platform":
            _platform = value
        elif word == "layer":
            layer = value
        elif word == "owner":
            owners.append(value)
    site = os.path.abspath(place)
    for row in rows.splitlines():
        name, number, path = row.split("\t")
        start = "layer %s\n  %s\n    " % (layer, owners[int(number)])
        _modules[name] = "%smodule %s canary\n" % (start, name)
        if not path.startswith('"'):
            _files[os.path.normpath(os.path.join(site, path))] = "%sread %s canary\n" % (
                start,
                path,
            )


class Finder:
    """Finder in front of all others: it finds nothing, and sees what is looked for."""

    @staticmethod
    def find_spec(name: str, path: "Sequence[str] | None" = None, target: object = None) -> None:
        """Note a module that is looked for."""
        text = _modules.pop(name, None)
        if text is not None:
            _append(text)


def _audit(event: str, arguments: "tuple[Any, ...]") -> None:
    """Note a source that is read by anything but Python's import system.

    Whatever goes wrong here would be an error of the program's, so nothing leaves it.
    """
    if event != "open" or not isinstance(arguments[0], str) or not arguments[0].endswith(".py"):
        return
    try:
        if isinstance(arguments[2], int) and arguments[2] & _WRITING:
            return
        if not _is_importing():
            text = _files.pop(os.path.abspath(arguments[0]), None)
            if text is not None:
                _append(text)
    except Exception:
        return


def _is_importing() -> bool:
    """Return whether Python's import system opens the file; nothing in Python does a script."""
    try:
        return sys._getframe(2).f_code.co_filename.startswith("<frozen importlib")
    except ValueError:
        return False


def _append(text: str) -> None:
    """Append to the log. An error of writing is no error of the program's."""
    target = os.environ.get("SLIM_CANARY")
    if not target:
        return
    try:
        if not os.path.exists(target):
            _begin(target)
        file = os.open(target, os.O_RDWR | os.O_APPEND)
        try:
            if os.read(file, len(_TRACE)) == _TRACE:
                os.write(file, text.encode("utf-8", "surrogateescape"))
        finally:
            os.close(file)
    except (OSError, ValueError):
        return


def _begin(target: str) -> None:
    """Make the log, complete with its first lines, unless another process was faster."""
    fresh = "%s.%d" % (target, os.getpid())
    file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        head = "run canary canary\n  on %s canary\n" % _platform
        os.write(file, _TRACE + head.encode("utf-8", "surrogateescape"))
    finally:
        os.close(file)
    try:
        os.link(fresh, target)
    except FileExistsError:
        pass
    finally:
        os.unlink(fresh)
