"""Publishing layers as ``venvstacks publish`` does: an archive each, and the manifest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from slim.errors import ConfigError, StorageError
from slim.formats import format_by_name, write_archive
from slim.formats.base import WriteOptions
from slim.formats.digests import sha256_of
from slim.model.progress import Progress
from slim.model.settings import Effort, Level
from slim.model.stack import LayerKind, Platform
from slim.sample.contents import LOCKED_AT
from slim.sample.layers import SampleLayer, furnish
from slim.sample.layout import WINDOWS, Interpreter
from slim.system.cpus import available_cpus

_SECTIONS = {
    LayerKind.RUNTIME: "runtimes",
    LayerKind.FRAMEWORK: "frameworks",
    LayerKind.APPLICATION: "applications",
}


FORMAT = "zip" if WINDOWS else "tar.xz"
"""Format of the archives that venvstacks publishes."""


def publish_layers(
    target: Path,
    layers: Sequence[SampleLayer],
    interpreter: Interpreter,
    progress: Progress,
    *,
    format_name: str = FORMAT,
) -> Path:
    """Furnish ``layers``, the runtime among them, and write them into the empty folder ``target``.

    ``format_name`` is one of :data:`slim.formats.FORMATS`. Returns ``target``. Raises ConfigError
    where something is there already, StorageError where reading or writing fails; then no manifest
    is written, and ``target`` isn't a published stack.
    """
    try:
        target.mkdir(parents=True, exist_ok=True)
        if any(target.iterdir()):
            raise ConfigError(
                "the folder isn't empty", file=target, hint="name a folder that doesn't exist yet"
            )
    except OSError as error:
        raise StorageError.from_os_error(
            error, file=target, hint="name a folder that doesn't exist yet"
        ) from error
    runtime = next(layer.name for layer in layers if layer.kind is LayerKind.RUNTIME)
    for layer in layers:
        furnish(layer, runtime, interpreter)
    members = {layer.name: list(layer.contents.members()) for layer in layers}
    total = sum(member.size for found in members.values() for member in found)
    progress.stage("Packing the sample layers", total=total, unit="bytes")
    entries: dict[str, dict[str, object]] = {}
    workers = available_cpus()
    archive_format = format_by_name(format_name)
    machine = Platform.parse(interpreter.platform_tag).machine
    with ThreadPoolExecutor(max_workers=workers) as executor:
        options = WriteOptions(
            executor=executor, workers=workers, machine=machine, effort=Effort(level=Level.FAST)
        )
        for layer in layers:
            archive = target / f"{layer.name}{archive_format.suffixes[0]}"
            write_archive(archive_format, iter(members[layer.name]), layer.name, archive, options)
            entries[layer.name] = _entry(layer, archive, runtime, interpreter)
            progress.advance(sum(member.size for member in members[layer.name]))
    _write_manifest(target / "__venvstacks__", layers, entries)
    return target


def _entry(
    layer: SampleLayer, archive: Path, runtime: str, interpreter: Interpreter
) -> dict[str, object]:
    """Return a layer's entry in the manifest, with the keys that venvstacks writes."""
    try:
        size = archive.stat().st_size
    except OSError as error:
        raise StorageError.from_os_error(error, file=archive) from error
    requirements = "".join(f"{pin}\n" for pin in layer.pins)
    entry: dict[str, object] = {
        "archive_build": 1,
        "archive_hashes": {"sha256": sha256_of(archive)},
        "archive_name": archive.name,
        "archive_size": size,
        "bound_to_implementation": layer.kind is LayerKind.RUNTIME,
        "install_target": layer.name,
        "layer_name": layer.name,
        "lock_version": 1,
        "locked_at": LOCKED_AT.isoformat(),
        "python_implementation": f"cpython@{interpreter.version}",
        "requirements_hash": _digest(requirements.encode()),
        "runtime_layer": runtime,
        "target_platform": interpreter.platform_tag,
    }
    if layer.kind is not LayerKind.RUNTIME:
        entry["required_layers"] = list(layer.requires)
    if layer.launch_module is not None:
        entry["app_launch_module"] = layer.launch_module
        entry["app_launch_module_hash"] = _digest(
            layer.modules.get(f"{layer.launch_module}.py", b"")
        )
    return entry


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _write_manifest(
    folder: Path, layers: Sequence[SampleLayer], entries: dict[str, dict[str, object]]
) -> None:
    """Write the manifest, and each layer's entry again alone."""
    sections: dict[str, list[dict[str, object]]] = {name: [] for name in _SECTIONS.values()}
    for layer in layers:
        sections[_SECTIONS[layer.kind]].append(entries[layer.name])
    try:
        (folder / "env_metadata").mkdir(parents=True)
        for name, entry in entries.items():
            _write_json(folder / "env_metadata" / f"{name}.json", entry)
        _write_json(folder / "venvstacks.json", {"layers": sections})
    except OSError as error:
        raise StorageError.from_os_error(error, file=folder) from error


def _write_json(path: Path, value: object) -> None:
    path.write_text(
        json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8", newline="\n"
    )
