"""Native files in a layer: left as they are and reported, or edited as the oracles like it."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterator
from functools import partial

from slim.verification.native.elf import check as check_elf
from slim.verification.native.macho import check as check_macho
from tests.corpus.natives import ALONE, EDITED, ELF, FLIPS, Alone, Edited, flipped
from tests.corpus.scene import Scene, put_archive
from tests.corpus.trials import Expected, Trial
from tests.support.raw_archives import entry, folder, hard, sym, tar

_FINE = Expected(0)


def native_trials() -> Iterator[Trial]:
    """All of them."""
    yield from map(_alone, ALONE)
    yield from map(_edited, EDITED)
    yield _trial("native, edited", "hard-linked twin", "linux_x86_64", _TWINS, _twins)
    yield _trial("native, edited", "symlink", "linux_x86_64", _LINKED, _linked)
    damaged = flipped(ELF, FLIPS, seed=7)
    yield _trial(
        "native",
        f"{FLIPS} flipped bytes",
        "linux_x86_64",
        _layer(damaged),
        partial(_whole, originals=damaged),
    )


def _layer(files: dict[str, bytes], *, mode: int = 0o644, more: bytes = b"") -> bytes:
    members = (entry(f"app/lib/{name}", data, mode=mode) for name, data in files.items())
    return tar(folder("app"), folder("app/lib"), *members, more)


def _trial(
    group: str,
    name: str,
    platform: str,
    archive: bytes,
    inspect: Callable[[Scene], Iterator[str]],
    expected: Expected = _FINE,
) -> Trial:
    return Trial(
        group=group,
        name=name,
        prepare=lambda made: put_archive(made, "layer.tar", archive),
        expected={"run": expected, "audit": _FINE, "check": _FINE, "diff": _FINE},
        platform=platform,
        inspect=inspect,
        more={"run": ("--json",), "audit": ("--prove",)},
    )


def _alone(case: Alone) -> Trial:
    reported = () if case.reported is None else (case.name, case.reported)
    archive = _layer({case.name: case.data})
    expected = Expected(0, reported)
    return _trial("native", case.name, case.platform, archive, partial(_same, case=case), expected)


def _edited(case: Edited) -> Trial:
    archive = _layer({case.name: case.data}, mode=case.mode)
    return _trial("native, edited", case.name, case.platform, archive, partial(_smaller, case=case))


def _published(made: Scene) -> dict[str, tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(made.out / "layer.tar") as archive:
        found = {}
        for info in archive:
            stream = archive.extractfile(info) if info.isreg() else None
            found[info.name.removeprefix("app/lib/")] = (info, stream.read() if stream else b"")
        return found


def _same(made: Scene, *, case: Alone) -> Iterator[str]:
    found = _published(made)
    if case.name not in found:
        if not _removed(made, case.name):
            yield "it is gone, and nobody says why"
    elif found[case.name][1] != case.data:
        yield "it was changed"


def _removed(made: Scene, name: str) -> bool:
    """True if a rule took the file out: static archives and object files may go, as a whole."""
    ended = made.run("run", made.bad, "--dry-run", "--json")
    actions = json.loads(ended.out)["runs"][0]["actions"]
    return any(
        action["path"].endswith(f"/{name}") and action["action"] == "remove" for action in actions
    )


def _smaller(made: Scene, *, case: Edited) -> Iterator[str]:
    info, data = _published(made)[case.name]
    if len(data) >= len(case.data):
        yield "it didn't get smaller"
    if info.mode != case.mode:
        yield f"its mode is {info.mode:o}"
    yield from _valid(case.data, data)


def _valid(original: bytes, data: bytes) -> list[str]:
    return (check_elf if original[:4] == b"\x7fELF" else check_macho)(original, data)


def _whole(made: Scene, *, originals: dict[str, bytes]) -> Iterator[str]:
    """Each is as it was, or edited and valid: most, because no header tells of the damage."""
    found = _published(made)
    for name, original in originals.items():
        data = found[name][1]
        if data != original:
            yield from (f"{name}: {problem}" for problem in _valid(original, data))
    edited = sum(found[name][1] != original for name, original in originals.items())
    if not 0 < edited < len(originals):
        yield f"{edited} of {len(originals)} were edited"


_TWINS = _layer({"a.so": ELF}, more=hard("app/lib/b.so", "app/lib/a.so"))
_LINKED = _layer({"a.so": ELF}, more=sym("app/lib/b.so", "a.so"))


def _twins(made: Scene) -> Iterator[str]:
    found = _published(made)
    if not found["b.so"][0].islnk() or found["b.so"][0].linkname != "app/lib/a.so":
        yield "the twin isn't a hard link to the other any more"
    yield from _smaller(made, case=Edited("a.so", ELF))


def _linked(made: Scene) -> Iterator[str]:
    found = _published(made)
    if not found["b.so"][0].issym() or found["b.so"][0].linkname != "a.so":
        yield "the link isn't as it was"
    yield from _smaller(made, case=Edited("a.so", ELF))
