"""What developers and CI run, each under one name: ``nox -s NAME``; ``nox --list`` shows them.

``.ci/run`` calls the same sessions with ``--no-venv`` in an environment of locked packages, where
nothing is installed by a session. Without it, each session makes a virtual environment of its own.
"""

from __future__ import annotations

import os
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["lint", "unit"]
nox.options.reuse_existing_virtualenvs = True

PARTS_WITHOUT_TOOLS = ("tests/unit", "tests/property", "tests/golden")
MEASURED = ("tests/unit", "tests/golden")


def _install(session: nox.Session, *groups: str) -> None:
    """Install slim and groups, unless the environment is the caller's (``--no-venv``)."""
    if session.venv_backend == "none":
        return
    session.install("pip>=25.1")  # the first that knows dependency groups
    named = [word for group in groups for word in ("--group", group)]
    session.install("--editable", ".", *named)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, types, import direction, and what can go wrong in workflows."""
    _install(session, "dev")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy", "--strict")
    session.run("lint-imports")
    session.run("zizmor", "--offline", "--strict-collection", ".github", "action.yml")


@nox.session
def unit(session: nox.Session) -> None:
    """Tests that need no tools, no network and little time; more arguments go to pytest."""
    _install(session, "dev")
    session.run("pytest", "-n", "2", *PARTS_WITHOUT_TOOLS, *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Every test, the slow ones and those with real wheels too; more arguments go to pytest."""
    _install(session, "dev")
    session.run("pytest", "-n", "2", *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """Unit and golden tests, with the share of lines that they reach held to a floor."""
    _install(session, "dev")
    # Python 3.12 and later tell by sys.monitoring, which costs next to nothing.
    core = "import sys; print('sysmon' if sys.version_info >= (3, 12) else 'ctrace')"
    session.env["COVERAGE_CORE"] = session.run("python", "-c", core, silent=True).strip()
    session.run(
        "pytest",
        "-n",
        "2",
        "--cov",
        "--cov-report=term:skip-covered",
        *MEASURED,
        *session.posargs,
    )


@nox.session
def docs(session: nox.Session) -> None:
    """The reference pages and the site, in ``site/``."""
    _install(session, "docs")
    session.run("python", "docs/generate.py")
    session.run("zensical", "build", "--strict")


@nox.session
def fuzz(session: nox.Session) -> None:
    """Every parser against bytes that nobody wrote on purpose, 30 seconds each."""
    _install(session, "dev", "fuzz")
    arguments = session.posargs or ["--seconds", "30", "--jobs", "2"]
    session.run("python", "-m", "tests.fuzz", *arguments)


@nox.session
def wheel(session: nox.Session) -> None:
    """The wheel: built, tried where nothing else of the checkout is found, held to its size."""
    _install(session, "dev")
    made = Path(session.create_tmp()).resolve()
    session.run("python", "-m", "build", "--outdir", str(made / "dist"), ".")
    built = str(next((made / "dist").glob("*.whl")))
    clean = made / "clean"
    session.run("python", "-m", "venv", "--clear", str(clean))
    scripts = clean / ("Scripts" if os.name == "nt" else "bin")
    session.run(str(scripts / "python"), "-m", "pip", "install", "--quiet", built, external=True)
    budget = Path(".ci/budget.toml").resolve()
    with session.chdir(made):
        for command in (["--version"], ["rules", "list"], ["rules", "check"]):
            session.run(str(scripts / "slim"), *command, external=True)
    session.run(str(scripts / "slim"), "check", built, "--budget", str(budget), external=True)


@nox.session
def bench(session: nox.Session) -> None:
    """The bench against a hand-written recipe: ``nox -s bench -- STACK...``."""
    _install(session, "dev")
    if not session.posargs:
        session.error(
            "give stacks that bench/make_stack.sh built; bench/README.md has the commands"
        )
    session.run("python", "bench/run.py", *session.posargs)
