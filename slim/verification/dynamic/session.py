"""Session: a workspace, a sandbox, and the original and the slimmed stack deployed in it."""

from __future__ import annotations

import contextlib
import platform
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from slim.model.progress import Progress
from slim.model.record import FileKey
from slim.model.stack import LayerKind, Platform, Stack, System
from slim.system.workspace import workspace
from slim.verification.dynamic.checks import Suite
from slim.verification.dynamic.deploy import Members, deploy
from slim.verification.dynamic.sandbox import Sandbox
from slim.verification.dynamic.targets import Targets

_SYSTEMS: Final = {"linux": "linux", "darwin": "macosx", "win32": "win"}


def host() -> Platform:
    """Return the platform of this machine, as layers call theirs."""
    return Platform.parse(
        f"{_SYSTEMS.get(sys.platform, sys.platform)}_{platform.machine().lower()}"
    )


def foreign(there: Platform) -> str:
    """Return, as a sentence, that a known platform isn't this machine's; empty where it may be."""
    here = host()
    if there.system is not System.UNKNOWN and (here.system, here.machine) != (
        there.system,
        there.machine,
    ):
        return f"nothing was run: the stack is for {there.tag}, this host is {here.tag}"
    return ""


def obstacle(stack: Stack, members: Members) -> str:
    """Return why the stack can't be tried here, as a sentence; empty where it can."""
    if stack.platform.system is System.UNKNOWN:
        return "nothing was run: the stack's platform isn't known"
    elsewhere = foreign(stack.platform)
    if elsewhere:
        return elsewhere
    layers = [layer for layer in stack if layer.kind in (LayerKind.RUNTIME, LayerKind.PLAIN)]
    if not layers:
        return "nothing was run: the stack has no runtime layer"
    pythons = ("bin/python", "bin/python3", "python.exe", "Scripts/python.exe")
    for layer in layers:
        paths = {member.path for member in members[layer.name]}
        if not paths.intersection(pythons):
            return f"nothing was run: layer {layer.name} holds no interpreter"
    return ""


@contextlib.contextmanager
def session(
    targets: Targets,
    before: Members,
    after: Members,
    *,
    given_up: Callable[[FileKey], bool],
    progress: Progress,
    workers: int,
    parent: Path | None = None,
) -> Iterator[Suite]:
    """Deploy both stacks and yield the checks; all is gone when the block ends.

    Raises StorageError.
    """
    with workspace(parent or Path(tempfile.gettempdir())) as work:
        settings = targets.settings
        sandbox = Sandbox(work, memory=settings.memory, devices=settings.devices)
        progress.stage(
            "Deploying for verification", total=2 * len(targets.stack.layers), unit="layers"
        )
        with ThreadPoolExecutor(max_workers=min(2, workers)) as pool:
            jobs = [
                # names of one length: nothing that a program prints or lays out depends on it
                pool.submit(deploy, work / name, targets.stack, members, sandbox, progress)
                for name, members in (("old", before), ("new", after))
            ]
            old, new = (job.result() for job in jobs)
        suite = Suite(
            targets=targets,
            before=old,
            after=new,
            given_up=given_up,
            progress=progress,
            workers=workers,
        )
        yield suite


def sandbox_note(suite: Suite) -> Iterable[str]:
    """Return what the sandbox can't do here; empty where it can do everything."""
    missing = suite.before.sandbox.isolation.missing
    return (missing,) if missing else ()
