"""Restoring: removed files come back, all or some, into small stacks of every shape."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import pytest

from slim.backup.extract import list_originals
from slim.config.load import load_config
from slim.errors import ConfigError, IntegrityError
from slim.model.limits import Limits
from slim.model.outcome import Check
from slim.passes import SCHEMAS
from slim.pipeline.stages import RunRequest, run
from slim.plan.planned import PlannedStack
from slim.verification.repair import Proved
from tests.support.backup_runs import (
    FRAMEWORK,
    TEST_CORE,
    assert_records_true,
    entries,
    entry,
    manifest,
    put_back,
    run_with_backup,
    taking,
    venv,
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


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``_artifacts``, ``_slim`` and ``removed.tar.zst``; read only."""
    folder = tmp_path_factory.mktemp("made")
    small_stack(folder / "_artifacts")
    run_with_backup(folder / "_artifacts", folder / "_slim", folder / "removed.tar.zst")
    return folder


def test_all_of_it(made: Path, tmp_path: Path) -> None:
    (result,) = put_back(made / "removed.tar.zst", made / "_slim", tmp_path / "back")
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
    put_back(made / "removed.tar.zst", made / "_slim", tmp_path / "back")
    run(
        RunRequest(source=tmp_path / "back", output=tmp_path / "again", config=load_config(SCHEMAS))
    )
    for path in (made / "_slim").glob("*.xz"):
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_some_of_it(made: Path, tmp_path: Path) -> None:
    (result,) = put_back(made / "removed.tar.zst", made / "_slim", tmp_path / "back", "**/tests/**")
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
    put_back(store, made / "_slim", tmp_path / "1", f"{FRAMEWORK}/**/tests/**", "$stdlib/idlelib/")
    put_back(store, tmp_path / "1", tmp_path / "2", "$site/**/*.pyi")
    assert_records_true(tmp_path / "2" / f"{FRAMEWORK}.tar.xz", FRAMEWORK)
    put_back(store, tmp_path / "2", tmp_path / "3", "**/METADATA", "**/test_os.py")
    for path in (made / "_artifacts").glob("*.xz"):
        assert entries(tmp_path / "3" / path.name) == entries(path)
    (again,) = put_back(store, tmp_path / "3", tmp_path / "4")
    assert all(layer.whole and not layer.files for layer in again.layers)


def test_what_is_restored_has_true_records_whatever_comes_back(made: Path, tmp_path: Path) -> None:
    for number, one in enumerate(list_originals(made / "removed.tar.zst", (), (), Limits())):
        if one.layer.name == FRAMEWORK:
            put_back(
                made / "removed.tar.zst", made / "_slim", tmp_path / str(number), one.file.path
            )
            assert_records_true(tmp_path / str(number) / f"{FRAMEWORK}.tar.xz", FRAMEWORK)


