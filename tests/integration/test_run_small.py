"""The whole pipeline on small published stacks: removals, refusals, and the result."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from slim.config.load import load_config
from slim.errors import ConfigError, IntegrityError, SlimError, StorageError, UnsafeInputError
from slim.model.outcome import RunResult
from slim.model.plan import SkipReason
from slim.passes import SCHEMAS
from slim.pipeline.explain import explain
from slim.pipeline.stages import RunRequest, run
from tests.support.published_stacks import (
    SITE,
    STDLIB,
    LayerSpec,
    Link,
    distribution,
    merge,
    publish,
    small_stack,
    write_archive,
    write_json,
)


def request(source: Path, output: Path | None, **more: Any) -> RunRequest:
    config = more.pop("config", None) or load_config(SCHEMAS)
    return RunRequest(source=source, output=output, config=config, **more)


def slim(source: Path, output: Path | None, **more: Any) -> RunResult:
    (result,) = run(request(source, output, **more))
    return result


def config(tmp_path: Path, text: str) -> Any:
    path = tmp_path / "slim.toml"
    path.write_text(f"schema = 1\n{text}", encoding="utf-8")
    return load_config(SCHEMAS, file=path)


def members(archive: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(archive) as file:
        return {info.name: info for info in file.getmembers()}


def content(archive: Path, name: str) -> bytes:
    with tarfile.open(archive) as file:
        found = file.extractfile(name)
        assert found is not None
        return found.read()


def snapshot(folder: Path) -> dict[str, tuple[int, int, int, str]]:
    """Bytes, times and link counts of everything below a folder."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mtime_ns,
            path.lstat().st_nlink,
            path.lstat().st_ino,
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
        )
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    return small_stack(tmp_path / "stack")


def test_what_goes_and_what_stays(stack: Path, tmp_path: Path) -> None:
    before = snapshot(stack)
    result = slim(stack, tmp_path / "out")
    framework = members(tmp_path / "out" / "framework-maths.tar.xz")
    prefix = f"framework-maths/{SITE}"
    assert f"{prefix}/maths/core.py" in framework
    assert f"{prefix}/maths/core.pyi" not in framework
    assert f"{prefix}/maths/tests/test_core.py" not in framework
    assert f"{prefix}/maths/stubs" in framework, "the package may list it, or write into it"
    assert f"{prefix}/maths/stubs/more.pyi" not in framework
    # another layer imports it, so it stays, and so does the package that it is in
    assert f"{prefix}/maths/tests/helpers.py" in framework
    assert f"{prefix}/maths/tests/__init__.py" in framework
    assert framework["framework-maths/bin/python_"].linkname == "../../cpython3.13/bin/python"
    runtime = members(tmp_path / "out" / "cpython3.13.tar.xz")
    assert f"cpython3.13/{STDLIB}/test" not in runtime, "a folder goes when no code is left in it"
    assert f"cpython3.13/{STDLIB}/os.py" in runtime
    assert result.after.unpacked < result.before.unpacked
    assert snapshot(stack) == before, "the input is untouched"


def test_a_refusal_names_who_imports_it(stack: Path, tmp_path: Path) -> None:
    result = slim(stack, None, dry_run=True)
    (skip,) = [
        skip for skip in result.plan.skipped if skip.record.path.endswith("tests/helpers.py")
    ]
    assert skip.reason is SkipReason.IMPORTED
    (evidence, *_) = skip.evidence
    assert (evidence.file, evidence.line) == (f"app-main/{SITE}/plots/__init__.py", 1)


def test_record_is_true_afterwards(stack: Path, tmp_path: Path) -> None:
    slim(stack, tmp_path / "out")
    archive = tmp_path / "out" / "framework-maths.tar.xz"
    names = members(archive)
    prefix = f"framework-maths/{SITE}"
    record = content(archive, f"{prefix}/maths-1.0.dist-info/RECORD").decode()
    rows = [row.split(",") for row in record.splitlines()]
    listed = {f"{prefix}/{row[0]}" for row in rows}
    present = {
        name for name, info in names.items() if info.isfile() and name.startswith(f"{prefix}/")
    }
    assert listed == present
    for path, digest, size in rows:
        if digest:
            import base64

            data = content(archive, f"{prefix}/{path}")
            expected = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            assert (digest, size) == (f"sha256={expected}", str(len(data))), path


