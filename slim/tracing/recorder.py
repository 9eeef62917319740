"""Recorder of what a Python process uses, for CPython 3.9 and later on any system.

A ``.pth`` file in a layer's site-packages starts it. It needs nothing but this one file, and
imports nothing that isn't loaded anyway: what it imported, the program's own import wouldn't show.
``slim trace`` places it into a copy of a stack; a product that carries it is recorded when
``SLIM_TRACE`` names a folder.

Each fact is a line that is written when it happens, by one write(2) to a file opened for appending:
a signal, ``os._exit``, a crash or a fork loses none. Fields are separated by tabs; paths are
relative to the folder that the layers lie in. Lines:

    h VERSION TAG PLATFORM MACHINE      the process: CPython, its cache tag, system, machine
    m PATH   IMPORTER LINE PHASE HOW    a file that was loaded as a module
    n NAME   IMPORTER LINE PHASE HOW    an import of what wasn't loaded yet, found or not
    c NAME   IMPORTER LINE PHASE HOW    a call of import_module, whether or not NAME was loaded
    r PATH   READER   LINE PHASE        a file that Python code opened to read
    l PATH   READER   LINE PHASE        a folder that Python code listed
    d PATH   READER   LINE PHASE        a library that Python code loaded
    x PATH   STARTER  LINE PHASE        a program that Python code started
    e NUMBER                            so many lines before this one couldn't be written

PHASE is ``start`` (Python is starting), ``load`` (a module's top level runs) or ``call`` (in a
function). HOW is the function of importlib that was called, such as ``import_module``, or empty for
what Python's own import system did.

Sources: PEP 578 (audit hooks), the Python documentation's table of audit events, ``site`` (.pth).
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

NAME = "slim_recorder"
VARIABLE = "SLIM_TRACE"
_LAYER = ("share", "venv", "metadata", "venvstacks_layer.json")
_IMPORTLIB = frozenset(
    (
        "importlib",
        "importlib._bootstrap",
        "importlib._bootstrap_external",
        "_frozen_importlib",
        "_frozen_importlib_external",
        NAME,
    )
)
_COMPILERS = frozenset(("py_compile", "compileall"))
_LISTERS = frozenset(("compileall", "importlib.metadata", "site"))
_NO_NAMES = frozenset(("", ".", ".."))
_WRITES = os.O_WRONLY
_POSIX = os.name == "posix"


def start(logs: "str | None" = None, root: "str | None" = None) -> None:
    """Record this process, once, into the folder ``logs``; without one, what ``SLIM_TRACE`` names.

    ``root`` is the folder that the layers lie in. Never raises: a program isn't to fail for it.
    """
    try:
        if getattr(sys, "_slim_recorder", None) is not None:
            return
        logs = logs or os.environ.get(VARIABLE)
        if not logs:
            return
        logs = os.path.abspath(logs)
        if not os.path.isdir(logs):
            os.makedirs(logs, exist_ok=True)
        recorder = _Recorder(logs, root or _root())
        sys._slim_recorder = recorder  # type: ignore[attr-defined]
        recorder.start()
    except Exception as error:
        _complain("nothing is recorded: %s" % error)


def _root() -> str:
    """Return the folder that the layers lie in: the one around this file's layer."""
    folder = os.path.dirname(os.path.abspath(__file__))
    while os.path.dirname(folder) != folder:
        if os.path.isfile(os.path.join(folder, *_LAYER)):
            return os.path.dirname(folder)
        folder = os.path.dirname(folder)
    return os.path.dirname(os.path.abspath(sys.prefix))


def _complain(text: str) -> None:
    try:
        os.write(2, ("slim recorder: %s\n" % text).encode("utf-8", "backslashreplace"))
    except Exception:
        pass


def _escaped(text: str) -> str:
    text = text.replace("\\", "\\\\").replace("\t", "\\t")
    return text.replace("\n", "\\n").replace("\r", "\\r")