def test_a_record_that_would_not_be_true_is_named_with_what_to_do(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failure = f"{FRAMEWORK}/{SITE}/maths-1.dist-info/RECORD: maths/core.py has another hash"
    check = Check(name="record", tried=1, failures=(failure,))
    monkeypatch.setattr("slim.backup.restore.true_records", lambda *_: check)
    with pytest.raises(IntegrityError) as caught:
        put_back(made / "removed.tar.zst", made / "_slim", tmp_path / "back", "**/tests/**")
    assert caught.value.file == failure.partition(": ")[0]
    assert "maths/core.py has another hash" in caught.value.message
    assert "without globs" in (caught.value.hint or "")
    assert not (tmp_path / "back").exists()


def test_a_glob_that_selects_nothing(made: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        put_back(
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
    """Removals that a repair took back aren't in the backup."""
    small_stack(tmp_path / "_artifacts")

    def repairing(planned: PlannedStack, *_: Any, **__: Any) -> Proved:
        return Proved(planned=planned.without({(FRAMEWORK, f"{SITE}/maths/core.pyi"): ()}))

    monkeypatch.setattr("slim.pipeline.stages.prove", repairing)
    run_with_backup(
        tmp_path / "_artifacts", tmp_path / "_slim", tmp_path / "kept.tar.zst", verify=True
    )
    kept = entries(tmp_path / "kept.tar.zst")
    assert f"{FRAMEWORK}/{SITE}/maths/core.pyi" not in kept
    assert f"{FRAMEWORK}/{SITE}/maths/stubs/more.pyi" in kept
    put_back(tmp_path / "kept.tar.zst", tmp_path / "_slim", tmp_path / "back")
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
    run_with_backup(tmp_path / "_artifacts", tmp_path / "_slim", tmp_path / "kept.tar.zst")
    kept = set(entries(tmp_path / "kept.tar.zst"))
    assert {
        f"{tag}/cpython3.13/{SITE}/maths/a.pyi" for tag in ("linux_x86_64", "macosx_arm64")
    } <= kept
    results = put_back(tmp_path / "kept.tar.zst", tmp_path / "_slim", tmp_path / "back")
    assert [result.platform for result in results] == ["linux_x86_64", "macosx_arm64"]
    for path in (tmp_path / "_artifacts").glob("*.xz"):
        assert entries(tmp_path / "back" / path.name) == entries(path)
    found = list_originals(tmp_path / "kept.tar.zst", ("**/*.pyi",), ("macosx_arm64",), Limits())
    assert [one.place for one in found] == [f"macosx_arm64/cpython3.13/{SITE}/maths/a.pyi"]
    with pytest.raises(ConfigError):
        list_originals(tmp_path / "kept.tar.zst", (), ("win_amd64",), Limits())


def test_one_archive_of_a_stack(made: Path, tmp_path: Path) -> None:
    name = f"{FRAMEWORK}.tar.xz"
    put_back(made / "removed.tar.zst", made / "_slim" / name, tmp_path / name)
    assert entries(tmp_path / name) == entries(made / "_artifacts" / name)
    with pytest.raises(ConfigError) as caught:
        put_back(
            made / "removed.tar.zst", made / "_slim" / name, tmp_path / "x.tar.xz", "cpython3.13/**"
        )
    assert "no layer cpython3.13" in caught.value.message


def snapshot(folder: Path) -> dict[str, tuple[Any, ...]]:
    found = {}
    for path in sorted(folder.rglob("*")):
        mode: int | None = path.lstat().st_mode
        content: str | bytes | None = None
        if path.is_symlink():
            mode, content = None, str(path.readlink())
        elif path.is_file():
            content = path.read_bytes()
        found[str(path.relative_to(folder))] = (mode, content)
    return found


def test_a_plain_folder_under_another_name(tmp_path: Path) -> None:
    venv(tmp_path / "venv")
    run_with_backup(
        tmp_path / "venv",
        tmp_path / "smaller",
        tmp_path / "kept.tar.zst",
        config=taking("$site/**/tests/**"),
    )
    assert not (tmp_path / "smaller" / SITE / "maths/tests").exists()
    put_back(tmp_path / "kept.tar.zst", tmp_path / "smaller", tmp_path / "back")
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
    run_with_backup(export, tmp_path / "_slim", tmp_path / "kept.tar.zst")
    put_back(tmp_path / "kept.tar.zst", tmp_path / "_slim", tmp_path / "back")
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
    run_with_backup(tmp_path / "layer.tar.xz", slimmed, tmp_path / "kept.tar.zst", config=config)
    kept = entries(tmp_path / "kept.tar.zst")
    assert kept[f"layer/{SITE}/maths/tests/hard.py"][0] == tarfile.REGTYPE, (
        "what it shares isn't in the store"
    )
    (result,) = put_back(tmp_path / "kept.tar.zst", slimmed, tmp_path / f"back.{suffix}")
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
    run_with_backup(
        tmp_path / "_artifacts",
        tmp_path / "_slim",
        tmp_path / "kept.tar.zst",
        config=config,
        unverified=True,
    )
    name = f"python/{SITE}/maths/b.bin"
    assert entries(tmp_path / "_slim" / "python.tar.xz")[name][0] == tarfile.SYMTYPE
    for number, globs in enumerate(((), ("**/b.bin",))):
        put_back(tmp_path / "kept.tar.zst", tmp_path / "_slim", tmp_path / str(number), *globs)
        assert entries(tmp_path / str(number) / "python.tar.xz") == entries(
            tmp_path / "_artifacts" / "python.tar.xz"
        )


def test_records_that_listed_what_was_not_there(tmp_path: Path) -> None:
    """Such a RECORD is written again though nothing else changes.

    The original comes back with the whole stack, not with a part of another layer.
    """
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
    run_with_backup(tmp_path / "_artifacts", tmp_path / "_slim", tmp_path / "kept.tar.zst")
    put_back(tmp_path / "kept.tar.zst", tmp_path / "_slim", tmp_path / "some", "**/*.pyi")
    assert (tmp_path / "some" / "one.tar.xz").read_bytes() == (
        tmp_path / "_slim" / "one.tar.xz"
    ).read_bytes()
    put_back(tmp_path / "kept.tar.zst", tmp_path / "some", tmp_path / "all")
    for name in layers:
        assert entries(tmp_path / "all" / f"{name}.tar.xz") == entries(
            tmp_path / "_artifacts" / f"{name}.tar.xz"
        )
