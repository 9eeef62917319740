"""Starting slim loads next to nothing: commands import what they use when they run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

from slim.cli import COMMANDS

HEAVY = frozenset(
    {
        "asyncio", "concurrent", "csv", "ctypes", "email", "http", "importlib.metadata", "jinja2",
        "lief", "logging", "macholib", "multiprocessing", "packaging", "rich", "ssl",
        "tarfile", "tomlkit", "tomllib", "xml", "zipfile", "zstandard", "elftools",
    }
)  # fmt: skip
"""Not needed to say a version, to show the help, or to complete a word."""

SCRIPT = """
import json, sys
import click, click.shell_completion
before = set(sys.modules)
{}
print(json.dumps(sorted(set(sys.modules) - before)), file=sys.stderr)
"""
MAIN = """
from slim.cli import main
try:
    main({!r})
except SystemExit:
    pass
"""


def loaded(code: str, environ: Mapping[str, str] | None = None) -> set[str]:
    """Run code in a fresh Python, and return the modules that it loads in addition to click's."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(code)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **(environ or {})},
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


def heavy(modules: set[str]) -> set[str]:
    return {name for name in modules if name in HEAVY or name.partition(".")[0] in HEAVY}


def completing(*words: str) -> dict[str, str]:
    """The environment in which bash asks for the last of the words to be completed."""
    return {
        "_SLIM_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }


@pytest.mark.parametrize(
    "code",
    ["import slim.cli", MAIN.format(["--version"]), MAIN.format(["--help"])],
    ids=["import", "version", "help"],
)
def test_starting_imports_no_command(code: str) -> None:
    modules = loaded(code)
    assert heavy(modules) == set()
    assert {name for name in modules if name.startswith("slim.")} <= {
        "slim.cli", "slim.cli.descriptors", "slim.cli.errors", "slim.cli.groups",
        "slim.cli.terminal", "slim.errors",
        "slim.reports", "slim.reports.common", "slim.reports.common.style",
        "slim.reports.common.text",
        "slim.system", "slim.system.interrupts",
    }  # fmt: skip


def test_completing_a_command_imports_none() -> None:
    modules = loaded(MAIN.format([]), completing("slim", "r"))
    assert heavy(modules) == set()
    assert not any(f"slim.cli.{name}" in modules for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_completing_an_option_imports_what_declares_it(name: str) -> None:
    modules = loaded(MAIN.format([]), completing("slim", name, "--"))
    assert f"slim.cli.{name}" in modules
    assert heavy(modules) == set()


def test_the_library_imports_what_is_called() -> None:
    modules = loaded("import slim; slim.run")
    assert heavy(modules) == set()
    assert "slim.pipeline" not in modules


def _cpu(*command: str) -> float:
    """Milliseconds of processor time, the median of seven runs."""
    code = (
        "import resource, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(1000 * (used.ru_utime + used.ru_stime))"
    )
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    times = [
        float(subprocess.check_output([sys.executable, "-c", code, *command], env=environ))
        for _ in range(7)
    ]
    return sorted(times)[3]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="counts processor time as Unix does")
def test_most_of_the_time_is_python_and_click() -> None:
    least = _cpu(sys.executable, "-c", "import click")
    assert _cpu(sys.executable, "-m", "slim", "--version") < 2 * least
