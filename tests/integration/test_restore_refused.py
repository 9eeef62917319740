"""Restoring is refused for stacks, backups and contents that aren't what a run wrote."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

from slim.backup.extract import list_originals, write_originals
from slim.errors import ConfigError, IntegrityError, UnsafeInputError
from slim.model.limits import Limits
from tests.support.backup_runs import (
    FRAMEWORK,
    INDEX,
    METADATA,
    TEST_CORE,
    entries,
    manifest,
    put_back,
    rewritten,
    run_with_backup,
    with_index,
)
from tests.support.published_stacks import (
    SITE,
    LayerSpec,
    publish,
    small_stack,
    write_json,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``_artifacts``, ``_slim`` and ``removed.tar.zst``; read only."""
    folder = tmp_path_factory.mktemp("made")
    small_stack(folder / "_artifacts")
    run_with_backup(folder / "_artifacts", folder / "_slim", folder / "removed.tar.zst")
    return folder


def slimmed_with(made: Path, folder: Path, layer: str, change: Any) -> Path:
    """A copy of the slimmed stack in which an archive was changed, and the manifest with it."""
    shutil.copytree(made / "_slim", folder)
    path = folder / f"{layer}.tar.xz"
    with tarfile.open(path) as tar:
        members = [
            (info, tar.extractfile(info).read() if info.isfile() else None)
            for info in tar.getmembers()
        ]  # type: ignore[union-attr]
    import hashlib
    import io

    with tarfile.open(path, "w:xz") as tar:
        for info, data in change(members):
            if data is not None:
                info.size = len(data)
            tar.addfile(info, io.BytesIO(data) if data is not None else None)
    document = manifest(folder)
    for section in document["layers"].values():
        for one in section:
            if one["install_target"] == layer:
                one["archive_size"] = path.stat().st_size
                one["archive_hashes"] = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    write_json(folder / "__venvstacks__" / "venvstacks.json", document)
    return folder


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (METADATA, "METADATA: isn't what the run left"),
        (f"{SITE}/maths-1.0.dist-info/RECORD", "RECORD: isn't what the run left"),
        (f"{SITE}/maths/core.py", "isn't the layer that the originals were taken from"),
    ],
)
@pytest.mark.parametrize("globs", [(), ("**/tests/**",)])
def test_a_stack_that_was_changed(
    made: Path, tmp_path: Path, name: str, message: str, globs: tuple[str, ...]
) -> None:
    def change(members: list[Any]) -> list[Any]:
        return [
            (info, data + b"x,,\n" if info.name == f"{FRAMEWORK}/{name}" else data)
            for info, data in members
        ]

    changed = slimmed_with(made, tmp_path / "changed", FRAMEWORK, change)
    with pytest.raises((IntegrityError, UnsafeInputError)) as caught:
        put_back(made / "removed.tar.zst", changed, tmp_path / "back", *globs)
    assert caught.value.exit_code == 5 or "RECORD" in name
    assert message in str(caught.value)
    assert not (tmp_path / "back").exists()


def test_something_else_in_the_place_of_a_removed_file(made: Path, tmp_path: Path) -> None:
    def change(members: list[Any]) -> list[Any]:
        return [*members, (tarfile.TarInfo(TEST_CORE), b"mine")]

    changed = slimmed_with(made, tmp_path / "changed", FRAMEWORK, change)
    with pytest.raises(IntegrityError) as caught:
        put_back(made / "removed.tar.zst", changed, tmp_path / "back")
    assert "is there, although the run removed it" in str(caught.value)


def test_another_stack(made: Path, tmp_path: Path) -> None:
    publish(tmp_path / "other", {"python": LayerSpec("runtime", {f"{SITE}/README.txt": ""})})
    with pytest.raises(ConfigError) as caught:
        put_back(made / "removed.tar.zst", tmp_path / "other", tmp_path / "back")
    assert "holds no originals of this stack" in caught.value.message


def test_the_original_needs_nothing_back(made: Path, tmp_path: Path) -> None:
    (result,) = put_back(made / "removed.tar.zst", made / "_artifacts", tmp_path / "back")
    assert sum(layer.files for layer in result.layers) == 0
    assert all(layer.whole for layer in result.layers)


def edit_file(**changes: Any) -> Any:
    def change(index: dict[str, Any]) -> None:
        for layer in index["stacks"][0]["layers"]:
            for one in layer["files"]:
                if one["path"].endswith("test_core.py"):
                    one.update(changes)

    return change


def edit_layer(**changes: Any) -> Any:
    return lambda index: index["stacks"][0]["layers"][0].update(changes)


def drop(name: str) -> Any:
    return lambda index: index["stacks"][0]["layers"][1]["files"][0].pop(name)


