"""The folder that an archive's members lie under: it stays, whatever the archive has instead."""

from __future__ import annotations

import hashlib
import json
import tarfile
import zipfile
from pathlib import Path

import pytest

from slim.cli import main
from tests.support.published_stacks import LayerSpec, publish, write_json
from tests.support.raw_archives import ZipMember, entry, folder, hard, sym, tar, zip_file

PLAIN = (folder("a"), entry("a/f", b"x"))
ROOTS: dict[str, tuple[bytes, str]] = {
    "two folders": (tar(*PLAIN, folder("b"), entry("b/f")), "several folders or none"),
    "two spellings": (tar(*PLAIN, folder("A"), entry("A/f")), "several folders or none"),
    "a file": (tar(entry("a", b"x")), "several folders or none"),
    "a link": (tar(sym("a", "b")), "several folders or none"),
    "a hard link": (tar(entry("b"), hard("a", "b")), "several folders or none"),
    "a file beside it": (tar(*PLAIN, entry("README")), "several folders or none"),
    "another folder": (tar(entry("b/f")), "'b'"),
    "what macOS adds": (
        zip_file(ZipMember(name="a/f"), ZipMember(name="__MACOSX/a/._f")),
        "several folders or none",
    ),
}


@pytest.mark.parametrize("case", ROOTS)
def test_a_published_layer_lies_in_its_install_target_or_is_refused(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, told = ROOTS[case]
    suffix = ".zip" if data.startswith(b"PK") else ".tar"
    put_layer(tmp_path / "stack", data, suffix)
    assert main(["run", str(tmp_path / "stack"), "-o", str(tmp_path / "out"), "--no-config"]) == 3
    assert f"its members lie under {told} instead of the install target 'a'" in (
        capsys.readouterr().err
    )
    assert not (tmp_path / "out").exists()


def put_layer(stack: Path, data: bytes, suffix: str) -> None:
    """Publish a stack of one layer whose archive is this."""
    publish(stack, {"a": LayerSpec("runtime", {})}, suffix=".tar")
    (stack / "a.tar").unlink()
    (stack / f"a{suffix}").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    told = {"archive_hashes": {"sha256": digest}, "archive_name": f"a{suffix}"}
    told |= {"archive_size": len(data)}  # type: ignore[dict-item]
    for path in (stack / "__venvstacks__").rglob("*.json"):
        manifest = json.loads(path.read_text("utf-8"))
        layers = manifest.get("layers", {"runtimes": [manifest]})["runtimes"]
        layers[0].update(told)
        write_json(path, manifest)


TOP = "lib/python3.13/site-packages/pkg"
LONE: dict[str, dict[str, bytes]] = {
    "two folders": {f"{TOP}/__init__.py": b"", f"{TOP}/__pycache__/x.pyc": b"", "bin/go": b"x"},
    "files": {"go.py": b"x = 1\n", "conf.toml": b""},
    "one folder": {f"top/{TOP}/__init__.py": b"", f"top/{TOP}/tests/test_a.py": b""},
}


@pytest.mark.parametrize("suffix", [".tar", ".zip"])
@pytest.mark.parametrize("case", LONE)
def test_what_a_lone_archive_keeps_stays_where_it_was(
    case: str, suffix: str, tmp_path: Path
) -> None:
    source, out = tmp_path / f"x{suffix}", tmp_path / f"y{suffix}"
    files = LONE[case]
    if suffix == ".tar":
        source.write_bytes(tar(*(entry(name, data) for name, data in files.items())))
    else:
        members = (ZipMember(name=name, data=data) for name, data in files.items())
        source.write_bytes(zip_file(*members))
    assert main(["run", str(source), "-o", str(out), "--no-config", "-q"]) == 0
    found = set(_files(out))
    assert found
    assert found <= files.keys()


def _files(archive: Path) -> list[str]:
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as opened:
            return [name for name in opened.namelist() if not name.endswith("/")]
    with tarfile.open(archive) as opened_tar:
        return [member.name for member in opened_tar if member.isfile()]
