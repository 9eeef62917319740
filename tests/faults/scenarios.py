"""The runs that faults are injected into, each in a folder of its own."""

from __future__ import annotations

import json
import os
import random
import shutil
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slim.cli import main
from tests.corpus.natives import ELF
from tests.faults.changes import FOLDER_CHANGES, STACK_CHANGES, Change, within
from tests.faults.judge import Known, inodes, tree
from tests.faults.tracing import Run, Zygote
from tests.support.published_stacks import SITE, STDLIB, LayerSpec, publish

_COMMON = ("--jobs", "1", "--no-config")


def _stack(folder: Path) -> None:
    """Small stack that loses files in two layers; its archives have a second name."""
    runtime = {
        f"{STDLIB}/os.py": "x = 1\n",
        f"{STDLIB}/site.py": "x = 1\n",
        f"{STDLIB}/test/t.py": "import os\n",
    }
    framework = {f"{SITE}/maths.py": "x = 1\n", f"{SITE}/maths.pyi": "x: int\n"}
    publish(
        folder / "in",
        {
            "cpython": LayerSpec("runtime", runtime),
            "framework-b": LayerSpec("framework", framework),
        },
    )
    (folder / "twins").mkdir()
    for archive in (folder / "in").glob("*.tar.xz"):
        os.link(archive, folder / "twins" / archive.name)


def _folder(folder: Path) -> None:
    """One of the layers, unpacked."""
    _stack(folder)
    with tarfile.open(folder / "in" / "cpython.tar.xz") as archive:
        archive.extractall(folder / "tree", filter="tar")
    shutil.rmtree(folder / "in")
    (folder / "tree" / "cpython").rename(folder / "in")
    (folder / "tree").rmdir()


def _slim(*arguments: str | Path) -> None:
    """Make an input with slim itself."""
    if main([*map(str, arguments)]):
        raise RuntimeError(f"slim {arguments[0]} failed")


def _removed(folder: Path) -> None:
    """A stack that lost something, and the store that has it."""
    _stack(folder)
    (folder / "in").rename(folder / "whole")
    shutil.rmtree(folder / "twins")
    (folder / "in").mkdir()
    store = folder / "in" / "removed.tar.zst"
    _slim(
        "run",
        folder / "whole",
        "-o",
        folder / "in" / "slim",
        "--keep-removed",
        store,
        "-q",
        *_COMMON,
    )


def _versions(folder: Path) -> None:
    """Two stacks. From one to the other a layer stays, one is patched, and one comes new."""
    noise = random.Random(5).randbytes(3000)
    layers = {"cpython": LayerSpec("runtime", {f"{STDLIB}/os.py": "x = 1\n"})}
    for version in ("old", "new"):
        files = {f"{SITE}/noise.bin": noise, f"{SITE}/maths.py": f"x = '{version}'\n"}
        layers["framework-b"] = LayerSpec("framework", files)
        if version == "new":
            layers["framework-c"] = LayerSpec("framework", {f"{SITE}/more.py": "x = 1\n"})
        publish(folder / "in" / version, layers)


def _update(folder: Path) -> None:
    """The old one of two stacks, and the delta to the new one."""
    _versions(folder)
    _slim(
        "delta", folder / "in" / "old", folder / "in" / "new", "-o", folder / "in" / "delta", "-q"
    )
    shutil.rmtree(folder / "in" / "new")


def _native(folder: Path) -> None:
    """A layer with a library that has something for debuggers."""
    files = {f"{STDLIB}/os.py": "x = 1\n", f"{STDLIB}/lib-dynload/native.so": ELF}
    publish(folder / "in", {"cpython": LayerSpec("runtime", files)})


def _nothing(work: Path) -> None:
    """No output yet."""


def _old_set(work: Path) -> None:
    (work / "out" / "sub").mkdir(parents=True)
    (work / "out" / "cpython.tar.xz").write_bytes(b"old archive")
    (work / "out" / "sub" / "old.json").write_text('{"old": true}')


def _old_and_reports(work: Path) -> None:
    _old_set(work)
    (work / "report.json").write_text('{"old": true}')
    (work / "summary.md").write_text("old\n")


def _old_and_kept(work: Path) -> None:
    _old_set(work)
    (work / "removed.tar.zst").write_bytes(b"old archive")


