"""Nothing lost: what a run removed comes back, all of it or some, on small stacks of every shape."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import pytest

from slim.backup.extract import extract, list_originals
from slim.cli import main
from slim.config.load import load_config
from slim.config.settings import Config
from slim.errors import ConfigError, IntegrityError, SlimError, StorageError, UnsafeInputError
from slim.model.limits import Limits
from slim.passes import SCHEMAS
from slim.pipeline.stages import RunRequest, run
from slim.plan.planned import PlannedStack
from slim.verification.repair import Proved
from tests.support.backup_runs import (
    INDEX,
    assert_records_true,
    back,
    entries,
    index_of,
    keeping,
    rewritten,
    with_index,
)
from tests.support.published_stacks import (
    SITE,
    STDLIB,
    LayerSpec,
    distribution,
    merge,
    publish,
    small_stack,
    write_archive,
    write_json,
)
from tests.support.runnable_stacks import fault

FRAMEWORK = "framework-maths"
TEST_CORE = f"{FRAMEWORK}/{SITE}/maths/tests/test_core.py"
METADATA = f"{SITE}/maths-1.0.dist-info/METADATA"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``_artifacts``, ``_slim`` and ``removed.tar.zst``; read only."""
    folder = tmp_path_factory.mktemp("made")
    small_stack(folder / "_artifacts")
    keeping(folder / "_artifacts", folder / "_slim", folder / "removed.tar.zst")
    return folder


