"""Backups that runs write: their members, their index, and when there is none."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from slim.cli import main
from slim.config.load import load_config
from slim.errors import ConfigError, SlimError, StorageError
from slim.passes import SCHEMAS
from tests.support.backup_runs import (
    FRAMEWORK,
    INDEX,
    METADATA,
    TEST_CORE,
    entries,
    entry,
    index_of,
    run_with_backup,
)
from tests.support.published_stacks import (
    SITE,
    small_stack,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``_artifacts``, ``_slim`` and ``removed.tar.zst``; read only."""
    folder = tmp_path_factory.mktemp("made")
    small_stack(folder / "_artifacts")
    run_with_backup(folder / "_artifacts", folder / "_slim", folder / "removed.tar.zst")
    return folder


def test_a_store_is_an_ordinary_archive(made: Path) -> None:
    listed = subprocess.run(
        ["tar", "--zstd", "-tf", made / "removed.tar.zst"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert INDEX in listed
    assert TEST_CORE in listed
    kept, before = (
        entries(made / "removed.tar.zst"),
        entries(made / "_artifacts" / f"{FRAMEWORK}.tar.xz"),
    )
    assert {
        name: one for name, one in kept.items() if name.startswith(FRAMEWORK)
    }.items() <= before.items()


def test_the_index_tells_rule_evidence_and_digests(made: Path) -> None:
    index = index_of(made / "removed.tar.zst")
    assert (index["schema"], index["schema_version"]) == ("urn:slim:removed:v1", 1)
    (stack,) = index["stacks"]
    assert (stack["platform"], stack["manifest"]) == ("linux_x86_64", "venvstacks.json")
    layer = next(one for one in stack["layers"] if one["name"] == FRAMEWORK)
    assert layer["tree_sha256"]["after"] == entry(made / "_slim", FRAMEWORK)["slim"]["tree_sha256"]
    files = {one["path"]: one for one in layer["files"]}
    gone = files[f"{SITE}/maths/tests/test_core.py"]
    assert (gone["action"], gone["rule"], gone["pass"], gone["mode"]) == (
        "removed",
        "tests-folders",
        "tests",
        "0644",
    )
    assert gone["evidence"]
    shrunk = files[METADATA]
    assert shrunk["action"] == "rewritten"
    assert (
        shrunk["sha256_after"]
        == entries(made / "_slim" / f"{FRAMEWORK}.tar.xz")[f"{FRAMEWORK}/{METADATA}"][4]
    )
    actions = {one["path"]: one["action"] for layer in stack["layers"] for one in layer["files"]}
    assert actions["lib/python3.13/idlelib"] == "emptied"


def test_every_difference_is_in_the_store(made: Path) -> None:
    for archive in sorted(path.name for path in (made / "_artifacts").glob("*.xz")):
        before, after = entries(made / "_artifacts" / archive), entries(made / "_slim" / archive)
        changed = {name for name in before if after.get(name) != before[name]}
        assert changed == set(entries(made / "removed.tar.zst")) & set(before)


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_same_run_gives_the_same_store(made: Path, tmp_path: Path, jobs: int) -> None:
    config = load_config(SCHEMAS, overrides={"jobs": jobs})
    run_with_backup(
        made / "_artifacts", tmp_path / "_slim", tmp_path / "again.tar.zst", config=config
    )
    assert (tmp_path / "again.tar.zst").read_bytes() == (made / "removed.tar.zst").read_bytes()


def test_reports_tell_of_it(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, output, store = made / "_artifacts", tmp_path / "out", tmp_path / "kept.tar.zst"
    assert (
        main(["run", str(source), "-o", str(output), "--keep-removed", str(store), "--no-config"])
        == 0
    )
    assert "kept  7 originals of 2.7 kB in" in capsys.readouterr().out
    report = [
        "run",
        str(source),
        "-o",
        str(output),
        "--keep-removed",
        str(store),
        "--no-config",
        "--force",
        "--json",
    ]
    assert main(report) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["run"]["stacks"][0]["kept"] == str(store)
    kept = report["runs"][0]["kept"]
    assert (kept["files"], kept["archive"]["size"]) == (7, store.stat().st_size)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("kept.zip", "ends with .tar.zst"),
        ("_artifacts/kept.tar.zst", "inside the input"),
        ("out/kept.tar.zst", "in the output"),
        ("there.tar.zst", "exists already"),
    ],
)
def test_where_a_store_may_not_go(made: Path, tmp_path: Path, name: str, message: str) -> None:
    shutil.copytree(made / "_artifacts", tmp_path / "_artifacts")
    (tmp_path / "there.tar.zst").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigError) as caught:
        run_with_backup(tmp_path / "_artifacts", tmp_path / "out", tmp_path / name)
    assert message in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "there.tar.zst").read_text() == "mine"


def test_a_dry_run_keeps_nothing(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "run",
        str(made / "_artifacts"),
        "--dry-run",
        "--keep-removed",
        str(tmp_path / "kept.tar.zst"),
    ]
    assert main(arguments) == 2
    assert "--dry-run removes nothing" in capsys.readouterr().err


@pytest.mark.parametrize("there", [False, True])
def test_store_and_result_appear_together_or_not_at_all(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    store = tmp_path / "kept.tar.zst"
    if there:
        store.write_text("of the last run")
    seen: list[bool] = []

    def failing(*_: object, **__: object) -> None:
        seen.append(store.exists() and store.read_bytes()[:4] == b"\x28\xb5\x2f\xfd")
        raise StorageError("No space left on device")

    monkeypatch.setattr("slim.pipeline.stages.publish", failing)
    with pytest.raises(StorageError):
        run_with_backup(made / "_artifacts", tmp_path / "out", store, force=True)
    assert seen == [True], "the store is in its place before the result is"
    assert [path.name for path in tmp_path.iterdir()] == (["kept.tar.zst"] if there else [])
    assert not there or store.read_text() == "of the last run"


def test_a_refused_result_leaves_no_store(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lossy(*_: object, **__: object) -> tuple[int, tuple[str, ...]]:
        return 1, ("something is missing",)

    monkeypatch.setattr("slim.publish.layers.compare", lossy)
    with pytest.raises(SlimError):
        run_with_backup(made / "_artifacts", tmp_path / "out", tmp_path / "kept.tar.zst")
    assert list(tmp_path.iterdir()) == []