def _old_and_symbols(work: Path) -> None:
    """An earlier run has left symbols of another library."""
    _old_set(work)
    place = work / "symbols" / ".build-id" / "ab" / "cdef.debug"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"old symbols")
    row = {
        **{
            "layer": "cpython",
            "path": "lib/old.so",
            "platform": "linux_x86_64",
            "format": "elf",
            "id": "abcdef",
        },
        **{
            "file": ".build-id/ab/cdef.debug",
            "size": 11,
            "original": {"size": 1, "sha256": "0" * 64},
            "stripped": None,
        },
    }
    index = {"schema": "urn:slim:symbols:v1", "schema_version": 1, "files": [row]}
    (work / "symbols" / "index.json").write_text(json.dumps(index))


def _killed_between_two_renames(work: Path) -> None:
    """Leftovers of a killed run that couldn't exchange: the old set aside, the new one staged."""
    _old_set(work)
    (work / "out").rename(work / ".slim-old-out.abcdefgh")
    (work / ".slim-staging-out.abcdefgh" / "set").mkdir(parents=True)
    (work / ".slim-staging-out.abcdefgh" / "set" / "half").write_text("half")
    (work / ".slim-lock-out").touch()


@dataclass(frozen=True)
class Scenario:
    """One command line. ``argv`` runs in a folder with the input ``in`` and the folder ``work``.

    ``again`` is the next run after a fault; ``always`` are injections that every run has;
    ``absent`` says that the old set may be found moved aside, for the next run to put back;
    ``never`` are mixtures of whole outputs that mustn't be. ``growing`` are outputs that a run adds
    files to, one after the other. ``changes`` may happen to the input. ``surrounded`` runs are also
    tried on full and read-only file systems, with limits, and two at a time.
    """

    name: str
    summary: str
    argv: tuple[str, ...]
    make: Callable[[Path], None] = _stack
    before: Callable[[Path], None] = _nothing
    outputs: tuple[str, ...] = ("out",)
    program: str = "slim"
    always: tuple[str, ...] = ()
    absent: bool = False
    never: tuple[str, ...] = ()
    growing: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    surrounded: bool = False

    @property
    def tampered(self) -> set[str]:
        """Calls that can't be hit, for they never come to pass."""
        return {one.partition("=")[2].partition(":")[0] for one in self.always}

    @property
    def again(self) -> list[str]:
        return [*self.argv, *(["--force"] if self.outputs and "--force" not in self.argv else [])]


