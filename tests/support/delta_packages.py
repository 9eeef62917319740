"""Forged deltas: an honest one, taken apart, changed, and described truly again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from slim.delta import document
from slim.delta.frames import pack, unpack
from slim.delta.table import Table, parse, render
from slim.model.limits import Limits

Json = dict[str, Any]


def change_document(delta: Path, change: Callable[[Json], object]) -> None:
    """Change what ``slim-delta.json`` says."""
    value = json.loads((delta / document.NAME).read_text())
    change(value)
    (delta / document.NAME).write_text(json.dumps(value))


def layer_of(value: Json, name: str = "app") -> Json:
    """Entry of a layer in a document."""
    found: Json = next(one for one in value["stacks"][0]["layers"] if one["name"] == name)
    return found


def taken_apart(delta: Path, name: str = "app") -> tuple[Table, list[bytes]]:
    """The table of a layer's patch, and the frames of its payload."""
    layer = layer_of(json.loads((delta / document.NAME).read_text()), name)
    data, packed = (delta / layer["file"]["name"]).read_bytes(), layer["table"]["packed"]
    text = b"".join(unpack(memoryview(data)[:packed], layer["table"]["unpacked"], source="patch"))
    table, frames = parse(text, source="patch", limits=Limits()), []
    for frame in table.frames:
        frames.append(data[packed : packed + frame.packed])
        packed += frame.packed
    return table, frames


def forged(
    delta: Path,
    table: Table | bytes,
    frames: Sequence[bytes] = (),
    *,
    size: int = 0,
    name: str = "app",
) -> None:
    """Put another patch into a delta, and describe it truly. ``size`` is that of all new files."""
    text = render(table) if isinstance(table, Table) else table
    first = pack(text)
    put_patch(delta, first + b"".join(frames), (len(first), len(text)), name=name)
    change_document(delta, lambda value: layer_of(value, name)["new"].update(size=size))


def put_patch(
    delta: Path, data: bytes, table: tuple[int, int] | None = None, *, name: str = "app"
) -> None:
    """Replace a patch by these bytes. ``table`` is the size of its table, packed and not."""

    def change(value: Json) -> None:
        layer = layer_of(value, name)
        (delta / layer["file"]["name"]).write_bytes(data)
        layer["file"] |= {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        if table is not None:
            layer["table"] = {"packed": table[0], "unpacked": table[1]}

    change_document(delta, change)