def manifest(folder: Path) -> dict[str, Any]:
    (path,) = (folder / "__venvstacks__").glob("*.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def entry(folder: Path, name: str) -> dict[str, Any]:
    layers = manifest(folder)["layers"]
    return next(
        one for section in layers.values() for one in section if one["install_target"] == name
    )


# Keeping


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
    assert files[f"{SITE}/maths/stubs"]["action"] == "emptied"


def test_every_difference_is_in_the_store(made: Path) -> None:
    for archive in sorted(path.name for path in (made / "_artifacts").glob("*.xz")):
        before, after = entries(made / "_artifacts" / archive), entries(made / "_slim" / archive)
        changed = {name for name in before if after.get(name) != before[name]}
        assert changed == set(entries(made / "removed.tar.zst")) & set(before)


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_same_run_gives_the_same_store(made: Path, tmp_path: Path, jobs: int) -> None:
    config = load_config(SCHEMAS, overrides={"jobs": jobs})
    keeping(made / "_artifacts", tmp_path / "_slim", tmp_path / "again.tar.zst", config=config)
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
    told = json.loads(capsys.readouterr().out)
    assert told["run"]["stacks"][0]["kept"] == str(store)
    kept = told["runs"][0]["kept"]
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
        keeping(tmp_path / "_artifacts", tmp_path / "out", tmp_path / name)
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
        keeping(made / "_artifacts", tmp_path / "out", store, force=True)
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
        keeping(made / "_artifacts", tmp_path / "out", tmp_path / "kept.tar.zst")
    assert list(tmp_path.iterdir()) == []


# Restoring


def test_all_of_it(made: Path, tmp_path: Path) -> None:
    (result,) = back(made / "removed.tar.zst", made / "_slim", tmp_path / "back")
    assert all(layer.whole for layer in result.layers)
    for path in (made / "_artifacts").glob("*.xz"):
        assert entries(tmp_path / "back" / path.name) == entries(path)
    for name in ("cpython3.13", FRAMEWORK, "app-main"):
        restored, original = entry(tmp_path / "back", name), entry(made / "_artifacts", name)
        changing = {"archive_size", "archive_hashes"}
        assert {key: value for key, value in restored.items() if key not in changing} == {
            key: value for key, value in original.items() if key not in changing
        }
    assert (tmp_path / "back" / "app-main.tar.xz").read_bytes() == (
        made / "_slim" / "app-main.tar.xz"
    ).read_bytes()


def test_a_restored_stack_can_be_slimmed_to_the_same_bytes(made: Path, tmp_path: Path) -> None:
    back(made / "removed.tar.zst", made / "_slim", tmp_path / "back")
    run(
        RunRequest(source=tmp_path / "back", output=tmp_path / "again", config=load_config(SCHEMAS))
    )
    for path in (made / "_slim").glob("*.xz"):
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_some_of_it(made: Path, tmp_path: Path) -> None:
    (result,) = back(made / "removed.tar.zst", made / "_slim", tmp_path / "back", "**/tests/**")
    slimmed, now = made / "_slim" / f"{FRAMEWORK}.tar.xz", tmp_path / "back" / f"{FRAMEWORK}.tar.xz"
    came = set(entries(now)) - set(entries(slimmed))
    assert came == {TEST_CORE}
    assert (
        entries(now)[TEST_CORE] == entries(made / "_artifacts" / f"{FRAMEWORK}.tar.xz")[TEST_CORE]
    )
    assert_records_true(now, FRAMEWORK)
    note = entry(tmp_path / "back", FRAMEWORK)["slim"]
    layer = next(one for one in result.layers if one.name == FRAMEWORK)
    assert (layer.files, layer.left, layer.whole) == (1, 3, False)
    assert (
        note["tree_sha256"]
        == layer.tree_sha256
        != entry(made / "_slim", FRAMEWORK)["slim"]["tree_sha256"]
    )
    assert (
        note["archive_size"]["after"]
        == now.stat().st_size
        == entry(tmp_path / "back", FRAMEWORK)["archive_size"]
    )
    runtime = "cpython3.13.tar.xz"
    assert (tmp_path / "back" / runtime).read_bytes() == (made / "_slim" / runtime).read_bytes()


def test_step_by_step_to_the_original(made: Path, tmp_path: Path) -> None:
    store = made / "removed.tar.zst"
    back(store, made / "_slim", tmp_path / "1", f"{FRAMEWORK}/**/tests/**", "$stdlib/idlelib/")
    back(store, tmp_path / "1", tmp_path / "2", "$site/**/*.pyi")
    assert_records_true(tmp_path / "2" / f"{FRAMEWORK}.tar.xz", FRAMEWORK)
    back(store, tmp_path / "2", tmp_path / "3", "**/METADATA", "**/test_os.py")
    for path in (made / "_artifacts").glob("*.xz"):
        assert entries(tmp_path / "3" / path.name) == entries(path)
    (again,) = back(store, tmp_path / "3", tmp_path / "4")
    assert all(layer.whole and not layer.files for layer in again.layers)


def test_what_is_restored_has_true_records_whatever_comes_back(made: Path, tmp_path: Path) -> None:
    for number, one in enumerate(list_originals(made / "removed.tar.zst", (), (), Limits())):
        if one.layer.name == FRAMEWORK:
            back(made / "removed.tar.zst", made / "_slim", tmp_path / str(number), one.file.path)
            assert_records_true(tmp_path / str(number) / f"{FRAMEWORK}.tar.xz", FRAMEWORK)


def test_a_glob_that_selects_nothing(made: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        back(
            made / "removed.tar.zst",
            made / "_slim",
            tmp_path / "back",
            "**/tests/**",
            "nowhere/**",
            "*.none",
        )
    assert "nowhere/**, *.none" in caught.value.message
    assert not (tmp_path / "back").exists()


def test_only_verified_removals_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a repair took back isn't in the store."""
    small_stack(tmp_path / "_artifacts")

    def repairing(planned: PlannedStack, *_: Any, **__: Any) -> Proved:
        return Proved(planned=planned.without({(FRAMEWORK, f"{SITE}/maths/core.pyi"): ()}))

    monkeypatch.setattr("slim.pipeline.stages.prove", repairing)
    keeping(tmp_path / "_artifacts", tmp_path / "_slim", tmp_path / "kept.tar.zst", verify=True)
    kept = entries(tmp_path / "kept.tar.zst")
    assert f"{FRAMEWORK}/{SITE}/maths/core.pyi" not in kept
    assert f"{FRAMEWORK}/{SITE}/maths/stubs/more.pyi" in kept
    back(tmp_path / "kept.tar.zst", tmp_path / "_slim", tmp_path / "back")
    name = f"{FRAMEWORK}.tar.xz"
    assert entries(tmp_path / "back" / name) == entries(tmp_path / "_artifacts" / name)


# Stacks of other shapes


def test_several_platforms_in_one_store(tmp_path: Path) -> None:
    for tag in ("linux_x86_64", "macosx_arm64"):
        files = {f"{SITE}/README.txt": tag}
        spec = LayerSpec(
            "runtime",
            merge(files, distribution("maths", {"maths/a.py": "", "maths/a.pyi": tag * 9})),
        )
        publish(tmp_path / "_artifacts", {"cpython3.13": spec}, platform=tag, tag=f"-{tag}")
    keeping(tmp_path / "_artifacts", tmp_path / "_slim", tmp_path / "kept.tar.zst")
    kept = set(entries(tmp_path / "kept.tar.zst"))
    assert {
        f"{tag}/cpython3.13/{SITE}/maths/a.pyi" for tag in ("linux_x86_64", "macosx_arm64")
    } <= kept
    results = back(tmp_path / "kept.tar.zst", tmp_path / "_slim", tmp_path / "back")
    assert [result.platform for result in results] == ["linux_x86_64", "macosx_arm64"]
    for path in (tmp_path / "_artifacts").glob("*.xz"):
        assert entries(tmp_path / "back" / path.name) == entries(path)
    found = list_originals(tmp_path / "kept.tar.zst", ("**/*.pyi",), ("macosx_arm64",), Limits())
    assert [one.place for one in found] == [f"macosx_arm64/cpython3.13/{SITE}/maths/a.pyi"]
    with pytest.raises(ConfigError):
        list_originals(tmp_path / "kept.tar.zst", (), ("win_amd64",), Limits())


def test_one_archive_of_a_stack(made: Path, tmp_path: Path) -> None:
    name = f"{FRAMEWORK}.tar.xz"
    back(made / "removed.tar.zst", made / "_slim" / name, tmp_path / name)
    assert entries(tmp_path / name) == entries(made / "_artifacts" / name)
    with pytest.raises(ConfigError) as caught:
        back(
            made / "removed.tar.zst", made / "_slim" / name, tmp_path / "x.tar.xz", "cpython3.13/**"
        )
    assert "no layer cpython3.13" in caught.value.message


def taking(*globs: str, **more: Any) -> Config:
    """A configuration that removes these files, and a run's own besides."""
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


def snapshot(folder: Path) -> dict[str, tuple[Any, ...]]:
    found = {}
    for path in sorted(folder.rglob("*")):
        state = path.lstat()
        content = (
            str(path.readlink())
            if path.is_symlink()
            else path.read_bytes()
            if path.is_file()
            else None
        )
        found[str(path.relative_to(folder))] = (
            None if path.is_symlink() else state.st_mode,
            content,
        )
    return found


def test_a_plain_folder_under_another_name(tmp_path: Path) -> None:
    venv(tmp_path / "venv")
    keeping(
        tmp_path / "venv",
        tmp_path / "smaller",
        tmp_path / "kept.tar.zst",
        config=taking("$site/**/tests/**"),
    )
    assert not (tmp_path / "smaller" / SITE / "maths/tests").exists()
    back(tmp_path / "kept.tar.zst", tmp_path / "smaller", tmp_path / "back")
    assert snapshot(tmp_path / "back") == snapshot(tmp_path / "venv")


def test_an_export(made: Path, tmp_path: Path) -> None:
    export = tmp_path / "_export"
    export.mkdir()
    for path in (made / "_artifacts").glob("*.xz"):
        with tarfile.open(path) as tar:
            tar.extractall(export, filter="fully_trusted")
    document = manifest(made / "_artifacts")
    for section in document["layers"].values():
        for one in section:
            for key in ("archive_name", "archive_size", "archive_hashes", "archive_build"):
                del one[key]
    (export / "__venvstacks__").mkdir()
    write_json(export / "__venvstacks__" / "venvstacks.json", document)
    keeping(export, tmp_path / "_slim", tmp_path / "kept.tar.zst")
    back(tmp_path / "kept.tar.zst", tmp_path / "_slim", tmp_path / "back")
    assert snapshot(tmp_path / "back") == snapshot(export)


@pytest.mark.parametrize("format_name", [None, "zip", "tar.zst"])
def test_links_hard_and_symbolic_and_odd_names(tmp_path: Path, format_name: str | None) -> None:
    files = merge(
        distribution(
            "maths",
            {"maths/__init__.py": "", "maths/tests/test_a.py": "a" * 99, "maths/data.txt": "data"},
        ),
        {f"{SITE}/loose/tests/größe.py": "x", "postinstall.py": "\n"},
    )
    write_archive(tmp_path / "plain.tar.xz", "layer", files)
    with (
        tarfile.open(tmp_path / "plain.tar.xz") as plain,
        tarfile.open(tmp_path / "layer.tar.xz", "w:xz") as tar,
    ):
        for info in plain.getmembers():
            tar.addfile(info, plain.extractfile(info) if info.isfile() else None)
        for name, kind, target in (
            (f"{SITE}/maths/tests/hard.py", tarfile.LNKTYPE, f"layer/{SITE}/maths/data.txt"),
            (f"{SITE}/maths/other.txt", tarfile.LNKTYPE, f"layer/{SITE}/maths/data.txt"),
            (f"{SITE}/maths/tests/twin.py", tarfile.LNKTYPE, f"layer/{SITE}/maths/tests/test_a.py"),
            (f"{SITE}/maths/tests/soft.py", tarfile.SYMTYPE, "../data.txt"),
        ):
            info = tarfile.TarInfo(f"layer/{name}")
            info.type, info.linkname, info.mode = kind, target, 0o644
            tar.addfile(info)
    settings = {"format": format_name} if format_name else {}
    config = taking("$site/**/tests/**", **settings)
    suffix = format_name or "tar.xz"
    slimmed = tmp_path / f"slim.{suffix}"
    keeping(tmp_path / "layer.tar.xz", slimmed, tmp_path / "kept.tar.zst", config=config)
    kept = entries(tmp_path / "kept.tar.zst")
    assert kept[f"layer/{SITE}/maths/tests/hard.py"][0] == tarfile.REGTYPE, (
        "what it shares isn't in the store"
    )
    (result,) = back(tmp_path / "kept.tar.zst", slimmed, tmp_path / f"back.{suffix}")
    assert result.layers[0].whole
    if format_name != "zip":
        assert entries(tmp_path / f"back.{suffix}") == entries(tmp_path / "layer.tar.xz")


def test_a_twin_that_became_a_link(tmp_path: Path) -> None:
    data = bytes(range(256)) * 128
    files = distribution(
        "maths", {"maths/__init__.py": "", "maths/a.bin": data, "maths/b.bin": data}
    )
    publish(tmp_path / "_artifacts", {"python": LayerSpec("runtime", files)})
    config = load_config(SCHEMAS, overrides={"enable": ("duplicate-data",)})
    keeping(tmp_path / "_artifacts", tmp_path / "_slim", tmp_path / "kept.tar.zst", config=config)
    name = f"python/{SITE}/maths/b.bin"
    assert entries(tmp_path / "_slim" / "python.tar.xz")[name][0] == tarfile.SYMTYPE
    for number, globs in enumerate(((), ("**/b.bin",))):
        back(tmp_path / "kept.tar.zst", tmp_path / "_slim", tmp_path / str(number), *globs)
        assert entries(tmp_path / str(number) / "python.tar.xz") == entries(
            tmp_path / "_artifacts" / "python.tar.xz"
        )


def test_records_that_listed_what_was_not_there(tmp_path: Path) -> None:
    """Such a RECORD is written again though nothing else changes; the original comes back with the whole, not with
    a part of another layer."""
    files = dict(distribution("maths", {"maths/__init__.py": ""}))
    record = f"{SITE}/maths-1.0.dist-info/RECORD"
    files[record] = f"maths/gone.txt,sha256=x,1\n{files[record]}"
    layers = {
        "python": LayerSpec(
            "runtime", {f"{SITE}/README.txt": "", f"{STDLIB}/os.py": "", f"{STDLIB}/site.py": ""}
        ),
        "one": LayerSpec("framework", files),
        "two": LayerSpec(
            "framework", distribution("plots", {"plots/__init__.py": "", "plots/a.pyi": "x: int\n"})
        ),
    }
    publish(tmp_path / "_artifacts", layers)
    keeping(tmp_path / "_artifacts", tmp_path / "_slim", tmp_path / "kept.tar.zst")
    back(tmp_path / "kept.tar.zst", tmp_path / "_slim", tmp_path / "some", "**/*.pyi")
    assert (tmp_path / "some" / "one.tar.xz").read_bytes() == (
        tmp_path / "_slim" / "one.tar.xz"
    ).read_bytes()
    back(tmp_path / "kept.tar.zst", tmp_path / "some", tmp_path / "all")
    for name in layers:
        assert entries(tmp_path / "all" / f"{name}.tar.xz") == entries(
            tmp_path / "_artifacts" / f"{name}.tar.xz"
        )


# What isn't as it should be


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
        back(made / "removed.tar.zst", changed, tmp_path / "back", *globs)
    assert caught.value.exit_code == 5 or "RECORD" in name
    assert message in str(caught.value)
    assert not (tmp_path / "back").exists()


def test_something_else_in_the_place_of_a_removed_file(made: Path, tmp_path: Path) -> None:
    def change(members: list[Any]) -> list[Any]:
        return [*members, (tarfile.TarInfo(TEST_CORE), b"mine")]

    changed = slimmed_with(made, tmp_path / "changed", FRAMEWORK, change)
    with pytest.raises(IntegrityError) as caught:
        back(made / "removed.tar.zst", changed, tmp_path / "back")
    assert "is there, although the run removed it" in str(caught.value)


def test_another_stack(made: Path, tmp_path: Path) -> None:
    publish(tmp_path / "other", {"python": LayerSpec("runtime", {f"{SITE}/README.txt": ""})})
    with pytest.raises(ConfigError) as caught:
        back(made / "removed.tar.zst", tmp_path / "other", tmp_path / "back")
    assert "holds no originals of this stack" in caught.value.message


def test_the_original_needs_nothing_back(made: Path, tmp_path: Path) -> None:
    (result,) = back(made / "removed.tar.zst", made / "_artifacts", tmp_path / "back")
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
        lambda: back(store, made / "_slim", tmp_path / "back"),
        lambda: extract(store, tmp_path / "look", (), (), Limits()),
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
        lambda: back(store, made / "_slim", tmp_path / "back"),
        lambda: extract(store, tmp_path / "look", (), (), Limits()),
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
        back(store, made / "_slim", tmp_path / "back", "**/tests/**")
    assert "isn't the layer" in str(caught.value)


# Files to look at


def test_extracting_leaves_out_links_that_lead_out(tmp_path: Path) -> None:
    venv(tmp_path / "venv")
    keeping(
        tmp_path / "venv",
        tmp_path / "smaller",
        tmp_path / "kept.tar.zst",
        config=taking("$site/**/tests/**"),
    )
    found, left = extract(
        tmp_path / "kept.tar.zst", tmp_path / "look", ("**/tests/**",), (), Limits()
    )
    assert left == (f"venv/{SITE}/maths/tests/link.py",)
    assert [one.file.path for one in found] == [f"{SITE}/maths/tests/test_it.py"]
    assert (
        tmp_path / "look" / "venv" / SITE / "maths/tests/test_it.py"
    ).read_text() == "def test(): pass\n"
    assert not list((tmp_path / "look").rglob("link.py"))


def test_the_command_line(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, slimmed, out = str(made / "removed.tar.zst"), str(made / "_slim"), str(tmp_path / "back")
    for wrong in (
        [store],
        [store, slimmed],
        [store, "-o", out],
        [store, "--list", "--extract", out],
        [store, "--list", "-qv"],
    ):
        assert main(["restore", *wrong]) == 2, wrong
    capsys.readouterr()
    assert main(["restore", store, "--list", "**/*.pyi", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["originals"]
    assert [(one["deployed_path"], one["rule"], one["size"]) for one in told] == [
        (f"{FRAMEWORK}/{SITE}/maths/core.pyi", "stubs", 7),
        (f"{FRAMEWORK}/{SITE}/maths/stubs/more.pyi", "stubs", 7),
    ]
    assert main(["restore", store, slimmed, "-o", out, "**/*.pyi", "--json"]) == 0
    layers = json.loads(capsys.readouterr().out)["restored"][0]["layers"]
    assert [(one["name"], one["files"], one["original"]) for one in layers if one["files"]] == [
        (FRAMEWORK, 2, False)
    ]
    assert main(["restore", store, slimmed, "-o", out]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["restore", store, slimmed, "-o", out, "--force", "-q"]) == 0
    assert capsys.readouterr().out == ""
    assert main(["restore", store, "--extract", str(tmp_path / "look"), "**/*.pyi"]) == 0
    assert "2 originals" in capsys.readouterr().out
    assert (tmp_path / "look" / FRAMEWORK / SITE / "maths/core.pyi").read_text() == "x: int\n"