SCENARIOS = (
    Scenario(
        name="new",
        summary="a stack, no output yet",
        argv=("run", "in", "-o", "work/out", "-q", *_COMMON),
    ),
    Scenario(
        name="replace",
        surrounded=True,
        summary="a stack, replacing an output",
        changes=STACK_CHANGES,
        argv=("run", "in", "-o", "work/out", "-q", "--force", *_COMMON),
        before=_old_set,
    ),
    Scenario(
        name="two renames",
        summary="the same, where two folders can't be exchanged in one step",
        argv=("run", "in", "-o", "work/out", "-q", "--force", *_COMMON),
        before=_old_set,
        always=("inject=renameat2:error=EINVAL",),
        absent=True,
    ),
    Scenario(
        name="after a kill",
        summary="on what a killed run left",
        argv=("run", "in", "-o", "work/out", "-q", "--force", *_COMMON),
        before=_killed_between_two_renames,
        absent=True,
    ),
    Scenario(
        name="folder",
        surrounded=True,
        summary="a plain folder, replacing an output",
        changes=FOLDER_CHANGES,
        argv=("run", "in", "-o", "work/out", "-q", "--force", *_COMMON),
        make=_folder,
        before=_old_set,
    ),
    Scenario(
        name="reports",
        summary="a stack, replacing an output and two report files, and telling on stdout",
        argv=(
            "run", "in", "-o", "work/out", "--force", "--report", "json=work/report.json",
            "--report", "markdown=work/summary.md", *_COMMON,
        ),
        before=_old_and_reports,
        outputs=("out", "report.json", "summary.md"),
    ),
    Scenario(
        name="carried",
        summary="a stack of which one layer is carried over byte for byte",
        changes=STACK_CHANGES,
        argv=("run", "in", "-o", "work/out", "-q", "--force", "--layer", "cpython", *_COMMON),
        before=_old_set,
    ),
    Scenario(
        name="kept",
        summary="a stack, and an archive of all that is removed",
        argv=(
            "run",
            "in",
            "-o",
            "work/out",
            "-q",
            "--force",
            "--keep-removed",
            "work/removed.tar.zst",
            *_COMMON,
        ),
        before=_old_and_kept,
        outputs=("removed.tar.zst", "out"),
        never=("old+new",),  # or what the new set lacks would be lost
    ),
    Scenario(
        name="symbols",
        summary="a stack with a native library, and the symbols that it is stripped of "
        "beside those of earlier runs",
        argv=(
            "run",
            "in",
            "-o",
            "work/out",
            "-q",
            "--force",
            "--symbols",
            "work/symbols",
            *_COMMON,
        ),
        make=_native,
        before=_old_and_symbols,
        outputs=("symbols", "out"),
        never=("old+new", "part+new"),  # or nobody could debug the new set
        growing=("symbols",),
    ),
    Scenario(
        name="restore",
        surrounded=True,
        changes=within("slim", STACK_CHANGES),
        summary="a stack, made whole again from what was kept, replacing an output",
        argv=(
            "restore",
            "in/removed.tar.zst",
            "in/slim",
            "-o",
            "work/out",
            "-q",
            "--force",
            *_COMMON,
        ),
        make=_removed,
        before=_old_set,
    ),
    Scenario(
        name="extract",
        summary="the files that were kept, to look at, replacing an output",
        argv=("restore", "in/removed.tar.zst", "--extract", "work/out", "-q", "--force", *_COMMON),
        make=_removed,
        before=_old_set,
    ),
    Scenario(
        name="delta",
        surrounded=True,
        changes=(*within("old", STACK_CHANGES), *within("new", STACK_CHANGES)),
        summary="an update package, replacing an older one",
        argv=("delta", "in/old", "in/new", "-o", "work/out", "-q", "--force"),
        make=_versions,
        before=_old_set,
    ),
    Scenario(
        name="apply",
        surrounded=True,
        changes=within("old", STACK_CHANGES),
        summary="an update package applied, replacing an output",
        argv=("delta", "apply", "in/old", "in/delta", "-o", "work/out", "-q", "--force", *_COMMON),
        make=_update,
        before=_old_set,
    ),
    Scenario(
        name="dry run",
        summary="nothing is written",
        argv=("run", "in", "--dry-run", "-q", *_COMMON),
        outputs=(),
    ),
)  # fmt: skip

NAIVE = Scenario(
    name="naive",
    summary="a publisher that deletes and writes in place",
    argv=("in", "work/out"),
    before=_old_set,
    program="naive",
)


class Sandbox:
    """A scenario on disk, put back to its beginning for every try."""

    def __init__(self, scenario: Scenario, folder: Path, zygote: Zygote) -> None:
        self.scenario = scenario
        self.folder = folder
        self.zygote = zygote
        self.work = folder / "work"
        folder.mkdir(parents=True)
        scenario.make(folder)
        self.reset()
        before = tree(self.work)
        if scenario.program == "slim":
            zygote.warm(list(scenario.argv), folder)
        self.reset()
        done = self.run()
        if done.code != 0:
            raise RuntimeError(
                f"{scenario.name}: without a fault, it ended with {done.code}: {done.stderr}"
            )
        self.known = Known(
            before=before, after=tree(self.work), outputs=scenario.outputs, growing=scenario.growing
        )
        self.reset()
        self.pristine = inodes(folder / "in")

    def reset(self) -> None:
        """An empty folder to work in, with what lies there before."""
        if self.work.exists():
            shutil.rmtree(self.work)
        (self.work / "tmp").mkdir(parents=True)
        self.scenario.before(self.work)

    def run(self, argv: Iterable[str] | None = None, **more: Any) -> Run:
        """One run, with the folder for temporary files in the folder that is watched."""
        environ = {"TMPDIR": str(self.work / "tmp")}
        arguments = list(self.scenario.argv if argv is None else argv)
        return self.zygote.run(
            arguments, self.folder, program=self.scenario.program, env=environ, **more
        )

    def traced(self, expressions: list[str], **more: object):  # type: ignore[no-untyped-def]
        """One run under strace, with the injections that the scenario always has."""
        return self.run(trace=[*expressions, *self.scenario.always], **more)
