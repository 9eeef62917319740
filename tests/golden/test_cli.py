"""Output of the command line, word for word: exit code, stdout, stderr.

Texts that click writes (help, unknown options) differ between its versions, so they are tested
elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import slim.pipeline.explain
import slim.pipeline.stages
from slim import errors
from slim.cli import main
from tests.golden import samples

Golden = Callable[[str, str], None]

RULES = """\
schema = 1
description = "Rules of a test."

[[rule]]
id = "own-samples"
pass = "tests"
reason = "Sample data is for the tests."
safety = "aggressive"
remove = ["$site/own/samples/**"]
keep = ["**/default.dat"]
package = "own >= 2"
platforms = ["linux_*"]
source = "https://example.org/own"

[rule.examples]
match = ["lib/python3.13/site-packages/own/samples/a.dat"]
no_match = ["lib/python3.13/site-packages/own/samples/default.dat"]
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "SLIM_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stack").mkdir()
    (tmp_path / "rules.toml").write_text(RULES)
    (tmp_path / "bad.toml").write_text(
        RULES.replace('"aggressive"', '"agressive"').replace("keep", "kept")
    )
    (tmp_path / "wrong.toml").write_text(RULES.replace("own/samples/a.dat", "own/other/a.dat"))
    (tmp_path / "no.toml").write_text("schema = ")
    return tmp_path


@pytest.fixture
def finds(monkeypatch: pytest.MonkeyPatch) -> Callable[[object], None]:
    """Stand in for the pipeline: it returns these results, or raises."""

    def stand_in(found: object) -> None:
        def run(*_: object) -> object:
            if isinstance(found, BaseException):
                raise found
            return found

        monkeypatch.setattr(slim.pipeline.stages, "run", run)
        monkeypatch.setattr(slim.pipeline.explain, "explain", run)

    return stand_in


@pytest.fixture
def golden_command(
    golden: Golden, capsys: pytest.CaptureFixture[str], folder: Path
) -> Callable[[str, Sequence[str]], None]:
    def check(name: str, arguments: Sequence[str]) -> None:
        code = main(arguments)
        out, err = capsys.readouterr()
        head = f"$ slim {' '.join(arguments)}\nexit code: {code}\n\n"
        text = f"{head}--- stdout\n{out}\n--- stderr\n{err}"
        golden(f"cli-{name}.txt", text.replace(str(folder), "/TMP"))

    return check


USAGE = {
    "neither-output-nor-dry-run": ["run", "stack"],
    "output-and-dry-run": ["run", "stack", "-o", "out", "--dry-run"],
    "unknown-command": ["rnu", "stack"],
    "strange-command": ["xyzzy"],
    "unknown-subcommand": ["rules", "shwo"],
    "unknown-report": ["run", "stack", "--dry-run", "--report", "jsno=x"],
    "report-without-file": ["run", "stack", "--dry-run", "--report", "json"],
    "two-reports-to-stdout": ["run", "stack", "--dry-run", "--json", "--report", "markdown=-"],
    "two-reports-to-one-file": [
        "run",
        "stack",
        "--dry-run",
        "--report",
        "json=x",
        "--report",
        "markdown=./x",
    ],
    "report-in-the-output": ["run", "stack", "-o", "out", "--report", "json=out/report.json"],
    "report-folder-missing": ["run", "stack", "--dry-run", "--report", "json=nowhere/report.json"],
    "report-is-a-folder": ["run", "stack", "--dry-run", "--report", "json=stack"],
    "config-and-no-config": ["run", "stack", "--dry-run", "--config", "rules.toml", "--no-config"],
    "quiet-and-verbose": ["run", "stack", "--dry-run", "-qv"],
    "unknown-rule": [
        "run",
        "stack",
        "--dry-run",
        "--pack",
        "rules.toml",
        "--disable",
        "own-sample",
    ],
    "bad-rules": ["run", "stack", "--dry-run", "--pack", "bad.toml", "--jobs", "0"],
    "config-missing": ["run", "stack", "--dry-run", "--config", "missing.toml"],
}


@pytest.mark.parametrize("name", USAGE)
def test_wrong_use(
    golden_command: Callable[..., None], finds: Callable[[object], None], name: str
) -> None:
    finds(AssertionError("the pipeline was called"))
    golden_command(f"usage-{name}", USAGE[name])


