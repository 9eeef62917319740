"""Writes the manifest of a restored stack: the new stack's, with the archives that were written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slim.delta.files import file_of, regular_file
from slim.delta.hints import DOWNLOAD_AGAIN, GET_AGAIN
from slim.errors import IntegrityError, UnsafeInputError
from slim.formats.files import write_file
from slim.inventory.manifest import (
    ENV_METADATA,
    FOLDER,
    layers_from_manifest,
    read_json,
    without_archive,
)
from slim.model.delta import NamedFile, StackDelta
from slim.model.settings import Effort
from slim.publish.notes import SLIM_KEY, noted_effort
from slim.publish.publisher import json_text


def noted_efforts(delta: Path, stack: StackDelta) -> dict[str, Effort]:
    """Read how hard the archives of the new stack were compressed, by layer.

    Layers whose entry in the manifest has no note of slim are left out. Raises IntegrityError and
    UnsafeInputError.
    """
    if stack.manifest is None:
        return {}
    source = _checked(delta / FOLDER / stack.manifest.name, stack.manifest)
    found = {
        layer.name: noted_effort(layer.entry)
        for layer in layers_from_manifest(source, read_json(source))
    }
    return {name: effort for name, effort in found.items() if effort is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Archive that was written.

    ``compression`` is the note of how it was compressed (:func:`compression_note`), empty for a
    copy of the published one.
    """

    file: NamedFile
    compression: Mapping[str, object]


def write_manifests(
    delta: Path, stack: StackDelta, target: Path, archives: Mapping[str, Written]
) -> None:
    """Write ``__venvstacks__`` of the new stack to ``target``.

    ``archives`` are those that were written, by layer. If they are the published ones, byte for
    byte, these files are, too. Otherwise they name what was written: other archives, or folders (as
    a local export does). Raises IntegrityError and UnsafeInputError.
    """
    if stack.manifest is None:
        return
    published = {layer.name: layer.new.archive for layer in stack.layers if layer.new is not None}
    same = all(
        name in archives and archive is not None and archives[name].file == archive
        for name, archive in published.items()
    ) or (not any(published.values()) and not archives)
    source = _checked(delta / FOLDER / stack.manifest.name, stack.manifest)
    value = read_json(source)
    layers_from_manifest(source, value)
    _write(target / FOLDER / stack.manifest.name, source if same else _updated(value, archives))
    for layer, file in stack.metadata.items():
        source = _checked(delta / FOLDER / ENV_METADATA / file.name, file)
        entry = read_json(source)
        if not isinstance(entry, dict):
            raise UnsafeInputError("must be an object", file=source, hint=GET_AGAIN)
        _write(
            target / FOLDER / ENV_METADATA / file.name,
            source if same else _entry(entry, archives.get(layer)),
        )


def _checked(path: Path, wanted: NamedFile) -> Path:
    if path.parent.is_symlink():
        raise UnsafeInputError("is a link", file=path.parent, hint=GET_AGAIN)
    found = file_of(regular_file(path, "the delta's file is missing"))
    if (found.size, found.sha256) != (wanted.size, wanted.sha256):
        raise IntegrityError(
            "isn't the file that the delta speaks of", file=path, hint=DOWNLOAD_AGAIN
        )
    return path


def _updated(manifest: dict[str, Any], archives: Mapping[str, Written]) -> dict[str, Any]:
    layers = {
        section: [_entry(entry, archives.get(entry["install_target"])) for entry in entries]
        if isinstance(entries, list)
        else entries
        for section, entries in manifest["layers"].items()
    }
    return {**manifest, "layers": layers}


def _entry(entry: dict[str, Any], written: Written | None) -> dict[str, Any]:
    if written is None:
        return without_archive(entry)
    archive, note = written.file, entry.get(SLIM_KEY)
    updated = {
        **entry,
        "archive_name": archive.name,
        "archive_size": archive.size,
        "archive_hashes": {"sha256": archive.sha256},
    }
    if written.compression and isinstance(note, dict):
        sizes = note.get("archive_size")
        size = {**(sizes if isinstance(sizes, dict) else {}), "after": archive.size}
        updated[SLIM_KEY] = {**note, **written.compression, "archive_size": size}
    return updated


def _write(target: Path, value: Path | dict[str, Any]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    data = value.read_bytes() if isinstance(value, Path) else json_text(value).encode("utf-8")
    write_file(target, [data])
