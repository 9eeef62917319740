"""``slim trace`` on the sample stack: recorded in a copy, merged, shown, compared and checked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from slim.cli import main
from slim.model.record import OwnerKind
from slim.model.trace import INSTALL_RUN, RunKind, Trace, Witness
from slim.sample import APPLICATION, LAUNCH_MODULE
from slim.traces.read import read_trace
from slim.traces.write import render
from slim.tracing import recorder, times
from tests.support.deployed_stacks import clean_environment, deploy
from tests.support.report_schemas import schema

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="deploys with tar and POSIX layers"),
    pytest.mark.skipif(shutil.which("tar") is None, reason="needs tar"),
    pytest.mark.xdist_group("sample"),
]

CONFIG = f"""
schema = 1
[[verify.command]]
name = "the sample"
layer = "{APPLICATION}"
argv = ["python", "-m", "{LAUNCH_MODULE}"]
[[trace.command]]
name = "one module"
layer = "framework-sample"
argv = ["python", "-c", "import sched"]
"""


@dataclass(frozen=True)
class Recorded:
    """The sample stack, its configuration, and the trace of its commands."""

    stack: Path
    config: Path
    file: Path

    @property
    def trace(self) -> Trace:
        return read_trace(self.file)


@pytest.fixture(scope="module")
def recorded(sample_stack: Path, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    folder = tmp_path_factory.mktemp("traced")
    stack = sample_stack
    config = folder / "slim.toml"
    config.write_text(CONFIG, encoding="utf-8")
    file = folder / "slim.trace"
    assert main(["trace", str(stack), "-o", str(file), "--config", str(config), "-q"]) == 0
    return Recorded(stack=stack, config=config, file=file)


def modules(trace: Trace, run: str) -> set[str]:
    """Modules that a run used, of all layers."""
    return {
        name
        for _, _, uses in trace.all_uses()
        for name, runs in uses.modules.items()
        if run in runs
    }


def test_every_run_is_in_it_with_what_it_used(recorded: Recorded) -> None:
    trace = recorded.trace
    assert {name: run.kind for name, run in trace.runs.items()} == {
        INSTALL_RUN: RunKind.INSTALL,
        "the sample": RunKind.USE,
        "one module": RunKind.USE,
    }
    assert {"compileall", "json.decoder"} <= modules(trace, INSTALL_RUN)
    assert {"json.decoder", "click.core", "zstandard"} <= modules(trace, "the sample")
    assert LAUNCH_MODULE in modules(trace, "the sample")
    assert "sched" in modules(trace, "one module")
    assert "click" not in modules(trace, "one module") | modules(trace, INSTALL_RUN)
    assert "sched" not in modules(trace, "the sample")


def test_the_install_step_compiles_sources_and_uses_few(recorded: Recorded) -> None:
    read = [path for _, _, uses in recorded.trace.all_uses() for path, runs in uses.read.items()]
    assert not any(path.endswith(".py") and "compileall" in path for path in read)
    assert len(modules(recorded.trace, INSTALL_RUN)) < 250


def test_it_names_no_place_and_no_time(recorded: Recorded) -> None:
    text = recorded.file.read_text(encoding="ascii")
    assert str(recorded.stack.parent) not in text
    assert str(recorded.file.parent) not in text
    assert "/tmp/" not in text
    assert recorder.NAME not in text


def test_every_distribution_is_there_with_its_version(recorded: Recorded) -> None:
    owners = {owner for _, owner, _ in recorded.trace.all_uses()}
    names = {one.name: one.version for one in owners if one.kind is OwnerKind.DISTRIBUTION}
    assert {"click", "rich", "packaging"} <= names.keys()
    assert all(names.values())
    assert any(one.kind is OwnerKind.RUNTIME and one.version for one in owners)


def test_native_files_have_a_witness_where_times_are_kept(
    recorded: Recorded, tmp_path: Path
) -> None:
    kept = times.keeps_times(tmp_path, lambda file: file.read_bytes())
    witnesses = recorded.trace.runs["the sample"].witnesses
    (platform,) = witnesses
    assert (Witness.TIMES in witnesses[platform]) is kept
    assert recorded.trace.natives_known(platform) is kept
    natives = {
        path for _, _, uses in recorded.trace.all_uses() for path in uses.natives_on(platform)
    }
    assert any("zstandard" in path for path in natives)


def test_another_home_gives_the_same_file(
    recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("home", "temporary"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setattr("tempfile.tempdir", None)
    again = tmp_path / "again.trace"
    options = ["--config", str(recorded.config), "-q"]
    assert main(["trace", str(recorded.stack), "-o", str(again), *options]) == 0
    assert again.read_bytes() == recorded.file.read_bytes()


def test_one_command_after_dashes(recorded: Recorded, tmp_path: Path) -> None:
    file = tmp_path / "one.trace"
    words = ["python", "-c", "import sched"]
    options = ["--no-config", "--name", "by hand", "-q"]
    assert main(["trace", str(recorded.stack), "-o", str(file), *options, "--", *words]) == 0
    trace = read_trace(file)
    assert set(trace.runs) == {INSTALL_RUN, "by hand"}
    assert "sched" in modules(trace, "by hand")
    merged, reverse = tmp_path / "merged.trace", tmp_path / "reverse.trace"
    for names, out in (
        ((recorded.file, file), merged),
        ((file, recorded.file), reverse),
    ):
        assert main(["trace", "merge", *map(str, names), "-o", str(out), "-q"]) == 0
    assert merged.read_bytes() == reverse.read_bytes()
    assert set(read_trace(merged).runs) == {*recorded.trace.runs, "by hand"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["python", "-c", "raise SystemExit(3)"], "exit code 3"),
        (["python", "-S", "-c", "pass"], "nothing was recorded"),
        (["no-such-program"], "exit code 127"),
    ],
)
def test_a_run_that_fails_makes_no_trace(
    recorded: Recorded,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    file = tmp_path / "none.trace"
    options = ["--no-config", "-q", "--layer", APPLICATION]
    assert main(["trace", str(recorded.stack), "-o", str(file), *options, "--", *words]) == 1
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err
    assert not file.exists()


def test_show_tells_who_imports_what_no_run_used(
    recorded: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["trace", "show", str(recorded.file), str(recorded.stack), "--no-config", "--json"]
    assert main(command) == 0
    value = json.loads(capsys.readouterr().out)
    Draft202012Validator(schema("trace-v1")).validate(value)
    assert value["stack_known"] is True
    assert {one["name"] for one in value["runs"]} == set(recorded.trace.runs)
    used = modules(recorded.trace, "the sample")
    assert all(one["size"] > 0 for one in value["unused"])
    assert not used & {one["owner"]["name"] for one in value["unused"]}


def test_check_finds_what_is_missing(
    recorded: Recorded, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = recorded.file.read_text(encoding="ascii").splitlines()
    at = next(n for n, line in enumerate(changed) if line.startswith("  distribution click "))
    changed[at] = "  distribution click 0.1"
    file = tmp_path / "old.trace"
    file.write_text("\n".join([*changed, ""]), encoding="ascii")
    config = tmp_path / "slim.toml"
    config.write_text(CONFIG.replace('"one module"', '"renamed"'), encoding="utf-8")
    command = ["trace", "check", str(file), str(recorded.stack), "--config", str(config), "--json"]
    assert main(command) == 1
    value = json.loads(capsys.readouterr().out)
    Draft202012Validator(schema("trace-check-v1")).validate(value)
    found = {(one["kind"], one["name"].partition(" ")[0]) for one in value["lacks"]}
    assert {("version", "click"), ("run", "renamed"), ("vanished", "one")} <= found
    assert not any(kind == "version" and name != "click" for kind, name in found)


def test_check_passes_where_nothing_is_missing(
    recorded: Recorded, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "slim.toml"
    listed = '[trace]\nunexercised = ["*"]\n[[trace.command]]'
    config.write_text(CONFIG.replace("[[trace.command]]", listed), encoding="utf-8")
    command = ["trace", "check", str(recorded.file), str(recorded.stack), "--config", str(config)]
    assert main(command) == 0, capsys.readouterr()
    assert "versions never traced: 0 of" in capsys.readouterr().out


def test_a_product_that_carries_the_recorder(
    recorded: Recorded, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed = deploy(recorded.stack, tmp_path / "deployed")
    for site in deployed.glob("*/lib/python3*/site-packages"):
        assert main(["trace", "recorder", str(site)]) == 0
    logs = tmp_path / "logs"
    environment = {**clean_environment(), recorder.VARIABLE: str(logs)}
    python = deployed / APPLICATION / "bin" / "python"
    subprocess.run([python, "-m", LAUNCH_MODULE], env=environment, check=True, capture_output=True)
    file = tmp_path / "desk.trace"
    options = ["--name", "a desk", "--no-config", "-q"]
    assert (
        main(["trace", "collect", str(logs), str(recorded.stack), "-o", str(file), *options]) == 0
    )
    trace = read_trace(file)
    assert set(trace.runs) == {"a desk"}
    (platform,) = trace.runs["a desk"].witnesses
    assert not trace.natives_known(platform)
    assert modules(trace, "a desk") == modules(recorded.trace, "the sample")
    assert str(tmp_path) not in render(trace)
    capsys.readouterr()


def test_without_access_times_the_trace_says_so(
    recorded: Recorded,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(times, "keeps_times", lambda *_: False)
    file = tmp_path / "slim.trace"
    options = ["--config", str(recorded.config)]
    assert main(["trace", str(recorded.stack), "-o", str(file), *options]) == 0
    assert "keeps no access times" in " ".join(capsys.readouterr().out.split())
    trace = read_trace(file)
    assert all(
        witnesses == {Witness.RECORDER}
        for run in trace.runs.values()
        for witnesses in run.witnesses.values()
    )
    for name in ("the sample", "one module"):
        assert modules(trace, name) <= modules(recorded.trace, name)
