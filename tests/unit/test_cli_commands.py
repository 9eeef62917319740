"""The command line: calls of the pipeline, reports, terminals, errors."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import click
import pytest

import slim.pipeline.explain
import slim.pipeline.stages
from slim import __version__
from slim.cli import main, root
from slim.cli.groups import walk
from slim.cli.options import SectionOption
from slim.formats import FORMATS
from slim.model.rule import Safety
from slim.model.settings import BytecodePolicy, Level, RestPolicy
from slim.reports.run import RUN_REPORTERS, json_v1, markdown
from tests.golden import samples
from tests.golden.verdicts import after


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "SLIM_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stack").mkdir()
    return tmp_path


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Stand in for the pipeline, and keep what it was asked."""
    asked: list[Any] = []

    def run(request: Any, progress: Any = None) -> object:
        asked.append(request)
        return (samples.finished(),)

    def explain(request: Any, path: str, progress: Any = None) -> object:
        asked.append((request, path))
        return samples.explanations()

    monkeypatch.setattr(slim.pipeline.stages, "run", run)
    monkeypatch.setattr(slim.pipeline.explain, "explain", explain)
    return asked


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


COMMANDS = {path: command for path, command in walk(root) if path}


def test_there_are_these_commands() -> None:
    assert sorted(" ".join(path) for path in COMMANDS) == [
        "audit", "cache", "cache prune", "cache stats", "cache verify", "check", "delta",
        "delta apply", "delta make", "demo", "diff", "explain",
        "fleet", "fleet audit", "fleet check", "fleet report", "fleet run",
        "restore", "rules", "rules check", "rules list", "rules show", "run", "trace",
        "trace check", "trace collect", "trace diff", "trace merge", "trace recorder", "trace run",
        "trace show", "verify",
    ]  # fmt: skip


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_tells_every_option_and_fits(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*path, "--help"]) == 0
    out, err = capsys.readouterr()
    assert not err
    for parameter in COMMANDS[path].params:
        if isinstance(parameter, click.Option):
            assert parameter.help and all(name in out for name in parameter.opts)
            assert isinstance(parameter, SectionOption)
            assert f"{parameter.section}:" in out
    assert max(map(len, out.splitlines())) <= 100


def test_choices_come_from_the_tables() -> None:
    choices = {
        parameter.name: list(parameter.type.choices)
        for parameter in COMMANDS[("run",)].params
        if isinstance(parameter.type, click.Choice)
    }
    assert choices == {
        "format": [known.name for known in FORMATS],
        "profile": [level.label for level in Safety],
        "bytecode": [policy.value for policy in BytecodePolicy],
        "level": [level.value for level in Level],
        "guard": ["on", "off"],
        "rest_pack": [policy.value for policy in RestPolicy],
    }