def test_the_long_description_goes_and_headers_and_licences_stay(
    stack: Path, tmp_path: Path
) -> None:
    slim(stack, tmp_path / "out")
    archive = tmp_path / "out" / "framework-maths.tar.xz"
    info = f"framework-maths/{SITE}/maths-1.0.dist-info"
    metadata = content(archive, f"{info}/METADATA").decode()
    assert metadata == "Metadata-Version: 2.4\nName: maths\nVersion: 1.0\nLicense-File: LICENSE\n"
    assert content(archive, f"{info}/licenses/LICENSE") == b"MIT\n"


def test_manifest_carries_new_sizes_and_unknown_keys(tmp_path: Path) -> None:
    publish(
        tmp_path / "stack",
        {
            "cpython3.13": LayerSpec(
                "runtime", {f"{STDLIB}/os.py": "", f"{STDLIB}/site.py": ""}, extra={"mood": [1]}
            )
        },
    )
    result = slim(tmp_path / "stack", tmp_path / "out")
    metadata = tmp_path / "out" / "__venvstacks__"
    (entry,) = json.loads((metadata / "venvstacks.json").read_text())["layers"]["runtimes"]
    archive = tmp_path / "out" / entry["archive_name"]
    assert entry["mood"] == [1]
    assert entry["archive_size"] == archive.stat().st_size == result.after.archive
    assert entry["archive_hashes"]["sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()
    assert entry["slim"]["tree_sha256"] == result.layers[0].tree_sha256
    assert json.loads((metadata / "env_metadata" / "cpython3.13.json").read_text()) == entry


def test_a_second_run_changes_nothing_and_gives_the_same_bytes(stack: Path, tmp_path: Path) -> None:
    slim(stack, tmp_path / "one")
    again = slim(tmp_path / "one", tmp_path / "two")
    assert not again.plan.actions
    files = [
        path.relative_to(tmp_path / "one")
        for path in (tmp_path / "one").rglob("*")
        if path.is_file()
    ]
    assert len(files) == 7
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), (
            file
        )


def test_the_same_input_gives_the_same_bytes_however_many_workers(
    stack: Path, tmp_path: Path
) -> None:
    for jobs in (1, 3):
        slim(stack, tmp_path / str(jobs), config=config(tmp_path, f"jobs = {jobs}"))
    for name in ("cpython3.13", "framework-maths", "app-main"):
        one, other = (tmp_path / jobs / f"{name}.tar.xz" for jobs in ("1", "3"))
        assert one.read_bytes() == other.read_bytes()


def test_a_dry_run_writes_nothing(stack: Path, tmp_path: Path) -> None:
    result = slim(stack, None, dry_run=True)
    assert result.plan.actions and result.dry_run and result.output is None
    assert os.listdir(tmp_path) == ["stack"]


def test_a_dry_run_plans_what_a_run_does(stack: Path, tmp_path: Path) -> None:
    dry, real = slim(stack, None, dry_run=True), slim(stack, tmp_path / "out")
    assert dry.plan.actions == real.plan.actions
    assert dry.after.unpacked == real.after.unpacked


def test_only_the_named_layer_changes_and_the_others_are_carried_over(
    stack: Path, tmp_path: Path
) -> None:
    slim(stack, tmp_path / "out", layers=("framework-maths",))
    for name in ("cpython3.13", "app-main"):
        assert (tmp_path / "out" / f"{name}.tar.xz").read_bytes() == (
            stack / f"{name}.tar.xz"
        ).read_bytes()
    assert (tmp_path / "out/framework-maths.tar.xz").read_bytes() != (
        stack / "framework-maths.tar.xz"
    ).read_bytes()


def test_a_carried_layer_keeps_its_records_whatever_they_say(tmp_path: Path) -> None:
    files = merge(
        distribution("a", {"a.py": ""}), {f"{SITE}/a-1.0.dist-info/RECORD": "gone.py,,\n"}
    )
    stack = small_stack(tmp_path / "stack")
    layer = {
        "framework-odd": LayerSpec("framework", files),
        "framework-b": LayerSpec("framework", {"b.pyi": ""}),
    }
    publish(stack, layer)
    slim(stack, tmp_path / "out", layers=("framework-b",))
    odd = "framework-odd.tar.xz"
    assert (tmp_path / "out" / odd).read_bytes() == (stack / odd).read_bytes()


