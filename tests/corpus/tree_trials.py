"""Layers that are folders: what an export, a build or an unpacked tree may hold on the disk."""

from __future__ import annotations

import os
import shutil
import socket
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

from slim.errors import LimitError, SlimError, UnsafeInputError
from tests.corpus.natives import ELF
from tests.corpus.scene import Scene, change_entry
from tests.corpus.trials import UNMATCHED, Expected, Trial, everywhere, refusal

_FINE = Expected(0)
_KEPT = "kept as it is"
_LEFT_OUT = "device, FIFO or socket left out"

Fill = Callable[[Path], object]


def _socket(layer: Path) -> None:
    here = Path.cwd()
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(layer)  # the name of a socket has to be short
        try:
            server.bind("s")
        finally:
            os.chdir(here)


def _deep(layer: Path) -> None:
    here = Path.cwd()
    os.chdir(layer)
    try:
        for _ in range(300):
            Path("d").mkdir()
            os.chdir("d")
        Path("f").touch()
    finally:
        os.chdir(here)


def _link(name: str, target: str) -> Fill:
    return lambda layer: (layer / name).symlink_to(target)


def _files(*names: str) -> Fill:
    return lambda layer: [(layer / name).write_text("x") for name in names]


def _loop(layer: Path) -> None:
    (layer / "a").symlink_to("b")
    (layer / "b").symlink_to("a")


REFUSED: list[tuple[str, Fill, str, str, str | None]] = [
    # name, what is put into the layer, what is said, platform, what an audit says instead
    (
        "FIFO",
        lambda layer: os.mkfifo(layer / "f"),
        "device, FIFO or socket",
        "linux_x86_64",
        _LEFT_OUT,
    ),
    ("socket", _socket, "device, FIFO or socket", "linux_x86_64", _LEFT_OUT),
    ("absolute link", _link("l", "/v"), "is absolute", "linux_x86_64", _KEPT),
    ("link out", _link("l", "../../v"), "leaves the folder", "linux_x86_64", _KEPT),
    (
        "link up through a sibling",
        _link("l", "../other/../../v"),
        "through a sibling",
        "linux_x86_64",
        _KEPT,
    ),
    ("loop", _loop, "loop", "linux_x86_64", _KEPT),
    ("link with a newline", _link("l", "a\nb"), "character", "linux_x86_64", _KEPT),
    ("newline", _files("a\nb"), r"character '\n'", "linux_x86_64", None),
    ("escape sequence", _files("\x1b[2Jb"), r"'\x1b'", "linux_x86_64", None),
    ("right-to-left override", _files("a\u202egpj.py"), r"'\u202e'", "linux_x86_64", None),
    ("301 folders deep", _deep, "more than 256 components", "linux_x86_64", None),
    ("case", _files("A.py", "a.py"), "same as", "macosx_arm64", None),
    (
        "normal forms",
        _files("caf\u00e9", unicodedata.normalize("NFD", "caf\u00e9")),
        "same as",
        "macosx_arm64",
        None,
    ),
    ("not UTF-8", _files("\udcff"), "isn't UTF-8", "macosx_arm64", None),
    ("device name", _files("aux.py"), "names a device", "win_amd64", None),
    ("stream", _files("a:b"), "contains ':'", "win_amd64", None),
    ("trailing dot", _files("x."), "dot or space", "win_amd64", None),
    ("backslash", _files("c\\..\\d"), "contains", "win_amd64", None),
    ("link with a drive", _link("l", "C:x"), "on Windows", "win_amd64", _KEPT),
]


def tree_trials() -> Iterator[Trial]:
    """All of them."""
    for name, fill, says, platform, seen in REFUSED:
        yield _refused(name, fill, says, platform, seen)
    accepted = {"run": _FINE, "audit": _FINE, "check": _FINE, "diff": _FINE, "delta": _FINE}
    yield _trial("hard link to a file outside", _twin, accepted, inspect=_smaller)
    yield _trial(
        "link to a folder outside is never entered", _outside, everywhere_but_audit(), inspect=None
    )
    small = refusal(LimitError, "more than 5 members")
    yield Trial(
        group="folders",
        name="more members than the limit",
        prepare=_limited,
        expected={"run": small, "audit": small, "check": small},
        more=dict.fromkeys(("run", "audit", "check"), ("--config", "limits.toml")),
    )


def everywhere_but_audit() -> dict[str, Expected]:
    """A link that leads outside."""
    other = {"audit": Expected(0, (_KEPT,)), "delta apply": UNMATCHED}
    return everywhere(refusal(UnsafeInputError, "leaves the folder"), **other)


def as_export(made: Scene) -> Path:
    """Make the bad stack what ``venvstacks local-export`` writes: folders beside the manifest."""
    (made.bad / "app.tar.xz").unlink()
    layer = made.bad / "app"
    (layer / "lib").mkdir(parents=True)
    (layer / "lib" / "x.py").write_text("x = 1\n")

    def change(entry: dict[str, object]) -> None:
        for key in ("archive_name", "archive_size", "archive_hashes", "archive_build"):
            entry.pop(key)

    change_entry(made, change)
    return layer


def _trial(
    name: str,
    fill: Fill,
    expected: dict[str, Expected],
    platform: str = "linux_x86_64",
    inspect: Callable[[Scene], Iterator[str]] | None = None,
) -> Trial:
    return Trial(
        group="folders",
        name=name,
        prepare=lambda made: fill(as_export(made)),
        expected=expected,
        platform=platform,
        inspect=inspect,
    )


def _refused(name: str, fill: Fill, says: str, platform: str, seen: str | None) -> Trial:
    error: type[SlimError] = UnsafeInputError
    # An installed layer may have anything beside what was published, so that an update only looks
    # at the latter.
    other = {} if seen is None else {"audit": Expected(0, (seen,)), "delta apply": UNMATCHED}
    return _trial(name, fill, everywhere(refusal(error, says, "bad/app"), **other), platform)


def _twin(layer: Path) -> None:
    """A library that another folder holds as well: editing it in place would change theirs."""
    flag = layer.parent.parent / "v" / "library.so"
    flag.write_bytes(ELF)
    (layer / "lib" / "library.so").hardlink_to(flag)


def _smaller(made: Scene) -> Iterator[str]:
    if (made.out / "app" / "lib" / "library.so").stat().st_size >= len(ELF):
        yield "the library didn't get smaller"


def _outside(layer: Path) -> None:
    (layer / "l").symlink_to("../../v")
    shutil.copy(layer / "lib" / "x.py", layer / "y.py")


def _limited(made: Scene) -> None:
    (made.work / "limits.toml").write_text("schema = 1\n[limits]\nmembers = 5\n")
    layer = as_export(made)
    for number in range(10):
        (layer / str(number)).touch()
