"""``slim run --previous``: what didn't change isn't published anew."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from slim.config.load import load_config
from slim.errors import ConfigError, IntegrityError, StorageError, UnsafeInputError
from slim.model.outcome import LayerOutcome, SincePrevious
from slim.model.settings import Level
from slim.passes import SCHEMAS
from slim.pipeline.stages import RunRequest, run
from tests.support.published_stacks import SITE, LayerSpec, distribution, merge, publish

TAG = "-linux_x86_64"


def stack(version: str = "1.0", *, build: int = 1, note: str = "") -> dict[str, LayerSpec]:
    """A relock changes what the manifest says of every layer, and the files of one."""
    extra = {
        "archive_build": build,
        "locked_at": f"2026-01-0{build}T00:00:00+00:00",
        "lock_version": build,
        "own": note,
    }
    code = {
        "idna/core.py": f"V = '{version}'\n" * 50,
        "idna/tests/test_core.py": "import idna\n" * 200,
    }
    return {
        "py": LayerSpec(
            "runtime",
            {"bin/python": b"\x7fELF" * 9, "lib/python3.13/os.py": "x = 1\n"},
            extra=extra,
        ),
        "app": LayerSpec(
            "application",
            merge(distribution("idna", code, version=version), {f"{SITE}/run.py": "import idna\n"}),
            requires=("py",),
            launch_module="run",
            extra=extra,
        ),
    }


def put(
    folder: Path, layers: dict[str, LayerSpec], *, build: int = 1, platform: str = "linux_x86_64"
) -> Path:
    publish(folder, layers, platform=platform, tag=f"-{platform}-{build}")
    manifests = folder / "__venvstacks__"
    (manifests / f"venvstacks-{platform}-{build}.json").rename(
        manifests / f"venvstacks-{platform}.json"
    )
    return folder


def slim(
    source: Path, output: Path, previous: Path | None = None, **changes: Any
) -> dict[str, LayerOutcome]:
    stated = {key: changes.pop(key) for key in ("format", "level") if key in changes}
    config = replace(load_config(SCHEMAS), **stated)
    (result,) = run(
        RunRequest(source=source, output=output, config=config, previous=previous, **changes)
    )
    return {item.layer.name: item for item in result.layers}


def entry(folder: Path, name: str, platform: str = "linux_x86_64") -> dict[str, Any]:
    manifest = json.loads((folder / "__venvstacks__" / f"venvstacks-{platform}.json").read_text())
    return next(
        item
        for section in manifest["layers"].values()
        for item in section
        if item["install_target"] == name
    )


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """The set that was published for the first build."""
    slim(put(tmp_path / "in1", stack()), tmp_path / "out1")
    return tmp_path / "out1"


def test_a_relock_publishes_only_what_changed(first: Path, tmp_path: Path) -> None:
    source = put(tmp_path / "in2", stack("1.1", build=2, note="mine"), build=2)
    layers = slim(source, tmp_path / "out2", first)
    assert layers["py"].since is SincePrevious.UNCHANGED
    assert layers["py"].new_bytes == 0
    assert layers["app"].since is SincePrevious.CHANGED
    assert layers["app"].new_bytes == layers["app"].after.archive > 0

    name = f"py{TAG}-1.tar.xz"
    assert (tmp_path / "out2" / name).read_bytes() == (first / name).read_bytes()
    assert (tmp_path / "out2" / name).stat().st_ino != (first / name).stat().st_ino
    assert sorted(path.name for path in (tmp_path / "out2").glob("*.tar.xz")) == [
        f"app{TAG}-2.tar.xz",
        name,
    ]
    before, after = entry(first, "py"), entry(tmp_path / "out2", "py")
    for key in ("archive_name", "archive_size", "archive_hashes", "archive_build"):
        assert after[key] == before[key]
    for key, value in (
        ("lock_version", 2),
        ("own", "mine"),
        ("locked_at", "2026-01-02T00:00:00+00:00"),
    ):
        assert after[key] == value
    assert after["slim"]["tree_sha256"] == before["slim"]["tree_sha256"]
    assert entry(tmp_path / "out2", "app")["archive_build"] == 2
    metadata = tmp_path / "out2" / "__venvstacks__" / "env_metadata"
    assert json.loads((metadata / f"py{TAG}-2.json").read_text()) == after

    # And once more over what came out: nothing changes any more.
    again = slim(tmp_path / "out2", tmp_path / "out3", tmp_path / "out2")
    assert {item.since for item in again.values()} == {SincePrevious.UNCHANGED}
    for path in (tmp_path / "out2").rglob("*"):
        if path.is_file():
            assert (
                path.read_bytes()
                == (tmp_path / "out3" / path.relative_to(tmp_path / "out2")).read_bytes()
            )


def test_over_the_set_that_is_replaced(first: Path, tmp_path: Path) -> None:
    source = put(tmp_path / "in2", stack("1.1", build=2), build=2)
    layers = slim(source, first, first, force=True)
    assert layers["py"].since is SincePrevious.UNCHANGED
    assert (first / f"py{TAG}-1.tar.xz").is_file()


def test_a_dry_run_tells_it_too(first: Path, tmp_path: Path) -> None:
    source = put(tmp_path / "in2", stack("1.1", build=2), build=2)
    config = load_config(SCHEMAS)
    (result,) = run(
        RunRequest(source=source, output=None, config=config, previous=first, dry_run=True)
    )
    assert [item.since for item in result.layers] == [
        SincePrevious.UNCHANGED,
        SincePrevious.CHANGED,
    ]


def test_what_slim_never_touched_is_read(tmp_path: Path) -> None:
    """A previous set of venvstacks itself has no digests in its manifest."""
    plain = {"py": LayerSpec("runtime", {"bin/python": b"x" * 99})}
    previous = put(tmp_path / "in1", plain)
    layers = slim(put(tmp_path / "in2", plain, build=2), tmp_path / "out", previous)
    assert layers["py"].since is SincePrevious.UNCHANGED
    assert (tmp_path / "out" / f"py{TAG}-1.tar.xz").read_bytes() == (
        previous / f"py{TAG}-1.tar.xz"
    ).read_bytes()
    other = {"py": LayerSpec("runtime", {"bin/python": b"y" * 99})}
    changed = slim(put(tmp_path / "in3", other, build=3), tmp_path / "out3", previous)
    assert changed["py"].since is SincePrevious.CHANGED


def test_a_kept_archive_is_noted_as_it_was_compressed(first: Path, tmp_path: Path) -> None:
    source = put(tmp_path / "in2", stack("1.1", build=2), build=2)
    slim(source, tmp_path / "out", first, level=Level.FAST)
    levels = {
        name: entry(tmp_path / "out", name)["slim"]["compression"]["level"]
        for name in ("py", "app")
    }
    assert levels == {"py": "default", "app": "fast"}


def test_another_format_is_another_archive(first: Path, tmp_path: Path) -> None:
    source = put(tmp_path / "in2", stack(build=2), build=2)
    layers = slim(source, tmp_path / "out", first, format="tar.zst")
    assert {item.since for item in layers.values()} == {SincePrevious.REPACKED}
    assert sorted(path.suffix for path in (tmp_path / "out").glob("*.tar.*")) == [".zst", ".zst"]


def test_new_layers_and_other_platforms(first: Path, tmp_path: Path) -> None:
    layers = stack(build=2)
    layers["more"] = LayerSpec("framework", {"x.txt": "x"}, requires=("py",))
    source = put(tmp_path / "in2", layers, build=2)
    put(source, stack(build=2), build=2, platform="linux_aarch64")
    config = load_config(SCHEMAS)
    results = run(RunRequest(source=source, output=tmp_path / "out", config=config, previous=first))
    found = {
        (one.stack.platform.tag, item.layer.name): item.since
        for one in results
        for item in one.layers
    }
    assert found == {
        ("linux_x86_64", "py"): SincePrevious.UNCHANGED,
        ("linux_x86_64", "app"): SincePrevious.UNCHANGED,
        ("linux_x86_64", "more"): SincePrevious.NEW,
        ("linux_aarch64", "py"): SincePrevious.NEW,
        ("linux_aarch64", "app"): SincePrevious.NEW,
    }


def test_only_the_manifest_of_then(first: Path, tmp_path: Path) -> None:
    """Without archives nothing can be copied; the same bytes keep their name."""
    manifest = tmp_path / "kept" / "venvstacks-linux_x86_64.json"
    manifest.parent.mkdir()
    shutil.copyfile(first / "__venvstacks__" / manifest.name, manifest)
    source = put(tmp_path / "in2", stack("1.1", build=2), build=2)
    layers = slim(source, tmp_path / "out", manifest)
    assert layers["py"].since is SincePrevious.UNCHANGED
    assert entry(tmp_path / "out", "py")["archive_build"] == 1
    assert (tmp_path / "out" / f"py{TAG}-1.tar.xz").read_bytes() == (
        first / f"py{TAG}-1.tar.xz"
    ).read_bytes()
    # The same files, but the archive of then has other bytes.
    value = json.loads(manifest.read_text())
    for item in value["layers"]["runtimes"]:
        item["archive_hashes"]["sha256"] = "0" * 64
    manifest.write_text(json.dumps(value))
    again = slim(source, tmp_path / "out2", manifest)
    assert again["py"].since is SincePrevious.REPACKED
    assert (tmp_path / "out2" / f"py{TAG}-2.tar.xz").is_file()


def test_a_previous_set_that_was_damaged(first: Path, tmp_path: Path) -> None:
    source = put(tmp_path / "in2", stack("1.1", build=2), build=2)
    archive = first / f"py{TAG}-1.tar.xz"
    data = archive.read_bytes()
    for damaged in (data[:-1] + bytes([data[-1] ^ 1]), data + b"x"):
        archive.write_bytes(damaged)
        with pytest.raises(IntegrityError, match="the manifest says"):
            slim(source, tmp_path / "out", first)
        assert not (tmp_path / "out").exists()


def test_a_previous_set_that_lies(first: Path, tmp_path: Path) -> None:
    """A manifest whose tree digest isn't the archive's: the result isn't what was planned."""
    from slim.errors import RefusedError

    source = put(tmp_path / "in2", stack("1.1", build=2), build=2)
    slim(source, tmp_path / "right")
    wanted = entry(tmp_path / "right", "app")["slim"]["tree_sha256"]
    path = first / "__venvstacks__" / "venvstacks-linux_x86_64.json"
    value = json.loads(path.read_text())
    value["layers"]["applications"][0]["slim"]["tree_sha256"] = wanted
    path.write_text(json.dumps(value))
    with pytest.raises(RefusedError):
        slim(source, tmp_path / "out", first)
    assert not (tmp_path / "out").exists()


