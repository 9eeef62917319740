"""Check ``ld.so``: what the dynamic linker finds for every ELF file, before and after."""

from __future__ import annotations

import json
import posixpath
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from slim.model.record import EntryType, Inventory, NativeFormat
from slim.model.stack import Layer, Stack
from slim.model.verify import Subject
from slim.verification.dynamic.deploy import Deployment
from slim.verification.dynamic.sandbox import PYTHON, WORKERS, Finished

NAME: Final = "links"
TIMEOUT: Final = 600.0
_BATCH: Final = 100
_LOADER: Final = re.compile(rb"/[\w./+-]*/ld-[\w.+-]+\.so[\w.]*\0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """Answer of the dynamic linker about a file.

    ``libraries`` tell where each library is: a deployed path inside of the stack, an absolute one
    outside, None for nowhere. ``error`` is there where it couldn't even read the file.
    """

    libraries: Mapping[str, str | None] = field(default_factory=dict)
    error: str = ""


def subjects(inventory: Inventory) -> list[Subject]:
    """List a subject for every ELF file of the stack."""
    return [
        Subject(check=NAME, layer=record.layer, name=record.path)
        for record in inventory
        if record.native is NativeFormat.ELF
        and record.type is EntryType.FILE
        and not record.path.endswith(".o")
    ]


def search_path(stack: Stack, layer: Layer, root: Path) -> str:
    """Return what the layer's wrapper puts on LD_LIBRARY_PATH."""
    return ":".join(str(root / folder) for folder in layer.dynlib_dirs)


def find_loader(deployment: Deployment) -> Path | None:
    """Return the dynamic linker that the stack's own interpreters name (PT_INTERP).

    Where they are scripts, slim's own interpreter tells, which is for the same platform.
    """
    pythons = [deployment.python(layer.name).resolve() for layer in deployment.stack]
    for python in (*pythons, Path(sys.executable).resolve()):
        if not python.is_file():
            continue
        with python.open("rb") as file:
            head = file.read(8192)
        match = _LOADER.search(head) if head.startswith(b"\x7fELF") else None
        if match:
            loader = Path(match[0][:-1].decode())
            if loader.is_file():
                return loader
    return None


def observe(
    deployment: Deployment,
    loader: Path,
    files: Sequence[Subject],
    *,
    workers: int = 1,
    advance: Callable[[int], None] = lambda _: None,
) -> dict[Subject, Linked]:
    """Ask about every file that is there; one that was removed on purpose has no entry."""
    there = [one for one in files if deployment.place((one.layer, one.name)).is_file()]
    parts = [there[at : at + _BATCH] for at in range(0, len(there), _BATCH)]
    found: dict[Subject, Linked] = {}

    def work(part: Sequence[Subject]) -> dict[Subject, Linked]:
        answers = _ask(deployment, loader, part)
        advance(len(part))
        return answers

    with ThreadPoolExecutor(max_workers=workers) as pool:
        for answers in pool.map(work, parts):
            found.update(answers)
    return found


def _ask(deployment: Deployment, loader: Path, part: Sequence[Subject]) -> dict[Subject, Linked]:
    stack, root = deployment.stack, deployment.root
    paths = {layer.name: search_path(stack, layer, root) for layer in stack}
    job = {
        "loader": str(loader),
        "root": str(root),
        "files": [
            [
                index,
                str(deployment.place((one.layer, one.name))),
                {"LD_LIBRARY_PATH": paths[one.layer]},
            ]
            for index, one in enumerate(part)
        ],
    }
    done = deployment.sandbox.run(
        [PYTHON, "-I", "-S", str(WORKERS / "linker.py")],
        timeout=TIMEOUT,
        readable=(root,),
        data=json.dumps(job).encode(),
    )
    found: dict[Subject, Linked] = {}
    for line in done.stdout.splitlines():
        index, libraries, error = json.loads(line)
        found[part[index]] = Linked(libraries=libraries, error=error)
    for one in part:
        found.setdefault(one, Linked(error=_failed(done)))
    return found


def _failed(done: Finished) -> str:
    return (
        "the dynamic linker took too long"
        if done.timed_out
        else f"the dynamic linker ended with {done.code}"
    )


def lost(before: Linked, after: Linked) -> Iterable[str]:
    """Tell what resolved in the original and doesn't any more.

    A file of the stack that is now found somewhere else on this machine is lost, too: another
    machine may not have it.
    """
    if after.error and not before.error:
        yield after.error
    for soname, place in sorted(before.libraries.items()):
        if place is None or after.error:
            continue
        now = after.libraries.get(soname)
        inside = not posixpath.isabs(place)
        if soname in after.libraries and now is None:
            yield f"{soname} isn't found"
        elif now is not None and inside and posixpath.isabs(now):
            yield f"{soname} isn't found in the stack any more, only as {now}"