def test_stale_archives_are_listed_and_not_copied(stack: Path, tmp_path: Path) -> None:
    write_archive(stack / "framework-maths-1.tar.xz", "framework-maths", {"a": "old"})
    result = slim(stack, tmp_path / "out")
    assert [(stale.name, stale.size) for stale in result.stack.stale] == [
        ("framework-maths-1.tar.xz", (stack / "framework-maths-1.tar.xz").stat().st_size)
    ]
    assert not (tmp_path / "out" / "framework-maths-1.tar.xz").exists()
    assert (stack / "framework-maths-1.tar.xz").exists()


def test_several_platforms_side_by_side(tmp_path: Path) -> None:
    files = {f"{STDLIB}/os.py": "", f"{STDLIB}/site.py": "", f"{STDLIB}/test/test_x.py": ""}
    for platform in ("linux_x86_64", "macosx_arm64"):
        publish(
            tmp_path / "stack",
            {"cpython": LayerSpec("runtime", files)},
            platform=platform,
            tag=f"-{platform}",
        )
    results = run(request(tmp_path / "stack", tmp_path / "all"))
    assert [result.stack.platform.tag for result in results] == ["linux_x86_64", "macosx_arm64"]
    assert sorted(path.name for path in (tmp_path / "all").glob("*.xz")) == [
        "cpython-linux_x86_64.tar.xz",
        "cpython-macosx_arm64.tar.xz",
    ]
    run(request(tmp_path / "stack", tmp_path / "one", platforms=("macosx_arm64",)))
    assert [path.name for path in (tmp_path / "one").glob("*.xz")] == [
        "cpython-macosx_arm64.tar.xz"
    ]
    with pytest.raises(ConfigError, match="no manifest for platform"):
        run(request(tmp_path / "stack", tmp_path / "none", platforms=("win_amd64",)))


@pytest.mark.parametrize("name", ["tar.xz", "tar.gz", "tar.zst", "tar.bz2", "tar", "zip"])
def test_output_formats_hold_the_same_files(stack: Path, tmp_path: Path, name: str) -> None:
    slim(stack, tmp_path / "out", config=config(tmp_path, f'format = "{name}"'))
    manifest = json.loads((tmp_path / "out/__venvstacks__/venvstacks.json").read_text())
    assert manifest["layers"]["runtimes"][0]["archive_name"] == f"cpython3.13.{name}"
    # and each of them is a stack in its turn, with nothing left to do
    assert not slim(tmp_path / "out", None, dry_run=True).plan.actions