def test_what_cant_be_a_previous_set(first: Path, tmp_path: Path) -> None:
    source = put(tmp_path / "in2", stack(build=2), build=2)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="no manifest with archives"):
        slim(source, tmp_path / "out", tmp_path / "empty")
    with pytest.raises(StorageError, match="no such file"):
        slim(source, tmp_path / "out", tmp_path / "nowhere")
    (tmp_path / "x.json").write_text('{"layers": 1}')
    with pytest.raises(UnsafeInputError):
        slim(source, tmp_path / "out", tmp_path / "x.json")
    (tmp_path / "folder" / "lib").mkdir(parents=True)
    with pytest.raises(ConfigError, match="only a published stack"):
        slim(tmp_path / "folder", tmp_path / "out", first)


def test_a_name_that_stands_for_something_else(first: Path, tmp_path: Path) -> None:
    """The old archive's name is that of another layer's new one: refused, not overwritten."""
    layers = stack(build=2)
    layers["more"] = LayerSpec("framework", {"x.txt": "x"}, requires=("py",))
    source = put(tmp_path / "in2", layers, build=2)
    path = source / "__venvstacks__" / "venvstacks-linux_x86_64.json"
    value = json.loads(path.read_text())
    more = value["layers"]["frameworks"][0]
    (source / more["archive_name"]).rename(source / f"py{TAG}-1.tar.xz")
    more["archive_name"] = f"py{TAG}-1.tar.xz"
    path.write_text(json.dumps(value))
    with pytest.raises(ConfigError, match="both write"):
        slim(source, tmp_path / "out", first)


def test_the_input_may_be_the_previous_set(first: Path, tmp_path: Path) -> None:
    before = {path: hashlib.sha256(path.read_bytes()).digest() for path in first.glob("*.tar.xz")}
    layers = slim(first, tmp_path / "out", first)
    assert {item.since for item in layers.values()} == {SincePrevious.UNCHANGED}
    assert before == {
        path: hashlib.sha256(path.read_bytes()).digest() for path in first.glob("*.tar.xz")
    }
