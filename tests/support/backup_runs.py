"""Runs with backups, and layers as the standard library and GNU tar see them."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import struct
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zstandard

from slim.backup.restore import RestoreRequest, restore
from slim.config.load import load_config
from slim.config.settings import Config
from slim.model.outcome import RunResult
from slim.passes import SCHEMAS
from slim.pipeline.stages import RunRequest, run
from tests.support.published_stacks import SITE, distribution
from tests.support.runnable_stacks import fault

INDEX = "slim-removed.json"
FRAMEWORK = "framework-maths"
TEST_CORE = f"{FRAMEWORK}/{SITE}/maths/tests/test_core.py"
METADATA = f"{SITE}/maths-1.0.dist-info/METADATA"

Entries = dict[str, tuple[Any, ...]]


def run_with_backup(source: Path, output: Path, store: Path, **more: Any) -> tuple[RunResult, ...]:
    config = more.pop("config", None) or load_config(SCHEMAS)
    return run(RunRequest(source=source, output=output, config=config, keep_removed=store, **more))


def put_back(store: Path, source: Path, output: Path, *globs: str, **more: Any) -> Any:
    return restore(RestoreRequest(backup=store, source=source, output=output, globs=globs, **more))


def manifest(folder: Path) -> dict[str, Any]:
    (path,) = (folder / "__venvstacks__").glob("*.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def entry(folder: Path, name: str) -> dict[str, Any]:
    layers = manifest(folder)["layers"]
    return next(
        one for section in layers.values() for one in section if one["install_target"] == name
    )


def entries(archive: Path) -> Entries:
    """Type, mode, link target, time and SHA-256 of every member but the top folder, by tarfile."""
    with open_tar(archive) as tar:
        contents = contents_of(tar)
        return {
            info.name: (
                info.type,
                info.mode if not info.issym() else None,
                info.linkname,
                info.mtime,
                hashlib.sha256(contents[info.name]).hexdigest() if info.isfile() else None,
            )
            for info in tar.getmembers()
            if "/" in info.name or info.isfile()
        }


def contents_of(tar: tarfile.TarFile) -> dict[str, bytes]:
    """Contents of all files in an archive, by name."""
    found = {}
    for info in tar.getmembers():
        member = tar.extractfile(info) if info.isfile() else None
        if member is not None:
            found[info.name] = member.read()
    return found


def open_tar(archive: Path) -> tarfile.TarFile:
    if archive.suffix != ".zst":
        return tarfile.open(archive)
    data = zstandard.ZstdDecompressor().stream_reader(archive.read_bytes()).read()
    return tarfile.open(fileobj=io.BytesIO(data))


def index_of(store: Path) -> dict[str, Any]:
    with open_tar(store) as tar:
        member = tar.extractfile(INDEX)
        assert member is not None
        found: dict[str, Any] = json.loads(member.read())
        return found


def rewritten(
    store: Path, target: Path, change: Callable[[dict[str, bytes | tarfile.TarInfo]], None]
) -> Path:
    """Copy a backup. ``change`` edits contents (bytes, by name) and members other than files."""
    parts: dict[str, bytes | tarfile.TarInfo] = {}
    infos: dict[str, tarfile.TarInfo] = {}
    with open_tar(store) as tar:
        for info in tar.getmembers():
            infos[info.name] = info
            member = tar.extractfile(info) if info.isfile() else None
            parts[info.name] = member.read() if member else info
    change(parts)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, part in parts.items():
            info = infos.get(name, tarfile.TarInfo(name)) if isinstance(part, bytes) else part
            info.name = name
            if isinstance(part, bytes):
                info.size = len(part)
                tar.addfile(info, io.BytesIO(part))
            else:
                tar.addfile(info)
    target.write_bytes(zstandard.ZstdCompressor().compress(out.getvalue()))
    return target


def with_index(store: Path, target: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    def edit(parts: dict[str, bytes | tarfile.TarInfo]) -> None:
        raw = parts[INDEX]
        assert isinstance(raw, bytes)
        index = json.loads(raw)
        change(index)
        parts[INDEX] = json.dumps(index).encode()

    return rewritten(store, target, edit)


def assert_records_true(archive: Path, root: str) -> None:
    """Compare the rows of every RECORD with the files that are there: hashes and sizes."""
    with open_tar(archive) as tar:
        contents = {
            name.removeprefix(f"{root}/"): content for name, content in contents_of(tar).items()
        }
    records = [name for name in contents if name.endswith(".dist-info/RECORD")]
    assert records
    for name in records:
        rows = [line.rsplit(",", 2) for line in contents[name].decode().splitlines()]
        for path, digest, size in rows:
            data = contents[f"{SITE}/{path}"]
            if digest:
                hashed = (
                    base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
                )
                assert (digest, size) == (f"sha256={hashed}", str(len(data))), path
        package = Path(name).name
        top = Path(name).parent.name.split("-")[0] + "/"
        listed = {path for path, _, _ in rows}
        there = {
            path.removeprefix(f"{SITE}/") for path in contents if path.startswith(f"{SITE}/{top}")
        }
        assert there <= listed, (package, there - listed)


def pdb(
    age: int = 7, dbi_age: int | None = 10, guid: str = "0B35564186A0A249896F9988FAE52FF0"
) -> bytes:
    """Program database (PDB) with only its information streams, in blocks of 512 bytes."""
    info = struct.pack("<3I", 20000404, 5, age) + struct.pack(
        "<IHH8s",
        int(guid[:8], 16),
        int(guid[8:12], 16),
        int(guid[12:16], 16),
        bytes.fromhex(guid[16:]),
    )
    dbi = b"" if dbi_age is None else struct.pack("<iII", -1, 19990903, dbi_age)
    sizes = [600, len(info), 0xFFFFFFFF, len(dbi)]
    directory = (
        struct.pack("<I4I", 4, *sizes)
        + struct.pack("<3I", 5, 6, 7)
        + (struct.pack("<I", 8) if dbi else b"")
    )
    blocks = [
        b"Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0"
        + struct.pack("<6I", 512, 1, 9, len(directory), 0, 3),
        b"",
        b"",
        struct.pack("<I", 4),
        directory,
        b"",
        b"",
        info,
        dbi,
    ]
    return b"".join(block.ljust(512, b"\0") for block in blocks)


def taking(*globs: str, **more: Any) -> Config:
    """Configuration that removes these files, too."""
    with tempfile.TemporaryDirectory() as folder:
        pack = fault(Path(folder) / "pack.toml", *globs)
        return load_config(SCHEMAS, overrides={"packs": (pack,), **more})


def venv(folder: Path) -> Path:
    files = distribution(
        "maths", {"maths/__init__.py": "", "maths/tests/test_it.py": "def test(): pass\n"}
    )
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(str(content))
    (folder / SITE / "maths/tests/link.py").symlink_to("/nowhere/at/all.py")
    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to("/usr/bin/python3")
    (folder / "bin" / "run").write_text("#!/bin/sh\n")
    (folder / "bin" / "run").chmod(0o755)
    return folder