class TestKinds:
    def unpack(self, stack: Path, folder: Path) -> None:
        for archive in stack.glob("*.tar.xz"):
            with tarfile.open(archive) as file:
                file.extractall(folder, filter="fully_trusted")

    def test_export(self, stack: Path, tmp_path: Path) -> None:
        self.unpack(stack, tmp_path / "export")
        manifest = json.loads((stack / "__venvstacks__/venvstacks.json").read_text())
        for section in manifest["layers"].values():
            for entry in section:
                for key in ("archive_name", "archive_size", "archive_hashes"):
                    del entry[key]
        (tmp_path / "export" / "__venvstacks__").mkdir()
        write_json(tmp_path / "export/__venvstacks__/venvstacks.json", manifest)
        result = slim(tmp_path / "export", tmp_path / "out")
        assert result.stack.kind.value == "local-export"
        assert (tmp_path / "out" / "framework-maths" / SITE / "maths/core.py").is_file()
        assert not (tmp_path / "out" / "framework-maths" / SITE / "maths/core.pyi").exists()
        assert (tmp_path / "out" / "app-main" / "bin" / "python_").readlink() == Path(
            "../../cpython3.13/bin/python"
        )
        assert not slim(tmp_path / "out", None, dry_run=True).plan.actions

    def test_build(self, stack: Path, tmp_path: Path) -> None:
        self.unpack(stack, tmp_path / "build")
        manifest = json.loads((stack / "__venvstacks__/venvstacks.json").read_text())
        for section in manifest["layers"].values():
            for entry in section:
                write_json(
                    tmp_path / "build" / f"{entry['install_target']}.last-build.json",
                    {"layer_details": entry},
                )
        for path in (tmp_path / "build").glob("*.last-build.json"):
            details = json.loads(path.read_text())["layer_details"]
            for key in ("archive_name", "archive_size", "archive_hashes"):
                del details[key]
            write_json(path, {"layer_details": details})
        result = slim(tmp_path / "build", tmp_path / "out")
        assert result.stack.kind.value == "build"
        assert [layer.kind.value for layer in result.stack] == [
            "runtime",
            "framework",
            "application",
        ]
        assert (tmp_path / "out" / "app-main.last-build.json").is_file()
        assert not (tmp_path / "out" / "framework-maths" / SITE / "maths/core.pyi").exists()

    def test_build_of_versioned_layers(self, stack: Path, tmp_path: Path) -> None:
        """A layer with ``versioned = true`` is installed as NAME@3, and built in a folder NAME."""
        self.unpack(stack, tmp_path / "build")
        manifest = json.loads((stack / "__venvstacks__/venvstacks.json").read_text())
        for section in manifest["layers"].values():
            for entry in section:
                folder = entry["install_target"]
                details = {
                    key: value for key, value in entry.items() if not key.startswith("archive_")
                }
                details["install_target"] = f"{folder}@3"
                details["required_layers"] = [
                    f"{name}@3" for name in entry.get("required_layers", ())
                ]
                if "runtime_layer" in entry:
                    details["runtime_layer"] = f"{entry['runtime_layer']}@3"
                write_json(
                    tmp_path / "build" / f"{folder}.last-build.json", {"layer_details": details}
                )
        result = slim(tmp_path / "build", tmp_path / "out")
        assert [(layer.name, layer.kind.value) for layer in result.stack] == [
            ("cpython3.13", "runtime"),
            ("framework-maths", "framework"),
            ("app-main", "application"),
        ]
        assert result.stack.layer("app-main").requires == ("framework-maths", "cpython3.13")
        assert not (tmp_path / "out" / "framework-maths" / SITE / "maths/core.pyi").exists()

    def test_archive(self, stack: Path, tmp_path: Path) -> None:
        result = slim(stack / "framework-maths.tar.xz", tmp_path / "out")
        assert result.stack.kind.value == "archive"
        assert f"framework-maths/{SITE}/maths/core.py" in members(
            tmp_path / "out" / "framework-maths.tar.xz"
        )

    def test_archive_to_a_file(self, stack: Path, tmp_path: Path) -> None:
        slim(stack / "framework-maths.tar.xz", tmp_path / "small.tar.xz")
        assert f"framework-maths/{SITE}/maths/core.py" in members(tmp_path / "small.tar.xz")

    def test_plain_folder(self, stack: Path, tmp_path: Path) -> None:
        self.unpack(stack, tmp_path / "app")
        result = slim(tmp_path / "app" / "framework-maths", tmp_path / "out")
        assert result.stack.kind.value == "folder"
        assert (tmp_path / "out" / SITE / "maths" / "core.py").is_file()
        left = {path.name for path in (tmp_path / "out" / SITE / "maths" / "tests").iterdir()}
        assert left == {"__init__.py", "helpers.py"}, (
            "nothing in this one-layer stack imports it, but others may have helpers to import"
        )

    def test_distributions_outside_of_site_packages(self, stack: Path, tmp_path: Path) -> None:
        """Named as a folder itself, or made by pip install --target: nothing goes, with a word."""
        self.unpack(stack, tmp_path / "app")
        layer = tmp_path / "app" / "framework-maths"
        assert not any(
            "called site-packages" in text for text in slim(layer, None, dry_run=True).plan.warnings
        )
        result = slim(layer / SITE, None, dry_run=True)
        assert not result.plan.actions
        assert [text for text in result.plan.warnings if "called site-packages" in text]

    def test_a_manifest_file(self, stack: Path, tmp_path: Path) -> None:
        result = slim(stack / "__venvstacks__" / "venvstacks.json", None, dry_run=True)
        assert result.stack.kind.value == "published"


