"""Deployment of layers as an installer does it, privately, with single files changed and back."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from slim.errors import StorageError
from slim.formats.base import Content, Member
from slim.model.progress import Progress
from slim.model.record import EntryType, FileKey
from slim.model.stack import Layer, LayerKind, Stack
from slim.verification.dynamic.sandbox import Sandbox

POSTINSTALL: Final = "postinstall.py"
CONFIG: Final = "share/venv/metadata/venvstacks_layer.json"
POSTINSTALL_SECONDS: Final = 900.0

Members = Mapping[str, Sequence[Member]]
"""By layer name, in the order of the archive."""


@dataclass(kw_only=True)
class Deployment:
    """Deployed stack below ``root``, one folder a layer.

    ``failures`` tell for each layer whose post-install step failed how it did.
    """

    root: Path
    stack: Stack
    sandbox: Sandbox
    members: dict[str, dict[str, Member]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    pythons: dict[str, Path] = field(default_factory=dict)
    _stash: dict[FileKey, Path] = field(default_factory=dict)
    _snapshot: dict[str, tuple[int, int]] = field(default_factory=dict)
    _number: Iterator[int] = field(default_factory=itertools.count)

    def python(self, layer: str) -> Path:
        """Return the command that starts a layer's Python."""
        return self.pythons[layer]

    def place(self, key: FileKey) -> Path:
        """Path of a file of a layer."""
        return self.root / key[0] / key[1]

    # -- single files ------------------------------------------------------------------------------

    def put(self, member: Member, layer: str) -> None:
        """Make a file what ``member`` says; :meth:`take_back` brings back what lay there before."""
        key = (layer, member.path)
        place = self.place(key)
        if os.path.lexists(place):
            if key not in self._stash:
                hidden = self.root.parent / f"{self.root.name}-stash" / str(next(self._number))
                hidden.parent.mkdir(exist_ok=True)
                place.rename(hidden)
                self._stash[key] = hidden
            else:
                place.unlink()
        place.parent.mkdir(parents=True, exist_ok=True)
        _write(place, member, self._content(member, layer))
        self._remember(place)

    def take_back(self, key: FileKey) -> None:
        """Undo :meth:`put`."""
        place = self.place(key)
        with contextlib.suppress(FileNotFoundError):
            place.unlink()
        hidden = self._stash.pop(key, None)
        if hidden is not None:
            hidden.rename(place)
            self._remember(place)
            return
        self._snapshot.pop(self._name(place), None)
        parent = place.parent
        while (
            parent != self.root / key[0]
        ):  # a folder that holds nothing would be a namespace package
            try:
                parent.rmdir()
            except OSError:
                break
            parent = parent.parent

    def settle(self) -> None:
        """Keep what was put for good."""
        for hidden in self._stash.values():
            hidden.unlink()
        self._stash.clear()

    def _content(self, member: Member, layer: str) -> Content | None:
        if member.type is EntryType.HARDLINK:
            return self.members[layer][member.link_target or ""].content
        return member.content

    # -- what programs did to it -------------------------------------------------------------------

    def remember(self) -> None:
        """Remember what there is, so that :meth:`changes` can tell what programs changed."""
        self._snapshot = self._state()

    def _state(self) -> dict[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = {}
        stack = [str(self.root)]
        cut = len(str(self.root)) + 1
        while stack:
            with os.scandir(stack.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        stack.append(entry.path)
                        continue
                    status = entry.stat(follow_symlinks=False)
                    found[entry.path[cut:]] = (status.st_size, status.st_mtime_ns)
        return found

    def _name(self, place: Path) -> str:
        return str(place)[len(str(self.root)) + 1 :]

    def _remember(self, place: Path) -> None:
        status = place.lstat()
        self._snapshot[self._name(place)] = (status.st_size, status.st_mtime_ns)

    def changes(self) -> list[str]:
        """Put right what programs changed since :meth:`remember`; return the deployed paths.

        These are files that they created, changed or removed.
        """
        now = self._state()
        changed = sorted(
            path
            for path in self._snapshot.keys() | now.keys()
            if self._snapshot.get(path) != now.get(path)
        )
        for path in changed:
            layer, _, inner = path.replace(os.sep, "/").partition("/")
            member = self.members.get(layer, {}).get(inner)
            place = self.root / path
            with contextlib.suppress(OSError):
                place.unlink()
            if member is not None and path in self._snapshot:
                place.parent.mkdir(parents=True, exist_ok=True)
                _write(place, member, self._content(member, layer))
                self._remember(place)
            else:
                self._snapshot.pop(path, None)
        return changed


def deploy(
    root: Path,
    stack: Stack,
    members: Members,
    sandbox: Sandbox,
    progress: Progress,
    *,
    workers: int = 1,
    prepare: Callable[[Deployment], None] | None = None,
) -> Deployment:
    """Write every layer below ``root``, side by side, and run each ``postinstall.py``.

    It is run with the runtime's Python; ``prepare`` is called before that. Raises StorageError
    where writing fails. Programs that fail don't raise: see ``failures``.
    """
    made = Deployment(root=root, stack=stack, sandbox=sandbox)
    try:
        root.mkdir(parents=True)
        with ThreadPoolExecutor(max_workers=workers) as pool:
            list(
                pool.map(
                    lambda name: _unpack(root / name, members[name]),
                    [layer.name for layer in stack],
                )
            )
    except OSError as error:
        hint = "verification needs room for the stack twice; TMPDIR says where"
        raise StorageError.from_os_error(error, file=error.filename or root, hint=hint) from error
    for layer in stack:
        made.members[layer.name] = {member.path: member for member in members[layer.name]}
        made.pythons[layer.name] = _python(root / layer.name, layer)
        sandbox.show_interpreter(made.pythons[layer.name])
    if prepare is not None:
        prepare(made)
    install(made, progress)
    made.remember()
    return made


def install(made: Deployment, progress: Progress) -> None:
    """Run the post-install step of each layer, the runtime's first."""
    made.failures.clear()
    runtime = next((layer.name for layer in made.stack if layer.kind is LayerKind.RUNTIME), None)
    for layer in made.stack:
        script = made.root / layer.name / POSTINSTALL
        if not script.is_file():
            progress.advance()
            continue
        python = made.python(runtime or layer.name)
        done = made.sandbox.run(
            [str(python), str(script)],
            timeout=POSTINSTALL_SECONDS,
            writable=(made.root,),
            environment={"PYTHONDONTWRITEBYTECODE": ""},
        )
        if done.code != 0:
            errors = done.stderr.decode("utf-8", "replace").strip().splitlines()
            ended = "took too long" if done.timed_out else f"ended with {done.code}"
            ended = f"was stopped: {done.stopped}" if done.stopped else ended
            made.failures[layer.name] = f"{ended}: {errors[-1] if errors else 'no output'}"
        progress.advance()


def _python(folder: Path, layer: Layer) -> Path:
    """Return the layer's Python: as its own metadata says, or where Python usually lies."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        named = json.loads((folder / CONFIG).read_text(encoding="utf-8")).get("python")
        if isinstance(named, str) and not posixpath.normpath(named).startswith(("../", "/")):
            return folder / named
    candidates = ("bin/python", "bin/python3", "Scripts/python.exe", "python.exe")
    version = ".".join((layer.python_version or "3").split(".")[:2])
    return next(
        (
            folder / name
            for name in (*candidates, f"bin/python{version}")
            if (folder / name).exists()
        ),
        folder / candidates[0],
    )


def _unpack(folder: Path, members: Iterable[Member]) -> None:
    """Write members into a fresh folder. Not durable: it is thrown away."""
    contents: dict[str, Content | None] = {}
    made: set[str] = set()
    folder.mkdir()
    for member in members:
        if not member.path:
            continue
        above = (
            member.path if member.type is EntryType.DIRECTORY else posixpath.dirname(member.path)
        )
        if above and above not in made:
            (folder / above).mkdir(parents=True, exist_ok=True)
            made.add(above)
        if member.type is EntryType.DIRECTORY:
            continue  # with permission to write: nothing here is published
        if member.type is EntryType.FILE:
            contents[member.path] = member.content
        source = member.link_target or "" if member.type is EntryType.HARDLINK else member.path
        _write(folder / member.path, member, contents.get(source))


def _write(place: Path, member: Member, content: Content | None) -> None:
    if member.type is EntryType.SYMLINK:
        os.symlink(member.link_target or "", place)  # noqa: PTH211 - the text as it is
        return
    with place.open("xb", buffering=0) as stream:
        for piece in content.chunks() if content else ():
            view = memoryview(piece)
            while view:
                view = view[stream.write(view) :]
    place.chmod(member.mode | 0o600)
    os.utime(place, (member.mtime, member.mtime))


def update(made: Deployment, members: Members, progress: Progress) -> None:
    """Change a deployment into what an installer would make of other members.

    What differs is changed, then the post-install steps run again.
    """
    made.settle()
    for layer in made.stack:
        old = made.members[layer.name]
        new = {member.path: member for member in members[layer.name]}
        made.members[layer.name] = new
        for path in sorted(old.keys() - new.keys()):
            if old[path].type is not EntryType.DIRECTORY:
                made.take_back((layer.name, path))
        for path, member in new.items():
            if member.type is EntryType.DIRECTORY:
                (made.root / layer.name / path).mkdir(parents=True, exist_ok=True)
            elif path not in old or not _same(old[path], member):
                made.put(member, layer.name)
    made.settle()
    install(made, progress)
    made.remember()


def _same(one: Member, other: Member) -> bool:
    return one.content is other.content and (one.type, one.mode, one.link_target) == (
        other.type,
        other.mode,
        other.link_target,
    )
