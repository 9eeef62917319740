"""Index of a folder of symbols: the place of each file's symbols. It grows with every run."""

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
    """Read the rows of the index in a folder; none if there is no index.

    Raises UnsafeInputError, LimitError and StorageError.
    """
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
    """Render the index with more files. A file that is in ``rows`` already replaces its row."""
    by_key = {_key(row): row for row in (*rows, *map(_row, files))}
    document = {
        "schema": SCHEMA_ID,
        "schema_version": SCHEMA_VERSION,
        "files": [by_key[key] for key in sorted(by_key)],
    }
    return dumps(document, indent=1)


def _key(row: Json) -> tuple[str, ...]:
    """Return the values that tell two rows apart; none if it isn't a row."""
    original = row.get("original")
    sha256 = original.get("sha256") if isinstance(original, dict) else None
    parts = (row.get("layer"), row.get("path"), sha256, row.get("platform"), row.get("file"))
    if not all(isinstance(part, str) for part in parts):
        return ()
    return tuple(map(str, parts))


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