@pytest.mark.parametrize("group", ["delta", "trace", "rules", "cache", "fleet"])
def test_a_group_without_arguments_gives_its_help(
    group: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([group]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith(f"Usage: slim {group} ")
    assert "slim: usage" not in err


@pytest.mark.parametrize("options", [[], ["--profile", "safe"], ["--bytecode", "none"]])
def test_traces_that_nothing_goes_by_are_told(
    options: list[str], requests: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "stack", "--dry-run", "--trace", "mistyped.trace", *options]) == 2
    assert "--trace says what --profile guided and --bytecode traced" in capsys.readouterr().err
    assert not requests


@pytest.mark.parametrize(
    "options",
    [["--profile", "guided"], ["--bytecode", "traced"], ["--enable", "never-used"]],
)
def test_traces_that_something_goes_by_are_taken(options: list[str], requests: list[Any]) -> None:
    assert main(["run", "stack", "--dry-run", "--trace", "slim.trace", *options]) == 0
    assert len(requests) == 1


def test_a_recorder_goes_into_a_folder_that_is_there(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["trace", "recorder", "site-pakages"]) == 6
    assert "site-pakages: no such folder" in capsys.readouterr().err
    assert not (folder / "site-pakages").exists()
    assert main(["trace", "recorder", "stack"]) == 0
    assert _names(folder / "stack") == ["00_slim_recorder.pth", "slim_recorder.py"]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"slim {__version__}\n"


def test_without_arguments_help_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert not out and "Commands:" in err


@pytest.mark.parametrize("arguments", [["run", "stack", "--dry-rum"], ["rules", "list", "--jsno"]])
def test_a_misspelt_option_is_recognised(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert not out
    assert "--dry-run" in err or "--json" in err
    assert err.startswith("slim: usage: ") and "  hint: see slim " in err


def test_everything_reaches_the_pipeline(requests: list[Any]) -> None:
    words = """run stack -o out --profile safe --platform linux_x86_64 --platform win_amd64
        --layer a --layer b --keep **/x --keep y --drop numpy --drop Torch:timm,x --format zip
        --bytecode one --strict --force --no-config
        --jobs 3 -q"""
    code = main(words.split())
    assert code == 0
    (request,) = requests
    assert (request.source, request.output) == (Path("stack"), Path("out"))
    assert (request.platforms, request.layers) == (("linux_x86_64", "win_amd64"), ("a", "b"))
    assert (request.dry_run, request.force) == (False, True)
    config = request.config
    assert (config.profile, config.format, config.jobs, config.strict) == (
        Safety.SAFE,
        "zip",
        3,
        True,
    )
    assert (config.keep, config.bytecode) == (("**/x", "y"), BytecodePolicy.ONE)
    assert [(drop.name, sorted(drop.despite)) for drop in config.drop] == [
        ("numpy", []),
        ("torch", ["timm", "x"]),
    ]


def test_the_configuration_is_found_and_the_command_line_beats_it(
    requests: list[Any], folder: Path
) -> None:
    text = (
        'schema = 1\nprofile = "aggressive"\nbytecode = "keep"\nstrict = true\n'
        '[layer.app]\nbytecode = "one"\n'
    )
    (folder / "slim.toml").write_text(text)
    (folder / "other.toml").write_text('schema = 1\nprofile = "safe"\n')
    for extra in (
        [],
        ["--profile", "standard", "--bytecode", "none"],
        ["--no-config"],
        ["--config", "other.toml"],
    ):
        assert main(["run", "stack", "--dry-run", "-q", *extra]) == 0
    found, beaten, without, named = [request.config for request in requests]
    assert (found.profile, found.bytecode, found.strict) == (
        Safety.AGGRESSIVE,
        BytecodePolicy.KEEP,
        True,
    )
    assert found.settings_for("app").bytecode is BytecodePolicy.ONE
    assert (beaten.profile, beaten.bytecode, beaten.strict) == (
        Safety.STANDARD,
        BytecodePolicy.NONE,
        True,
    )
    assert beaten.settings_for("app").bytecode is BytecodePolicy.NONE
    assert (without.profile, without.strict) == (Safety.STANDARD, False)
    assert named.profile is Safety.SAFE


def test_which_configuration_was_read_is_told(
    requests: list[Any], capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    (folder / "stack" / "slim.toml").write_text('schema = 1\nprofile = "aggressive"\n')
    assert main(["run", "stack", "--dry-run"]) == 0
    assert "configuration" not in capsys.readouterr().err
    assert requests[-1].config.profile is Safety.STANDARD, "the input says nothing about how"
    (folder / "slim.toml").write_text("schema = 1\n")
    assert main(["run", "stack", "--dry-run"]) == 0
    assert "slim: configuration: slim.toml\n" in capsys.readouterr().err


def test_a_configuration_in_what_is_read_is_told_and_not_obeyed(
    requests: list[Any],
    capsys: pytest.CaptureFixture[str],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (folder / "stack" / "slim.toml").write_text('schema = 1\nprofile = "aggressive"\n')
    monkeypatch.chdir(folder / "stack")
    assert main(["run", ".", "--dry-run"]) == 0
    assert requests[-1].config.profile is Safety.STANDARD
    assert "isn't read, since it lies in what is looked at" in capsys.readouterr().err
    assert main(["run", ".", "--dry-run", "--config", "slim.toml"]) == 0
    assert requests[-1].config.profile is Safety.AGGRESSIVE


def test_json_is_alone_on_stdout(
    requests: list[Any], capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    summary = folder / "summary.md"
    assert main(["run", "stack", "--dry-run", "--json", "--report", f"markdown={summary}"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == json_v1.document([samples.finished()])
    assert not err
    assert summary.read_text(encoding="utf-8") == markdown.render([samples.finished()])


@pytest.mark.parametrize("name", RUN_REPORTERS)
def test_each_report_to_a_file_beside_the_terminal(
    requests: list[Any], capsys: pytest.CaptureFixture[str], folder: Path, name: str
) -> None:
    assert main(["run", "stack", "-o", "out", "--report", f"{name}=r=1"]) == 0
    assert "Written to _slim" in capsys.readouterr().out
    assert (folder / "r=1").read_text(encoding="utf-8") == RUN_REPORTERS[name].render(
        [samples.finished()]
    )
    assert _names(folder) == ["r=1", "stack"]


def test_a_report_replaces_the_old_one_in_one_step(requests: list[Any], folder: Path) -> None:
    old = folder / "report.json"
    old.write_text("old")
    old.chmod(0o600)
    (folder / "link.json").symlink_to("report.json")
    with old.open() as reader:
        assert main(["run", "stack", "--dry-run", "-q", "--report", "json=link.json"]) == 0
        assert reader.read() == "old"
    assert json.loads(old.read_text())["schema_version"] == 1
    assert (folder / "link.json").is_symlink()
    assert old.stat().st_mode & 0o777 == 0o600


def test_a_report_that_cannot_be_written_leaves_nothing(
    requests: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    folder: Path,
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("slim.system.atomic.os.fsync", full)
    assert main(["run", "stack", "--dry-run", "-q", "--report", "json=report.json"]) == 7
    assert capsys.readouterr().err == (
        "slim: output: report.json: No space left on device\n"
        "  hint: free space there, or choose another place\n"
    )
    assert _names(folder) == ["stack"]


def test_explain_as_json(requests: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "stack", "a/b.py", "--json", "--profile", "aggressive"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [item["verdict"] for item in found["explanations"]] == [
        "removed",
        "rewritten",
        "refused",
        "kept",
    ]
    ((request, path),) = requests
    assert (path, request.dry_run, request.config.profile) == ("a/b.py", True, Safety.AGGRESSIVE)


PACK = """\
schema = 1
description = "Three rules."
""" + "".join(
    f"""
[[rule]]
id = "own-{level}"
pass = "{name}"
reason = "A reason."
safety = "{level}"
remove = ["{level}/**"]
[rule.examples]
match = ["{level}/a"]
no_match = ["a"]
"""
    for name, level in (("tests", "safe"), ("docs", "standard"), ("tests", "aggressive"))
)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([], {"own-safe", "own-standard", "own-aggressive"}),
        (["--pass", "tests"], {"own-safe", "own-aggressive"}),
        (["--safety", "aggressive"], {"own-aggressive"}),
        (["--profile", "standard"], {"own-safe", "own-standard"}),
        (["--profile", "standard", "--pass", "docs"], {"own-standard"}),
    ],
)
def test_rules_list_filters(
    filters: list[str], expected: set[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "own.toml").write_text(PACK)
    assert main(["rules", "list", "--pack", "own.toml", "--json", *filters]) == 0
    found = json.loads(capsys.readouterr().out)["rules"]
    assert {rule["id"] for rule in found if not rule["builtin"]} == expected


def test_rules_of_the_configuration_are_listed_and_checked(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "slim.toml").write_text(PACK.replace('description = "Three rules."\n', ""))
    assert main(["rules", "show", "own-safe"]) == 0
    assert capsys.readouterr().out.startswith("# own-safe\n\nA reason.\n")
    assert main(["rules", "check", "slim.toml"]) == 0
    assert capsys.readouterr().out == "3 rules in 1 pack, 6 examples: all is well\n"


def test_builtin_rules_are_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "check"]) == 0
    assert capsys.readouterr().out.endswith(": all is well\n")


def test_a_bug_shows_its_traceback_only_when_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*_: object) -> object:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(slim.pipeline.stages, "run", run)
    assert main(["run", "stack", "--dry-run"]) == 70
    assert "Traceback" not in capsys.readouterr().err
    monkeypatch.setenv("SLIM_DEBUG", "1")
    assert main(["run", "stack", "--dry-run"]) == 70
    err = capsys.readouterr().err
    assert "Traceback" in err and "slim: bug: ZeroDivisionError: oops\n" in err


# Terminals


def _slim(arguments: list[str], folder: Path, **settings: Any) -> subprocess.Popen[bytes]:
    source = str(Path(slim.__file__).parent.parent)
    environ = {**os.environ, "PYTHONPATH": source, **settings.pop("env", {})}
    return subprocess.Popen(
        [sys.executable, "-m", "slim", *arguments], cwd=folder, env=environ, **settings
    )


def test_a_reader_that_went_away_is_no_error(folder: Path) -> None:
    (folder / "own.toml").write_text(PACK)
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        child = _slim(
            ["rules", "list", "--pack", "own.toml", "--json"],
            folder,
            stdout=write_end,
            stderr=subprocess.PIPE,
        )
    finally:
        os.close(write_end)
    _, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (0, b"")


def test_output_survives_a_poor_encoding(folder: Path) -> None:
    (folder / "own.toml").write_text(PACK.replace("A reason.", "Größe → 数"), encoding="utf-8")
    child = _slim(
        ["rules", "show", "own-safe", "--pack", "own.toml"],
        folder,
        env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
        stdout=subprocess.PIPE,
    )
    out, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    assert rb"Gr\xf6\xdfe \u2192 \u6570" in out


class _Stream(StringIO):
    def __init__(self, *, terminal: bool, encoding: str = "utf-8") -> None:
        super().__init__()
        self.terminal = terminal
        self.named = encoding

    def isatty(self) -> bool:
        return self.terminal

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.named


@pytest.mark.parametrize(
    ("terminal", "encoding", "environ", "look"),
    [
        (False, "utf-8", {}, (100, False, True)),
        (False, "utf-8", {"COLUMNS": "72"}, (72, False, True)),
        (True, "utf-8", {"COLUMNS": "132", "TERM": "xterm"}, (132, True, True)),
        (True, "utf-8", {"COLUMNS": "80", "TERM": "xterm", "NO_COLOR": "1"}, (80, False, True)),
        (True, "utf-8", {"COLUMNS": "80", "TERM": "xterm", "NO_COLOR": ""}, (80, True, True)),
        (True, "utf-8", {"COLUMNS": "80", "TERM": "dumb"}, (80, False, True)),
        (False, "utf-8", {"FORCE_COLOR": "1"}, (100, True, True)),
        (False, "utf-8", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, (100, False, True)),
        (False, "ascii", {}, (100, False, False)),
        (False, "cp1252", {}, (100, False, False)),
        (False, "no-such-codec", {}, (100, False, False)),
    ],
)
def test_look(
    terminal: bool,
    encoding: str,
    environ: Mapping[str, str],
    look: tuple[int, bool, bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from slim.cli.terminal import style_for

    monkeypatch.delenv("TERM", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    found = style_for(_Stream(terminal=terminal, encoding=encoding))
    assert (found.width, found.color, found.unicode) == look


@pytest.mark.parametrize(("terminal", "quiet"), [(False, False), (True, True)])
def test_nobody_watches_without_a_terminal(
    terminal: bool, quiet: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from slim.cli.progress import terminal_progress
    from slim.model.progress import Silent

    stream = _Stream(terminal=terminal)
    monkeypatch.setattr(sys, "stderr", stream)
    with terminal_progress(quiet=quiet) as progress:
        progress.stage("Reading", total=3)
        progress.advance()
    assert isinstance(progress, Silent)
    assert not stream.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_terminal_shows_the_stages_and_is_left_clean(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from slim.cli.progress import terminal_progress

    stream = _Stream(terminal=True, encoding=encoding)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with terminal_progress(quiet=False) as progress:
        progress.advance()  # before the first stage: nothing to move
        progress.stage("Reading [bold]a\x1b[2J", total=3)
        progress.advance(2)
        progress.stage("Writing", total=20_000_000, unit="bytes")
        progress.advance(3_400_000)
    text = stream.getvalue()
    assert "3.4 MB/20.0 MB" in text
    assert "\x1b[2J" not in text
    assert text.endswith("\x1b[2K")
    text.encode(encoding)


@pytest.mark.parametrize(
    ("done", "total", "unit", "text"),
    [
        (1200, 4321, "files", "1,200/4,321 files"),
        (1200, None, "files", "1,200 files"),
        (3_400_000, 20_000_000, "bytes", "3.4 MB/20.0 MB"),
        (3_400_000, None, "bytes", "3.4 MB"),
    ],
)
def test_amount(done: int, total: int | None, unit: str, text: str) -> None:
    from slim.cli.bars import amount

    assert amount(done, total, unit) == text


def _examples() -> list[str]:
    commands = [root, *COMMANDS.values()]
    return [line for command in commands for line, _ in getattr(command, "examples", ())]


@pytest.mark.parametrize("line", _examples())
def test_examples_in_the_help_work(
    line: str,
    requests: list[Any],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (folder / "our-rules.toml").write_text(PACK)
    (folder / "slim.toml").write_text('schema = 1\n[[budget]]\narchive = "1 GB"\n')
    monkeypatch.setattr("slim.sizes.measure.measure", lambda *_: (after(),))
    monkeypatch.setattr("slim.delta.document.read", lambda _: None)
    program, *words = shlex.split(line.partition(" | ")[0])
    assert program == "slim"
    if "://" in line or words[0] in (
        "audit",
        "cache",
        "delta",
        "demo",
        "fleet",
        "restore",
        "trace",
        "verify",
    ):  # what these do is tried elsewhere; here, that they are said right
        context = root.make_context("slim", list(words))
        name, command, rest = root.resolve_command(context, words)
        assert command is not None
        if isinstance(command, click.Group):
            rest = (
                rest
                if rest[0] in command.commands
                else ["make" if name == "delta" else "run", *rest]
            )
            name, command, rest = command.resolve_command(context, rest)
            assert command is not None
        command.make_context(name, rest, parent=context)
        return
    assert main(words) == 0
    assert "No rule is like that" not in capsys.readouterr().out
