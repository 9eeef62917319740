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
from tests.support.raw_archives import entry, folder, sym, tar

SPLIT = b"\x1e"
"""Between the document and the patch, and between the table and the payload: no byte of JSON or of a table."""
AS_IT_IS, TRUE, TABLE = b"\0", b"\1", b"\2"
"""The first byte of an input: take the package as it is; make size and hash of the patch right; and pack the table."""
PATCH = "app.patch"
_LIMITS = Limits(members=1000, total=1 << 20, ratio_floor=1 << 20)
_CODE = "".join(f"x{number} = {number * number}\n" for number in range(200)).encode()


@functools.cache
def _folder() -> Path:
    """Where the old layer lies, and an honest package for it; as long as the process lives. There are no hard links in
    it, which a folder can't be told to have."""
    top = tempfile.TemporaryDirectory(prefix="fuzz-")
    _kept.append(top)
    place = Path(top.name)
    links = [sym("app/l", "lib")]
    for name, code in (("old", _CODE), ("new", _CODE[:-9] + b"y = 1\n")):
        (place / f"{name}.tar").write_bytes(
            tar(folder("app"), folder("app/lib"), entry("app/lib/a.py", code), *links)
        )
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
    told, patch = (honest / document.NAME).read_bytes(), (honest / PATCH).read_bytes()
    table, frames = taken_apart(honest)
    apart = render(table) + SPLIT + b"".join(frames)
    whole = [
        first + told + SPLIT + data
        for first, data in ((AS_IT_IS, patch), (TRUE, patch), (TABLE, apart))
    ]
    extra = [b"n f 644 0 ../v\ns 0 0\n", b"n l 777 0 s\0lib\nn f 644 0 s/v\ns 0 0\n"]
    extra += [b"n h 755 0 h\0../v\n", b"k 0 1\n"]
    hostile = [
        TABLE + told + SPLIT + render(table) + lines + SPLIT + b"".join(frames) for lines in extra
    ]
    return [
        *whole,
        *hostile,
        b"\0" + told.replace(b'"kind"', b'"kind":NaN,"kind"'),
        b"\0" + b"[" * 2000,
        b"\0{}",
    ]


def package(data: bytes) -> None:
    """The target."""
    hold(data)


def hold(data: bytes) -> bool:
    """Whether the package is accepted: then what was written has the digest that was told. If not, nothing was."""
    place = _folder()
    delta, output = place / "delta", place / "out"
    shutil.rmtree(delta, ignore_errors=True)
    delta.mkdir()
    told, _, patch = data[1:].partition(SPLIT)
    table: tuple[int, int] | None = None
    if data[:1] == TABLE:
        text, _, payload = patch.partition(SPLIT)
        first = pack(text)
        patch, table = first + payload, (len(first), len(text))
    if data[:1] in (TRUE, TABLE):
        told = _true(told, patch, table)
    (delta / document.NAME).write_bytes(told)
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
        assert _digest(output) == document.read(delta).stacks[0].layers[0].new.tree_sha256  # type: ignore[union-attr]
    finally:
        shutil.rmtree(output)
    return True


def _digest(output: Path) -> str:
    with read_directory(output, ReadOptions(spool_dir=_folder())) as tree:
        return side_of(tree).tree_digest


def _true(told: bytes, patch: bytes, table: tuple[int, int] | None) -> bytes:
    """The document with the sizes and the hash of the patch, where it can be told at all."""
    try:
        value = json.loads(told)
        layer = value["stacks"][0]["layers"][0]
        layer["file"].update(size=len(patch), sha256=hashlib.sha256(patch).hexdigest())
        if table is not None:
            layer["table"] = {"packed": table[0], "unpacked": table[1]}
        return json.dumps(value).encode()
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return told
