"""The index of a folder of symbols: which file of which layer is where. Grows with every run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from slim.errors import UnsafeInputError
from slim.inventory.manifest import read_json
from slim.model.backup import SymbolFile
from slim.system.json_text import Json, dumps, named

NAME = "index.json"
SCHEMA_ID = "urn:slim:symbols:v1"
SCHEMA_VERSION = 1


def read_rows(folder: Path) -> list[Json]:
    """The rows of the index in a folder; none where there is no index. Raises UnsafeInputError and StorageError."""
    path = folder / NAME
    if not path.exists():
        return []
    document = read_json(path)
    rows = (
        document.get("files")
        if isinstance(document, dict) and document.get("schema") == SCHEMA_ID
        else None
    )
    if not isinstance(rows, list) or not all(isinstance(row, dict) and _key(row) for row in rows):
        raise UnsafeInputError(
            "not an index of symbols that slim wrote",
            file=path,
            hint="move it away, or choose another folder",
        )
    return rows


def render(rows: Iterable[Json], files: Iterable[SymbolFile]) -> str:
    """The index with more files in it. A file that is told again is told once, as it is told now."""
    told = {_key(row): row for row in (*rows, *map(_row, files))}
    document = {
        "schema": SCHEMA_ID,
        "schema_version": SCHEMA_VERSION,
        "files": [told[key] for key in sorted(told)],
    }
    return dumps(document, indent=1)


def _key(row: Json) -> tuple[str, ...]:
    """What tells two rows apart; empty for what is no row."""
    original = row.get("original")
    parts = (
        row.get("layer"),
        row.get("path"),
        original.get("sha256") if isinstance(original, dict) else None,
    )
    more = (row.get("platform"), row.get("file"))
    return (
        tuple(str(part) for part in (*parts, *more))
        if all(isinstance(p, str) for p in (*parts, *more))
        else ()
    )


def _row(file: SymbolFile) -> Json:
    return {
        **named("layer", file.layer),
        **named("path", file.path),
        "platform": file.platform,
        "format": file.format,
        "id": file.identity or None,
        **named("file", file.file),
        "size": file.size,
        "original": {"size": file.original_size, "sha256": file.original_sha256},
        "stripped": {"sha256": file.stripped_sha256} if file.stripped_sha256 else None,
    }