ERRORS: dict[str, BaseException] = {
    "refused": errors.RefusedError(
        "verification refused the result, nothing was published:\n  a needs b", hint="take it back"
    ),
    "config": errors.ConfigError.from_problems(
        [
            errors.Problem(
                file="slim.toml", place="rule[3].remove[0]", message="names a protected file"
            ),
            errors.Problem(file="slim.toml", place="", message="isn't TOML", hint="line 3"),
        ]
    ),
    "unsafe": errors.UnsafeInputError(
        "leaves its folder", file="a\x1b[31m.tar.xz", place="../\u202ev\udcff"
    ),
    "limit": errors.LimitError("more than 150000 members", file="a.tar.xz"),
    "integrity": errors.IntegrityError(
        "the size is 3, the manifest says 4", file="a.tar.xz", hint="publish again"
    ),
    "storage": errors.StorageError("No space left on device", file="/mnt/out"),
    "os-error": FileNotFoundError(2, "No such file or directory", "gone.tar.xz"),
    "interrupted": KeyboardInterrupt(),
    "bug": KeyError("a\x1b[0m"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(
    golden_command: Callable[..., None], finds: Callable[[object], None], name: str
) -> None:
    finds(ERRORS[name])
    golden_command(f"error-{name}", ["run", "stack", "-o", "out"])


def test_run(golden_command: Callable[..., None], finds: Callable[[object], None]) -> None:
    finds((samples.finished(),))
    golden_command("run", ["run", "stack", "-o", "out"])


def test_failed_verification(
    golden_command: Callable[..., None], finds: Callable[[object], None]
) -> None:
    finds((samples.failed(),))
    golden_command("run-failed", ["run", "stack", "-o", "out", "-q"])


def test_explain(golden_command: Callable[..., None], finds: Callable[[object], None]) -> None:
    finds(samples.explanations()[2:3])
    golden_command("explain", ["explain", "stack", "numpy/testing/__init__.py"])


RULE_COMMANDS = {
    "show": ["rules", "show", "own-samples", "--pack", "rules.toml"],
    "show-unknown": ["rules", "show", "own-smaples", "--pack", "rules.toml"],
    "check": ["rules", "check", "rules.toml"],
    "check-bad": ["rules", "check", "bad.toml", "wrong.toml", "no.toml"],
    "check-missing": ["rules", "check", "missing.toml"],
}


@pytest.mark.parametrize("name", RULE_COMMANDS)
def test_rules(golden_command: Callable[..., None], name: str) -> None:
    golden_command(f"rules-{name}", RULE_COMMANDS[name])


def _results(folder: Path) -> None:
    """A cache of results with two right entries, one that leads nowhere, and a wrong blob."""
    blobs = folder / "cas"
    entries = folder / "ac"
    for place in (blobs, entries):
        place.mkdir(parents=True)
    for number, data in enumerate((b"one" * 99, b"another" * 999)):
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        body = {"blobs": {digest: len(data)}}
        entry = {"entry": 1, "action": "layer", "day": 20_000, "body": body}
        (entries / f"{number:064x}").write_text(json.dumps(entry))
    lost = {"entry": 1, "action": "layer", "day": 1, "body": {"blobs": {"e" * 64: 9}}}
    (entries / ("e" * 64)).write_text(json.dumps(lost))
    (entries / ("d" * 64)).write_text("{}")
    (blobs / ("f" * 64)).write_bytes(b"other bytes")
    for path in folder.rglob("*"):
        os.utime(path, (1_750_000_000, 1_750_000_000))


CACHE = {
    "stats": ["stats", "cache"],
    "stats-json": ["stats", "cache", "--json"],
    "stats-nothing": ["stats", "empty"],
    "stats-nowhere": ["stats", "nowhere"],
    "verify": ["verify", "cache"],
    "verify-drop": ["verify", "cache", "--drop"],
    "verify-json": ["verify", "cache", "--drop", "--json"],
    "verify-nothing": ["verify", "empty"],
    "prune": ["prune", "cache", "--dry-run"],
    "prune-size": ["prune", "cache", "--max-size", "1kB"],
    "prune-age": ["prune", "cache", "--older-than", "30", "--json"],
}


@pytest.mark.parametrize("name", CACHE)
def test_cache(
    name: str, golden_command: Callable[[str, Sequence[str]], None], folder: Path
) -> None:
    _results(folder / "cache")
    (folder / "empty").mkdir()
    golden_command(f"cache-{name}", ["cache", *CACHE[name]])