HOSTILE_INDEXES = {
    "another schema": lambda index: index.update(schema="urn:slim:removed:v2"),
    "stacks that are no list": lambda index: index.update(stacks={}),
    "a path that climbs": edit_file(path="../../etc/passwd"),
    "an absolute path": edit_file(path="/etc/passwd"),
    "a path spelled otherwise": edit_file(path="a//b"),
    "a path with a control": edit_file(path="a\u202eb"),
    "a layer that climbs": edit_layer(name=".."),
    "a layer with a slash": edit_layer(name="a/b"),
    "a layer of the index's name": edit_layer(name=INDEX),
    "a folder that climbs": lambda index: index["stacks"][0].update(folder=".."),
    "the same layer twice": lambda index: index["stacks"][0]["layers"].append(
        index["stacks"][0]["layers"][0]
    ),
    "the same stack twice": lambda index: index["stacks"].append(index["stacks"][0]),
    "the same file twice": lambda index: index["stacks"][0]["layers"][0]["files"].append(
        index["stacks"][0]["layers"][0]["files"][0]
    ),
    "a digest that is none": edit_file(sha256="0" * 63),
    "a negative size": edit_file(size=-1),
    "a size that is a boolean": edit_file(size=True),
    "a huge size": edit_file(size=10**30),
    "a mode with a set-uid bit": edit_file(mode="4755"),
    "an unknown type": edit_file(type="device"),
    "an unknown action": edit_file(action="stolen"),
    "a removed folder": edit_file(type="directory"),
    "an emptied file": edit_file(action="emptied"),
    "evidence that is no list": edit_file(evidence="because"),
    "base64 that is none": edit_file(path_base64="!"),
    "a missing key": drop("rule"),
    "another size": edit_file(size=3),
    "another mode": edit_file(mode="0755"),
    "another type": edit_file(type="symlink", link_target="x"),
    "a file that isn't there": edit_file(path="lib/nowhere"),
}


@pytest.mark.parametrize("what", HOSTILE_INDEXES)
def test_hostile_indexes(made: Path, tmp_path: Path, what: str) -> None:
    store = with_index(made / "removed.tar.zst", tmp_path / "bad.tar.zst", HOSTILE_INDEXES[what])
    with pytest.raises(UnsafeInputError) as caught:
        list_originals(store, (), (), Limits())
    assert "bad.tar.zst" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[" * 100_000,
        b'{"a": 1, "a": 2}',
        b'{"a": NaN}',
        b"\xef\xbb\xbf{}",
        b'"\\ud800"',
        b"\xff",
        b"1" * 5000,
    ],
)
def test_indexes_that_are_no_json(made: Path, tmp_path: Path, text: bytes) -> None:
    store = rewritten(
        made / "removed.tar.zst",
        tmp_path / "bad.tar.zst",
        lambda parts: parts.update({INDEX: text}),
    )
    with pytest.raises(UnsafeInputError):
        list_originals(store, (), (), Limits())


def member(name: str, kind: bytes, target: str = "") -> Any:
    def change(parts: dict[str, Any]) -> None:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        parts[name] = info

    return change


HOSTILE_MEMBERS = {
    "a file that the index doesn't name": lambda parts: parts.update({"cpython3.13/extra": b"x"}),
    "no index": lambda parts: parts.pop(INDEX),
    "a name that climbs": lambda parts: parts.update({"../x": b"x"}),
    "a link in the place of a file": member(TEST_CORE, tarfile.SYMTYPE, "/etc/passwd"),
    "a link in the place of a folder": member(
        f"{FRAMEWORK}/{SITE}/maths/tests", tarfile.SYMTYPE, "/tmp"
    ),
    "a device": member("cpython3.13/null", tarfile.CHRTYPE),
}


@pytest.mark.parametrize("what", HOSTILE_MEMBERS)
def test_hostile_members(made: Path, tmp_path: Path, what: str) -> None:
    store = rewritten(made / "removed.tar.zst", tmp_path / "bad.tar.zst", HOSTILE_MEMBERS[what])
    for act in (
        lambda: put_back(store, made / "_slim", tmp_path / "back"),
        lambda: write_originals(store, tmp_path / "look", (), (), Limits()),
    ):
        with pytest.raises(UnsafeInputError):
            act()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.tar.zst"]


def test_a_changed_content(made: Path, tmp_path: Path) -> None:
    store = rewritten(
        made / "removed.tar.zst",
        tmp_path / "bad.tar.zst",
        lambda parts: parts.update({TEST_CORE: bytes(len(parts[TEST_CORE]))}),  # type: ignore[arg-type]
    )
    for act in (
        lambda: put_back(store, made / "_slim", tmp_path / "back"),
        lambda: write_originals(store, tmp_path / "look", (), (), Limits()),
    ):
        with pytest.raises(IntegrityError):
            act()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.tar.zst"]


def test_an_original_that_was_exchanged_with_its_digest(made: Path, tmp_path: Path) -> None:
    """Whoever changes the file and its digest in the index still can't have the layer's."""
    import hashlib

    size = len(entries(made / "removed.tar.zst")) and 460
    new = b"x" * size
    store = rewritten(
        made / "removed.tar.zst",
        tmp_path / "a.tar.zst",
        lambda parts: parts.update({TEST_CORE: new}),
    )
    store = with_index(
        store, tmp_path / "b.tar.zst", edit_file(sha256=hashlib.sha256(new).hexdigest())
    )
    with pytest.raises(IntegrityError) as caught:
        put_back(store, made / "_slim", tmp_path / "back", "**/tests/**")
    assert "isn't the layer" in str(caught.value)
