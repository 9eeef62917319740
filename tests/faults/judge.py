"""Judges a folder after a fault: old or new, whole or broken; and whether the input changed."""

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

Tree = Mapping[str, str]
"""Type and content of everything below a folder, by path."""

_TIMES = re.compile(
    rb'(?<="elapsed_seconds": )[0-9.e-]+|(?<="second-opinion": )[0-9.e-]+|\b[0-9.]+ s\b'
)
_LEFT = re.compile(r"(^|/)(\.slim-|slim-work-|slim-\w+\.spool|\..*\.tmp$)")


def tree(top: Path) -> Tree:
    """All files at and below a path, byte for byte, without the times that reports took."""
    found: dict[str, str] = {}
    if top.is_symlink() or top.is_file():
        return {"": _content(top)}
    for path in sorted(top.rglob("*")) if top.exists() else ():
        found[str(path.relative_to(top))] = _content(path)
    return found


def _content(path: Path) -> str:
    if path.is_symlink():
        return f"link {path.readlink()}"
    if path.is_dir():
        return "folder"
    return "file " + hashlib.sha256(_TIMES.sub(b"0", path.read_bytes())).hexdigest()


def inodes(top: Path) -> dict[str, tuple[object, ...]]:
    """Content and inode of all files below the input: mode, owner, link count, times."""
    found: dict[str, tuple[object, ...]] = {}
    for path in (top, *sorted(top.rglob("*"))):
        status = path.lstat()
        digest = (
            hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(status.st_mode) else ""
        )
        times = (status.st_mtime_ns, status.st_ctime_ns)
        owned = (status.st_ino, status.st_mode, status.st_uid, status.st_gid, status.st_nlink)
        found[str(path.relative_to(top))] = (digest, *owned, *times)
    return found


@dataclass(frozen=True)
class Known:
    """Allowed states: the one before, and the one that a run without faults makes of it.

    ``outputs`` are the paths (below the folder worked in) that a run replaces, each in one step.
    Those that are ``growing`` are added to instead, a file in one step.
    """

    before: Tree
    after: Tree
    outputs: tuple[str, ...]
    growing: tuple[str, ...] = ()

    def state(self, now: Tree) -> str | None:
        """State of the outputs; None if something is broken.

        ``old`` or ``new``; with several outputs, a mixture of whole ones; ``aside``: nothing is
        there, but the old set lies whole next to it; ``part``: some files are added, and all old
        ones are there.
        """
        states = []
        for output in self.outputs:
            lies, old = below(now, output), below(self.before, output)
            aside = [below(self.before, name) for name in self.before if _is_aside(name, output)]
            moved = [below(now, name) for name in now if _is_aside(name, output)]
            if lies == below(self.after, output):
                states.append("new")
            elif lies and lies in (old, *aside):
                states.append("old")
            elif not lies and any(one in (old, *aside) for one in moved):
                states.append("aside")
            elif not lies and not old and not aside:
                states.append("old")
            elif output in self.growing and _is_between(lies, old, below(self.after, output)):
                states.append("part")
            else:
                return None
        return states[0] if len(set(states)) == 1 else "+".join(states)

    def is_whole(self, now: Tree) -> bool:
        """True for exactly one of the two states, without leftovers."""
        return now in (self.before, self.after)


def _is_between(lies: Tree, old: Tree, new: Tree) -> bool:
    """True if every file is an old or a new one, and no old one is missing."""
    return old.keys() <= lies.keys() and all(
        what in (old.get(path), new.get(path)) for path, what in lies.items()
    )


def _is_aside(name: str, output: str) -> bool:
    return name.startswith(f".slim-old-{output}.") and "/" not in name


def below(whole: Tree, top: str) -> Tree:
    """The part of a tree at and below a path, as if it stood alone."""
    return {
        path[len(top) :]: what
        for path, what in whole.items()
        if path == top or path.startswith(f"{top}/")
    }


def leftovers(now: Tree) -> list[str]:
    """Files that a run left behind."""
    return [path for path in now if _LEFT.search(path)]