class TestBadInput:
    """Each is a typed error with its exit code, and nothing is written."""

    def fails(self, source: Path, output: Path, code: int, word: str, **more: Any) -> SlimError:
        there = sorted(os.listdir(output.parent))
        with pytest.raises(SlimError) as caught:
            run(request(source, output, **more))
        assert caught.value.exit_code == code
        assert word in str(caught.value)
        assert sorted(os.listdir(output.parent)) == there
        return caught.value

    def test_missing_archive(self, stack: Path, tmp_path: Path) -> None:
        (stack / "app-main.tar.xz").unlink()
        assert isinstance(self.fails(stack, tmp_path / "out", 6, "missing"), StorageError)

    def test_hash_mismatch(self, stack: Path, tmp_path: Path) -> None:
        data = bytearray((stack / "app-main.tar.xz").read_bytes())
        data[len(data) // 2] ^= 1
        (stack / "app-main.tar.xz").write_bytes(data)
        assert isinstance(self.fails(stack, tmp_path / "out", 5, "SHA-256"), IntegrityError)

    def test_truncated_archive(self, stack: Path, tmp_path: Path) -> None:
        data = (stack / "app-main.tar.xz").read_bytes()
        (stack / "app-main.tar.xz").write_bytes(data[:-20])
        self.fails(stack, tmp_path / "out", 5, "bytes")

    def test_truncated_archive_that_the_manifest_agrees_with(self, tmp_path: Path) -> None:
        stack = small_stack(tmp_path / "stack")
        data = (stack / "app-main.tar.xz").read_bytes()[:-20]
        (stack / "app-main.tar.xz").write_bytes(data)
        path = stack / "__venvstacks__/venvstacks.json"
        manifest = json.loads(path.read_text())
        entry = manifest["layers"]["applications"][0]
        entry["archive_size"] = len(data)
        entry["archive_hashes"]["sha256"] = hashlib.sha256(data).hexdigest()
        write_json(path, manifest)
        assert isinstance(self.fails(stack, tmp_path / "out", 3, "app-main"), UnsafeInputError)

    def test_absent_layer(self, stack: Path, tmp_path: Path) -> None:
        path = stack / "__venvstacks__/venvstacks.json"
        manifest = json.loads(path.read_text())
        manifest["layers"]["applications"][0]["required_layers"] = ["framework-gone"]
        write_json(path, manifest)
        self.fails(stack, tmp_path / "out", 3, "framework-gone")

    def test_output_inside_the_input(self, stack: Path) -> None:
        self.fails(stack, stack / "out", 2, "inside the input")

    def test_output_exists(self, stack: Path, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "mine").write_text("precious")
        self.fails(stack, tmp_path / "out", 2, "--force")
        assert (tmp_path / "out" / "mine").read_text() == "precious"

    def test_no_such_input(self, tmp_path: Path) -> None:
        self.fails(tmp_path / "none", tmp_path / "out", 6, "no such file")

    def test_no_such_layer(self, stack: Path, tmp_path: Path) -> None:
        self.fails(stack, tmp_path / "out", 2, "framework-maths", layers=("framework-math",))

    def test_a_record_that_leads_out_of_the_layer(self, tmp_path: Path) -> None:
        files = merge(
            distribution("a", {"a.py": ""}),
            {f"{SITE}/a-1.0.dist-info/RECORD": "../../../../../etc/x,,\n"},
        )
        publish(tmp_path / "stack", {"cpython": LayerSpec("runtime", files)})
        self.fails(tmp_path / "stack", tmp_path / "out", 3, "leads out of the layer")

    def test_a_link_that_leads_out_of_the_stack(self, tmp_path: Path) -> None:
        publish(
            tmp_path / "stack",
            {"cpython": LayerSpec("runtime", {"bin/x": Link("../../../etc/passwd")})},
        )
        self.fails(tmp_path / "stack", tmp_path / "out", 3, "bin/x")

    def test_a_signed_record_with_edited_files(self, tmp_path: Path) -> None:
        files = distribution("a", {"a.py": "", "a.pyi": "x: int\n"}, more={"RECORD.jws": "{}"})
        publish(tmp_path / "stack", {"framework": LayerSpec("framework", files)})
        self.fails(tmp_path / "stack", tmp_path / "out", 3, "RECORD.jws")


def test_a_row_of_record_without_its_file_is_dropped_with_a_warning(tmp_path: Path) -> None:
    files = merge(
        distribution("a", {"a.py": "", "tool.py": ""}),
        {
            f"{SITE}/a-1.0.dist-info/RECORD": (
                "a.py,,\n../../../bin/a,,\ntool.py,,\na-1.0.dist-info/RECORD,,\n"
            )
        },
    )
    publish(tmp_path / "stack", {"framework": LayerSpec("framework", files)})
    result = slim(tmp_path / "stack", tmp_path / "out")
    record = content(
        tmp_path / "out" / "framework.tar.xz", f"framework/{SITE}/a-1.0.dist-info/RECORD"
    ).decode()
    assert record == "a.py,,\ntool.py,,\na-1.0.dist-info/RECORD,,\n"
    assert any("1 row for files that aren't there" in warning for warning in result.plan.warnings)


def test_keep_globs_hold_files_back(stack: Path, tmp_path: Path) -> None:
    result = slim(stack, tmp_path / "out", config=config(tmp_path, 'keep = ["**/*.pyi"]'))
    assert f"framework-maths/{SITE}/maths/core.pyi" in members(
        tmp_path / "out" / "framework-maths.tar.xz"
    )
    assert any(skip.reason is SkipReason.KEPT for skip in result.plan.skipped)


def test_dropping_a_distribution_takes_all_of_it(tmp_path: Path) -> None:
    files = merge(
        distribution("gone", {"gone/__init__.py": ""}, more={"licenses/LICENSE": "MIT"}),
        distribution("a", {"a.py": ""}),
    )
    publish(tmp_path / "stack", {"framework": LayerSpec("framework", files)})
    slim(tmp_path / "stack", tmp_path / "out", config=config(tmp_path, 'drop = ["gone"]'))
    left = members(tmp_path / "out" / "framework.tar.xz")
    assert not [name for name in left if "gone" in name]
    assert f"framework/{SITE}/a.py" in left


def test_a_distribution_that_is_imported_is_not_dropped(tmp_path: Path) -> None:
    files = merge(
        distribution("wanted", {"wanted/__init__.py": "", "wanted/x.py": ""}),
        distribution("a", {"a.py": "\nimport wanted\n"}),
    )
    publish(tmp_path / "stack", {"framework": LayerSpec("framework", files)})
    result = slim(
        tmp_path / "stack", tmp_path / "out", config=config(tmp_path, 'drop = ["wanted"]')
    )
    left = members(tmp_path / "out" / "framework.tar.xz")
    assert f"framework/{SITE}/wanted/x.py" in left, "a distribution goes whole or not at all"
    assert any("a.py" in str(item.file) for skip in result.plan.skipped for item in skip.evidence)


def test_explain_tells_rule_and_importer(stack: Path) -> None:
    (found,) = explain(request(stack, None), "maths/tests/helpers.py")
    assert found.verdict == "refused"
    assert any("plots/__init__.py" in str(item) for skip in found.skipped for item in skip.evidence)
    (found,) = explain(request(stack, None), f"framework-maths/{SITE}/maths/core.pyi")
    assert (found.verdict, bool(found.considered)) == ("removed", True)
    (found,) = explain(request(stack, None), f"{SITE}/maths/core.py")
    assert found.verdict == "kept"
    with pytest.raises(ConfigError, match="no file"):
        explain(request(stack, None), "nowhere.py")


def test_a_user_rule_that_matches_nothing_is_a_warning_and_with_strict_an_error(
    stack: Path, tmp_path: Path
) -> None:
    rule = """
[[rule]]
id = "mine-nothing"
pass = "docs"
reason = "never there"
safety = "safe"
remove = ["$site/nowhere/*.xyz"]
"""
    result = slim(stack, None, dry_run=True, config=config(tmp_path, rule))
    assert any("mine-nothing" in warning for warning in result.plan.warnings)
    with pytest.raises(ConfigError, match=r"mine-nothing"):
        slim(stack, None, dry_run=True, config=config(tmp_path, f"strict = true\n{rule}"))


def test_bytecode_that_goes_is_counted_again_as_what_the_post_install_step_compiles(
    tmp_path: Path,
) -> None:
    cached = f"{STDLIB}/__pycache__/os.cpython-313.pyc"
    files = {
        f"{STDLIB}/os.py": "x = 1\n",
        f"{STDLIB}/site.py": "",
        cached: b"c" * 1000,
        "postinstall.py": "import compileall\n",
    }
    publish(tmp_path / "stack", {"cpython3.13": LayerSpec("runtime", files)})
    result = slim(tmp_path / "stack", None, dry_run=True)
    assert ("cpython3.13", cached) in result.plan.actions
    assert result.before.deployed == result.after.deployed
    assert result.before.unpacked - result.after.unpacked == 1000
