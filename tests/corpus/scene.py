"""A place where hostile input is tried: a good stack, a bad one, and canaries around them."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import json
import os
import random
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import slim.config.load
from slim.cli import main
from slim.delta.create import MakeRequest, make
from slim.model.rule import RulePack
from slim.passes import SCHEMAS
from slim.rules.loader import builtin_packs
from tests.support.published_stacks import MTIME, SITE, LayerSpec, distribution, publish, write_json

ABSOLUTE = Path("/v")
"""Where archives with absolute names would write."""

_BUDGET = 'schema = 1\n[[budget]]\nunpacked = "1 TiB"\n'


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Scene:
    """``good`` is an honest stack of one layer, ``bad`` the one that is tried.

    ``out`` is where results go.

    ``top/v`` and ``top/work/v`` are canaries: what an archive's ``../v`` would hit, whether it is
    unpacked into the current folder, beside the output or into the temporary folder.
    """

    top: Path

    @property
    def work(self) -> Path:
        return self.top / "work"

    @property
    def good(self) -> Path:
        return self.work / "good"

    @property
    def bad(self) -> Path:
        return self.work / "bad"

    @property
    def out(self) -> Path:
        return self.work / "out"

    @property
    def delta(self) -> Path:
        """An update package that the good stack is the old one of."""
        return self.work / "delta"

    @property
    def budget(self) -> Path:
        return self.work / "budget.toml"

    @property
    def manifest(self) -> Path:
        return self.bad / "__venvstacks__" / "venvstacks.json"

    def run(self, *arguments: str | Path) -> Ended:
        """Run slim in this process, in the scene's folder, with its own temporary folder."""
        out, err = io.StringIO(), io.StringIO()
        with (
            contextlib.chdir(self.work),
            mock.patch.dict(os.environ, {"TMPDIR": str(self.top / "tmp"), "NO_COLOR": "1"}),
            mock.patch.object(tempfile, "tempdir", str(self.top / "tmp")),
            mock.patch.object(slim.config.load, "builtin_packs", _packs),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            os.environ.pop("SLIM_DEBUG", None)
            code = main([str(one) for one in arguments])
        return Ended(code, out.getvalue(), err.getvalue())

    def state(self) -> dict[str, tuple[object, ...]]:
        """Everything but the output: type, mode, links, content, times.

        Folders that slim stages in are known by what is in them, not by when that changed.
        """
        staged_in = {str(self.work), str(self.top / "tmp")}
        output = str(self.out)
        found: dict[str, tuple[object, ...]] = {}
        folders = [str(self.top)]
        while folders:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.path == output:
                        continue
                    status = entry.stat(follow_symlinks=False)
                    path = Path(entry.path)
                    if stat.S_ISDIR(status.st_mode):
                        folders.append(entry.path)
                    is_link = stat.S_ISLNK(status.st_mode)
                    is_file = path.is_file() if is_link else stat.S_ISREG(status.st_mode)
                    content = _digest(path) if is_file else ""
                    link = str(path.readlink()) if is_link else ""
                    staging = entry.path in staged_in
                    times = (0, 0) if staging else (status.st_nlink, status.st_mtime_ns)
                    found[entry.path] = (status.st_mode, *times, content, link)
        return found


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@functools.cache
def _read_packs() -> tuple[RulePack, ...]:
    return builtin_packs(SCHEMAS)


def _packs(schemas: object) -> tuple[RulePack, ...]:
    """The built-in rules, read once: a thousand command lines don't differ in these."""
    del schemas
    return _read_packs()


def good_stack(folder: Path, layer: str, platform: str, version: str = "1") -> None:
    """Publish an honest stack of one layer."""
    code = {"lib/__init__.py": f"x = {version}\n", "lib/tests/test_x.py": "assert True\n"}
    files = {**distribution("lib", code), "noise.bin": random.Random(1).randbytes(5000)}
    publish(folder, {layer: LayerSpec(kind="application", files=files)}, platform=platform)


@functools.cache
def _good_files(layer: str, platform: str) -> dict[str, bytes]:
    """The files of an honest stack: built once, since a thousand scenes have the same."""
    with tempfile.TemporaryDirectory(prefix="corpus-") as top:
        good_stack(Path(top), layer, platform)
        return _contents(Path(top))


@functools.cache
def update(layer: str, platform: str, version: str = "1") -> dict[str, bytes]:
    """The files of an honest update package for the good stack of a version."""
    with tempfile.TemporaryDirectory(prefix="corpus-") as top:
        old, new, output = (Path(top) / name for name in ("old", "new", "delta"))
        good_stack(old, layer, platform, version)
        good_stack(new, layer, platform, "2")
        make(MakeRequest(old=old, new=new, output=output))
        return _contents(output)


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def _lay_out(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


@contextlib.contextmanager
def scene(layer: str = "app", *, platform: str = "linux_x86_64") -> Iterator[Scene]:
    """Make a scene; the good and the bad stack are the same at first.

    ``layer`` is the install target.
    """
    with tempfile.TemporaryDirectory(prefix="corpus-") as top:
        made = Scene(Path(top).resolve())
        for canary in (made.top / "v", made.work / "v"):
            canary.mkdir(parents=True)
            (canary / "flag").write_text("untouched")
            (canary / "twin").hardlink_to(canary / "flag")
            for path in (canary / "flag", canary):
                os.utime(path, (MTIME, MTIME))
        (made.top / "tmp").mkdir()
        for stack in (made.good, made.bad):
            _lay_out(stack, _good_files(layer, platform))
        _lay_out(made.delta, update(layer, platform))
        made.budget.write_text(_BUDGET)
        yield made


def put_archive(made: Scene, name: str, data: bytes | Callable[[Path], None]) -> Path:
    """The archive of the bad stack's layer is this one, truly named by the manifest."""

    def change(entry: dict[str, object]) -> None:
        (made.bad / str(entry["archive_name"])).unlink()
        place = made.bad / name
        if callable(data):
            data(place)
        else:
            place.write_bytes(data)
        with place.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        entry.update(
            archive_name=name, archive_size=place.stat().st_size, archive_hashes={"sha256": digest}
        )

    change_entry(made, change)
    return made.bad / name


def change_entry(made: Scene, change: Callable[[dict[str, object]], None]) -> None:
    """Change the layer's entry in the bad stack's manifest."""
    manifest = json.loads(made.manifest.read_text())
    (entry,) = manifest["layers"]["applications"]
    change(entry)
    write_json(made.manifest, manifest)
    write_json(
        made.bad / "__venvstacks__" / "env_metadata" / f"{entry['install_target']}.json", entry
    )


Line = Callable[[Scene], list[str | Path]]

COMMANDS: dict[str, Line] = {
    "run": lambda made: ["run", made.bad, "-o", made.out],
    "audit": lambda made: ["audit", made.bad],
    "check": lambda made: ["check", made.bad, "--budget", made.budget],
    "diff": lambda made: ["diff", made.good, made.bad],
    "verify": lambda made: ["verify", made.good, made.bad],
    "explain": lambda made: ["explain", made.bad, "no/such/file"],
    "delta": lambda made: ["delta", made.good, made.bad, "-o", made.out],
    "delta of old": lambda made: ["delta", made.bad, made.good, "-o", made.out],
    "delta apply": lambda made: ["delta", "apply", made.bad, made.delta, "-o", made.out],
}
"""Every command that reads a stack, as it is given the bad one."""

__all__ = [
    "ABSOLUTE",
    "COMMANDS",
    "SITE",
    "Ended",
    "Scene",
    "change_entry",
    "good_stack",
    "put_archive",
    "scene",
    "update",
]
