"""Checks that take the files of a layer: its platform, its folder, the size of its metadata."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slim.errors import LimitError, SlimError, UnsafeInputError
from slim.inventory.load import load
from slim.inventory.locate import locate
from slim.inventory.manifest import layers_from_manifest, read_json
from slim.model.context import RunContext
from slim.model.limits import Limits
from tests.support.native_headers import macho, pe
from tests.support.raw_archives import entry, folder, hard, sym, tar

DLL, DYLIB = pe("kernel32.dll"), macho("/usr/lib/libSystem.B.dylib")


def opened(
    source: Path, tmp_path: Path, *, lenient: bool = False, limits: Limits | None = None
) -> None:
    (located,) = locate(source)
    context = RunContext(spool_dir=tmp_path, limits=limits or Limits())
    with load(located, context, lenient=lenient):
        pass


@pytest.mark.parametrize(
    ("native", "parts", "word"),
    [
        (DLL, (entry("app/aux.py"),), "device"),
        (DLL, (entry("app/A.py"), entry("app/a.py")), "same as"),
        (DLL, (sym("app/l", "..\\..\\x"),), "on Windows"),
        (DYLIB, (entry("app/A.py"), entry("app/a.py")), "same as"),
        (DYLIB, (entry(b"app/\xff"),), "UTF-8"),
    ],
)
def test_a_lone_archive_is_checked_for_the_platform_of_its_native_files(
    tmp_path: Path, native: bytes, parts: tuple[bytes, ...], word: str
) -> None:
    archive = tmp_path / "layer.tar"
    archive.write_bytes(tar(folder("app"), entry("app/native.dll", native), *parts))
    with pytest.raises(UnsafeInputError, match=word) as caught:
        opened(archive, tmp_path)
    assert caught.value.file == str(archive)
    opened(archive, tmp_path, lenient=True)


def test_a_folder_is_checked_for_the_platform_of_its_native_files(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "native.dll").write_bytes(DLL)
    (tmp_path / "app" / "aux.py").touch()
    with pytest.raises(UnsafeInputError, match="device"):
        opened(tmp_path / "app", tmp_path)


def test_links_and_hard_links_are_fine_when_looked_at_again(tmp_path: Path) -> None:
    links = (sym("app/l", "native.dll"), hard("app/h", "app/native.dll"))
    archive = tmp_path / "layer.tar"
    archive.write_bytes(tar(folder("app"), entry("app/native.dll", DLL), *links))
    opened(archive, tmp_path)


@pytest.mark.parametrize("name", ["RECORD", "METADATA", "entry_points.txt"])
def test_metadata_have_a_limit(tmp_path: Path, name: str) -> None:
    place = tmp_path / "app" / "site-packages" / "a-1.dist-info"
    place.mkdir(parents=True)
    (place / name).write_bytes(bytes(1001))
    with pytest.raises(LimitError, match="more than 1000") as caught:
        opened(tmp_path / "app", tmp_path, limits=Limits(metadata_file=1000))
    assert caught.value.place == f"site-packages/a-1.dist-info/{name}"
    opened(tmp_path / "app", tmp_path, limits=Limits(metadata_file=1001))


def _chain(count: int) -> dict[str, object]:
    layers = [
        {"install_target": f"l{n}", "required_layers": [f"l{n + 1}"] if n + 1 < count else []}
        for n in range(count)
    ]
    return {"layers": {"frameworks": layers}}


def test_layers_that_require_each_other_in_a_long_chain(tmp_path: Path) -> None:
    layers = layers_from_manifest(tmp_path, _chain(1000))
    assert [layer.name for layer in layers][:2] == ["l999", "l998"]
    assert len(layers[-1].requires) == 999


def test_too_many_layers(tmp_path: Path) -> None:
    with pytest.raises(LimitError, match="1000 layers"):
        layers_from_manifest(tmp_path, _chain(1001))


def test_a_late_duplicate_among_many_keys_is_found_at_once(tmp_path: Path) -> None:
    file = tmp_path / "m.json"
    file.write_text("{" + ",".join(f'"k{n}":0' for n in range(200_000)) + ',"k199999":1}')
    with pytest.raises(SlimError, match="'k199999' stands twice"):
        read_json(file)
    file.write_text(json.dumps({"a": 1}))
    assert read_json(file) == {"a": 1}
