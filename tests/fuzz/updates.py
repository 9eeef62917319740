"""Update packages: the document, the bytes of a patch, and the text of its table."""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
import tempfile
from pathlib import Path

from slim.delta import document
from slim.delta.apply import ApplyRequest, apply
from slim.delta.create import MakeRequest, make
from slim.delta.frames import pack
from slim.delta.sides import side_of
from slim.delta.table import render
from slim.errors import ConfigError, IntegrityError, LimitError, StorageError, UnsafeInputError
from slim.formats.base import ReadOptions
from slim.formats.directory import read_directory
from slim.model.limits import Limits
from tests.support.delta_packages import taken_apart
from tests.support.moving_natives import ARM64, library
from tests.support.raw_archives import entry, folder, sym, tar

SPLIT = b"\x1e"
"""Separator of document, table and payload: a byte that neither JSON nor a table has."""
AS_IT_IS, TRUE, TABLE = b"\0", b"\1", b"\2"
"""First byte of an input: as it is; with true size and hash of the patch; with a packed table."""
PATCH = "app.patch"
_LIMITS = Limits(members=1000, total=1 << 20, ratio_floor=1 << 20)
_CODE = "".join(f"x{number} = {number * number}\n" for number in range(200)).encode()


@functools.cache
def _folder() -> Path:
    """Folder with the old layer and an honest delta, for as long as the process lives.

    There are no hard links in the layer, which a folder can't be seen to have.
    """
    top = tempfile.TemporaryDirectory(prefix="fuzz-")
    _kept.append(top)
    place = Path(top.name)
    links = [sym("app/l", "lib")]
    sides: tuple[tuple[str, bytes, tuple[int, ...]], ...]
    sides = (("old", _CODE, ()), ("new", _CODE[:-9] + b"y = 1\n", (7, 30)))
    for name, code, longer in sides:
        natives = library(60, longer), library(60, longer, machine=ARM64, form="macho")
        files = [
            entry("app/lib/a.py", code),
            *(entry(f"app/lib/m{number}.so", native) for number, native in enumerate(natives)),
        ]
        (place / f"{name}.tar").write_bytes(tar(folder("app"), folder("app/lib"), *files, *links))
    make(MakeRequest(old=place / "old.tar", new=place / "new.tar", output=place / "honest"))
    (patch,) = place.glob("honest/*.patch")
    patch.rename(place / "honest" / PATCH)
    value = json.loads((place / "honest" / document.NAME).read_text())
    layer = value["stacks"][0]["layers"][0]
    layer["name"], layer["file"]["name"] = "app", PATCH
    (place / "honest" / document.NAME).write_text(json.dumps(value, separators=(",", ":")))
    return place


_kept: list[tempfile.TemporaryDirectory[str]] = []


def seeds() -> list[bytes]:
    """An honest package in each of the three ways, and documents of other shapes."""
    honest = _folder() / "honest"
    text, patch = (honest / document.NAME).read_bytes(), (honest / PATCH).read_bytes()
    table, frames = taken_apart(honest)
    apart = render(table) + SPLIT + b"".join(frames)
    whole = [
        first + text + SPLIT + data
        for first, data in ((AS_IT_IS, patch), (TRUE, patch), (TABLE, apart))
    ]
    extra = [b"n f 644 0 ../v\ns 0 0\n", b"n l 777 0 s\0lib\nn f 644 0 s/v\ns 0 0\n"]
    extra += [b"n h 755 0 h\0../v\n", b"k 0 1\n"]
    hostile = [
        TABLE + text + SPLIT + render(table) + lines + SPLIT + b"".join(frames) for lines in extra
    ]
    return [
        *whole,
        *hostile,
        b"\0" + text.replace(b'"kind"', b'"kind":NaN,"kind"'),
        b"\0" + b"[" * 2000,
        b"\0{}",
    ]


def package(data: bytes) -> None:
    """The target."""
    hold(data)


def hold(data: bytes) -> bool:
    """True if the delta is accepted; then the result has the promised digest, else it is none."""
    place = _folder()
    delta, output = place / "delta", place / "out"
    shutil.rmtree(delta, ignore_errors=True)
    delta.mkdir()
    described, _, patch = data[1:].partition(SPLIT)
    table: tuple[int, int] | None = None
    if data[:1] == TABLE:
        text, _, payload = patch.partition(SPLIT)
        first = pack(text)
        patch, table = first + payload, (len(first), len(text))
    if data[:1] in (TRUE, TABLE):
        described = _true(described, patch, table)
    (delta / document.NAME).write_bytes(described)
    (delta / PATCH).write_bytes(patch)
    before = sorted(place.iterdir())
    try:
        apply(
            ApplyRequest(
                old=place / "old.tar", delta=delta, output=output, format="folder", limits=_LIMITS
            )
        )
    except (ConfigError, IntegrityError, LimitError, StorageError, UnsafeInputError):
        assert sorted(place.iterdir()) == before
        return False
    try:
        new = document.read(delta).stacks[0].layers[0].new
        assert new is not None
        assert _digest(output) == new.tree_sha256
    finally:
        shutil.rmtree(output)
    return True


def _digest(output: Path) -> str:
    with read_directory(output, ReadOptions(spool_dir=_folder())) as tree:
        return side_of(tree).tree_digest


def _true(text: bytes, patch: bytes, table: tuple[int, int] | None) -> bytes:
    """The document with true sizes and hash of the patch, where it is an object."""
    try:
        value = json.loads(text)
        layer = value["stacks"][0]["layers"][0]
        layer["file"].update(size=len(patch), sha256=hashlib.sha256(patch).hexdigest())
        if table is not None:
            layer["table"] = {"packed": table[0], "unpacked": table[1]}
        return json.dumps(value).encode()
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return text