class _Recorder:
    """State of one process and of those that it forks."""

    def __init__(self, logs: str, root: str) -> None:
        self._logs = logs
        self._fd = -1
        self._identity: tuple[int, int] | None = None
        self._seen: set[tuple[str, str]] = set()
        self._importers: dict[str, str] = {}
        self._calls: set[tuple[Any, ...]] = set()
        self._lines: dict[tuple[str, str, int, int], int] = {}
        self._inner_folders: dict[str, str] = {}
        self._lost = 0
        self._starting = True
        self._roots = tuple(
            dict.fromkeys(
                self._folded(os.path.join(place, ""))
                for place in (os.path.abspath(root), os.path.realpath(root))
            )
        )
        self._own = self._folded(os.path.join(logs, ""))
        self._handlers = {
            "open": self._opened,
            "import": self._imported,
            "os.listdir": self._listed,
            "os.scandir": self._listed,
            "ctypes.dlopen": self._loaded,
            "sqlite3.connect": self._connected,
            "os.link": self._connected,
            "subprocess.Popen": self._started,
            "os.exec": self._started,
            "os.posix_spawn": self._started,
            "os.spawn": self._spawned,
        }

    def start(self) -> None:
        """Write what is loaded already, and begin."""
        uname = getattr(os, "uname", None)
        machine = uname().machine if uname is not None else ""
        machine = machine or os.environ.get("PROCESSOR_ARCHITECTURE", "")
        version = "%d.%d.%d" % sys.version_info[:3]
        self._write(("h", version, sys.implementation.cache_tag or "", sys.platform, machine))
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            path = self._inner(file) if file else ""
            if path:
                self._note("m", path, "", 0, "start", "")
            else:
                self._note("n", name, "", 0, "start", "")
        handlers = self._handlers

        def hook(event: str, arguments: "tuple[Any, ...]", find: "Any" = handlers.get) -> None:
            handler = find(event)
            if handler is not None:
                try:
                    handler(arguments)
                except Exception:
                    return

        sys.addaudithook(hook)
        self._wrap()

    def _wrap(self) -> None:
        """Note calls of import_module for what is loaded already, of which no event tells."""
        import importlib

        original = importlib.import_module

        def import_module(name: str, package: "str | None" = None) -> "Any":
            try:
                self._computed(name, package, sys._getframe(1))
            except Exception:
                return original(name, package)
            return original(name, package)

        for attribute in ("__module__", "__qualname__", "__doc__"):
            setattr(import_module, attribute, getattr(original, attribute))
        import_module.__wrapped__ = original  # type: ignore[attr-defined]
        importlib.import_module = import_module

    def _computed(self, name: str, package: "str | None", frame: "FrameType") -> None:
        where = (name, package or "", frame.f_code.co_filename, frame.f_lineno)
        if where in self._calls:
            return
        self._calls.add(where)
        if name.startswith(".") and package:
            bare = name.lstrip(".")
            parts = package.split(".")
            name = ".".join((*parts[: len(parts) - (len(name) - len(bare)) + 1], bare))
        importer, line, phase, _ = self._caller(frame)
        self._write(("c", name, importer, str(line), phase, "import_module"))

    # -- events ------------------------------------------------------------------------------------

    def _opened(self, arguments: "tuple[Any, ...]") -> None:
        path, _, flags = arguments
        if type(path) is int or (type(flags) is int and flags & _WRITES):
            return
        path = self._inner(path)
        if not path:
            return
        try:
            frame = sys._getframe(2)
        except ValueError:  # the program itself, which C code opens
            self._note("m" if path.endswith((".py", ".pyc", ".pyw")) else "r", path, "", 0, "", "")
            return
        if _name(frame) in _IMPORTLIB and frame.f_code.co_name == "get_data":
            above = frame.f_back
            if above is not None and _name(above) in _IMPORTLIB:
                if above.f_code.co_name == "get_code":
                    if ("m", path) not in self._seen:
                        self._note("m", path, *self._caller(above))
                    return
            elif above is not None and _name(above) in _COMPILERS:
                return
        if _name(frame) not in _COMPILERS and ("r", path) not in self._seen:
            self._note("r", path, *self._caller(frame)[:3])

    def _imported(self, arguments: "tuple[Any, ...]") -> None:
        name, file = arguments[0], arguments[1]
        kind, what = "n", name
        if file:
            kind, what = "m", self._inner(file)
        if what and (kind, what) not in self._seen:
            try:
                frame = sys._getframe(2)
            except ValueError:
                self._note(kind, what, "", 0, "start" if self._starting else "load", "")
                return
            self._note(kind, what, *self._caller(frame))

    def _listed(self, arguments: "tuple[Any, ...]") -> None:
        path = arguments[0]
        if type(path) is int:
            return
        path = self._inner(os.getcwd() if path is None else path)
        if path and ("l", path) not in self._seen:
            frame = sys._getframe(2)
            if _name(frame) in _IMPORTLIB or self._is_lister(frame):
                return
            self._note("l", path, *self._caller(frame)[:3])

    def _is_lister(self, frame: "FrameType | None") -> bool:
        """Return whether a module lists folders for what doesn't depend on the files in them."""
        while frame is not None:
            name = _name(frame)
            if name in _LISTERS:
                return True
            if name not in ("os", "pathlib", "pathlib._local", "zipfile"):
                return False
            frame = frame.f_back
        return False

    def _loaded(self, arguments: "tuple[Any, ...]") -> None:
        self._file("d", arguments[0])

    def _connected(self, arguments: "tuple[Any, ...]") -> None:
        self._file("r", arguments[0])

    def _started(self, arguments: "tuple[Any, ...]") -> None:
        program = arguments[0]
        if program is None and len(arguments) > 1 and arguments[1]:  # Popen without executable
            first = arguments[1]
            program = first if isinstance(first, (str, bytes)) else first[0]
        self._file("x", program)

    def _spawned(self, arguments: "tuple[Any, ...]") -> None:
        self._file("x", arguments[1])

    def _file(self, kind: str, path: "Any") -> None:
        path = self._inner(path) if path is not None and type(path) is not int else ""
        if path and (kind, path) not in self._seen:
            self._note(kind, path, *self._caller(sys._getframe(3))[:3])

    # -- places ------------------------------------------------------------------------------------

    @staticmethod
    def _folded(path: str) -> str:
        return path if _POSIX else os.path.normcase(path)

    def _inner(self, path: "Any") -> str:
        """Return a path relative to the layers' folder; empty for what lies elsewhere."""
        if type(path) is not str:
            path = os.fsdecode(path)
        if not _POSIX or path[:1] != "/":
            return self._resolved(path)
        folder, _, name = path.rpartition("/")
        if name in _NO_NAMES:
            return self._resolved(path)
        start = self._inner_folders.get(folder)
        if start is None:
            whole = self._resolved(folder + "/x")
            start = self._inner_folders[folder] = whole[:-1] if whole else "/"
        return "" if start == "/" or NAME in name else start + name

    def _resolved(self, path: str) -> str:
        """Return a path relative to the layers' folder, without what is remembered of folders."""
        if _POSIX:
            if path[:1] != "/":
                path = os.path.join(os.getcwd(), path)
            if "/." in path or "//" in path:
                path = os.path.normpath(path)
            folded = path
        else:
            path = os.path.normpath(os.path.join(os.getcwd(), path))
            if path.startswith("\\\\?\\"):
                path = path[4:]
            folded = os.path.normcase(path)
        if not folded.startswith(self._roots) or folded.startswith(self._own):
            return ""
        root = next(root for root in self._roots if folded.startswith(root))
        inner = path[len(root) :] if _POSIX else path[len(root) :].replace(os.sep, "/")
        return "" if NAME in inner else inner

    def _caller(self, frame: "FrameType | None") -> "tuple[str, int, str, str]":
        """Return importer, line, phase, and the function of importlib that the importer called."""
        how = ""
        while frame is not None:
            name = frame.f_globals.get("__name__")
            if type(name) is not str or name not in _IMPORTLIB:
                break
            how = frame.f_code.co_name
            frame = frame.f_back
        if frame is None:
            return "", 0, "start" if self._starting else "load", how
        phase = "load" if frame.f_code.co_name == "<module>" else "call"
        if self._starting:
            last = frame
            while last.f_back is not None:
                last = last.f_back
            if _name(last) == "site":
                phase = "start"
            else:
                self._starting = False
        file = frame.f_code.co_filename
        importer = self._importers.get(file)
        if importer is None:
            importer = self._inner(file) if file[:1] != "<" else ""
            self._importers[file] = importer
        if how in ("_find_and_load", "_handle_fromlist"):
            how = ""
        # Python counts lines from the start of the code each time.
        code = frame.f_code
        place = (code.co_filename, code.co_name, code.co_firstlineno, frame.f_lasti)
        line = self._lines.get(place)
        if line is None:
            line = self._lines[place] = frame.f_lineno or 0
        return importer, line, phase, how

    # -- the file ----------------------------------------------------------------------------------

    def _note(self, kind: str, what: str, *rest: object) -> None:
        if (kind, what) not in self._seen:
            self._seen.add((kind, what))
            self._write((kind, what, *map(str, rest)))

    def _write(self, fields: "tuple[str, ...]") -> None:
        line = "\t".join(fields)
        odd = "\\" in line or "\n" in line or "\r" in line or line.count("\t") >= len(fields)
        line = ("\t".join(map(_escaped, fields)) if odd else line) + "\n"
        if self._lost:
            line = "e\t%d\n%s" % (self._lost, line)
        try:
            data = line.encode("utf-8", "surrogateescape")
        except UnicodeError:
            data = line.encode("utf-8", "backslashreplace")
        try:
            try:
                now = os.fstat(self._fd)
                fits = (now.st_dev, now.st_ino) == self._identity
            except OSError:  # the program closed it, as daemons do, or nothing is open yet
                fits = False
            if not fits:
                self._open()
            os.write(self._fd, data)
            self._lost = 0
        except OSError as error:
            if not self._lost:
                _complain("lines are lost: %s" % error)
            self._lost += 1

    def _open(self) -> None:
        """Open this process's file. Its old descriptor isn't closed: it is another file's now."""
        path = os.path.join(self._logs, "%d.log" % os.getpid())
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        self._fd = os.open(path, flags | getattr(os, "O_CLOEXEC", 0), 0o600)
        now = os.fstat(self._fd)
        self._identity = (now.st_dev, now.st_ino)


def _name(frame: "FrameType") -> str:
    name = frame.f_globals.get("__name__")
    return name if type(name) is str else ""
