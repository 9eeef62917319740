"""Imports modules one after the other and tells what happened.

Runs in the stack's own Python (3.9 or newer). ``argv``: a JSON file with ``{"modules": [name, ...],
"root": folder of the deployment}``. One JSON line for each event goes to standard output:
``["start", index]``, then ``["end", index, ok, text, forked, written files, whole]``. Whatever the
modules print is dropped. What a module does to this process (a crash, ``os._exit``, an endless
loop) shows as the missing line.

Sources: the Python documentation of ``sys.addaudithook``, ``os.register_at_fork``.
"""

from __future__ import annotations

import os
import sys

# The script's own folder isn't one that the application would search.
_OWN = os.path.realpath(os.path.dirname(__file__))
sys.path[:] = [entry for entry in sys.path if os.path.realpath(entry or os.curdir) != _OWN]

import importlib  # noqa: E402
import json  # noqa: E402
from typing import Any  # noqa: E402

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

_EVENTS = ("open", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.link")


class _Observer:
    """Observer of what a module does apart from being imported."""

    def __init__(self, root: str) -> None:
        self.root = os.path.join(os.path.realpath(root), "")
        self.written: list[str] = []
        self.forked = False
        self.busy = False

    def audit(self, event: str, arguments: Any) -> None:
        """Take an event of ``sys.addaudithook``: an error here would be one of the module's."""
        if self.busy or event not in _EVENTS:
            return
        self.busy = True
        try:
            if event == "open":
                flags = arguments[2]
                if not isinstance(flags, int) or not flags & _WRITING:
                    return
                paths = arguments[:1]
            elif event in ("os.rename", "os.symlink", "os.link"):
                paths = arguments[1:2]
            else:
                paths = arguments[:1]
            for path in paths:
                if isinstance(path, (str, bytes)):
                    full = os.path.join(os.getcwd(), os.fsdecode(path))
                    folder = os.path.realpath(os.path.dirname(full))
                    if os.path.join(folder, "").startswith(self.root):
                        self.written.append(
                            os.path.join(folder, os.path.basename(full))[len(self.root) :]
                        )
        except Exception:
            return
        finally:
            self.busy = False

    def after_fork(self) -> None:
        """Note that a module forked; the child mustn't go on as if it were this process."""
        self.forked = True


def main() -> None:
    """Import what the job lists."""
    with open(sys.argv[1], encoding="utf-8") as file:
        job = json.load(file)
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    observer = _Observer(job["root"])
    parent = os.getpid()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_parent=observer.after_fork)
    sys.addaudithook(observer.audit)
    sys.argv[:] = [""]
    os.chdir(os.environ.get("TMPDIR", os.getcwd()))
    for index, name in enumerate(job["modules"]):
        channel.write(json.dumps(["start", index]) + "\n")
        observer.written.clear()
        observer.forked = False
        ok, text, whole = True, "", True
        try:
            module = importlib.import_module(name)
            # A folder without __init__ imports as an empty namespace package.
            whole = getattr(module, "__file__", None) is not None or not hasattr(module, "__path__")
        except BaseException as error:
            ok = False
            try:
                text = "%s: %s" % (type(error).__name__, error)
            except BaseException:
                text = type(error).__name__
        if os.getpid() != parent:
            os._exit(0)
        written = sorted(set(observer.written))[:20]
        channel.write(
            json.dumps(["end", index, ok, text[:2000], observer.forked, written, whole]) + "\n"
        )
    channel.flush()
    os._exit(0)


main()
