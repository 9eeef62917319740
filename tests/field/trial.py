"""A trial: each group's tree before, and after each profile."""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tests.field.opened import missing, opened
from tests.field.running import (
    Ran,
    console_scripts,
    copy_suite,
    make_folders,
    run_script,
    run_suite,
    run_use,
)
from tests.field.trees import Trees, site_of
from tests.field.uses import Group, Use

ROOT = Path(__file__).parents[2]


@dataclass(slots=True)
class Broken:
    """A use, script or test that passed before and fails after."""

    use: str
    profile: str
    error: str
    file: str = ""
    rule: str = ""
    given_up: str = ""


@dataclass(slots=True)
class Slimmed:
    """What a profile did to a tree: rules by removed path, and bytes by rule and distribution."""

    bytes_before: int = 0
    bytes_after: int = 0
    removed: dict[str, str] = field(default_factory=dict)
    saved: dict[str, dict[str, int]] = field(default_factory=dict)
    test_files: list[str] = field(default_factory=list)
    refused: str = ""

    @property
    def bytes_saved(self) -> int:
        """How much smaller the tree got, unpacked."""
        return self.bytes_before - self.bytes_after


@dataclass(slots=True)
class GroupTrial:
    """All that was tried in one tree.

    ``data`` counts, by profile, data files that code in the slimmed tree opens by literal names.
    """

    group: Group
    versions: dict[str, str] = field(default_factory=dict)
    failed_before: dict[str, str] = field(default_factory=dict)
    before: list[str] = field(default_factory=list)
    after: dict[str, list[str]] = field(default_factory=dict)
    scripts: dict[str, tuple[int, int]] = field(default_factory=dict)
    tests: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)
    data: dict[str, int] = field(default_factory=dict)
    slimmed: dict[str, Slimmed] = field(default_factory=dict)
    broken: list[Broken] = field(default_factory=list)
    error: str = ""
    seconds: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is tried in each tree."""

    profiles: tuple[str, ...]
    given_up: Mapping[tuple[str, str], str]
    suites: Mapping[str, Mapping[str, Any]]
    whole_suites: bool = False
    scripts: bool = True
    keep: bool = False


def try_group(trees: Trees, group: Group, requirements: list[str], plan: Plan) -> GroupTrial:
    """Install, slim with each profile, run before and after."""
    with held(trees.cache / f"{group.name}.lock"):
        return _try_group(trees, group, requirements, plan)


def _try_group(trees: Trees, group: Group, requirements: list[str], plan: Plan) -> GroupTrial:
    begun = time.monotonic()
    trial = GroupTrial(group)
    tree = trees.tree(group, requirements)
    trial.versions = versions_in(tree)
    folder = tree.parent
    ran = _before(tree, group.uses, plan)
    trial.before = [name for name, outcome in ran.items() if outcome.passed]
    trial.failed_before = {
        name: outcome.error for name, outcome in ran.items() if not outcome.passed
    }
    files = opened(tree)
    for profile in plan.profiles:
        output = folder / f"slimmed-{profile}"
        slimmed = slim(tree, output, profile)
        trial.slimmed[profile] = slimmed
        if slimmed.refused:
            trial.broken.append(Broken("slim run", profile, slimmed.refused))
            continue
        _data(trial, files, output, profile, plan.given_up)
        _suites(trees, trial, tree, output, profile, plan)
        with standing_in(tree, output):
            passed = _after(trial, tree, profile, plan)
        trial.after[profile] = passed
        if not plan.keep:
            shutil.rmtree(output, ignore_errors=True)
    trial.seconds = time.monotonic() - begun
    return trial


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a lock file, so that two trials don't use one tree at a time."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def slim(tree: Path, output: Path, profile: str) -> Slimmed:
    """Run slim on a tree and read its report."""
    shutil.rmtree(output, ignore_errors=True)
    report = output.with_suffix(".json")
    more = ["--unverified"] if profile == "aggressive" and _knows_unverified() else []
    done = subprocess.run(
        [sys.executable, "-m", "slim", "run", str(tree), "-o", str(output), "--profile", profile,
         "--no-config", "-q", "--report", f"json={report}", *more],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
        return Slimmed(refused=f"exit {done.returncode}: {lines[0].strip()[:300]}")
    return _read(json.loads(report.read_text(encoding="utf-8")))


def _knows_unverified() -> bool:
    help_text = subprocess.run(
        [sys.executable, "-m", "slim", "run", "--help"], cwd=ROOT, capture_output=True, text=True,
        check=True,
    ).stdout  # fmt: skip
    return "--unverified" in help_text


def _read(report: dict[str, Any]) -> Slimmed:
    (run,) = report["runs"]
    sizes = run["totals"]["unpacked"]
    slimmed = Slimmed(bytes_before=sizes["before"], bytes_after=sizes["after"])
    for action in run["actions"]:
        gone = action["action"] == "remove"
        if gone:
            slimmed.removed[action["path"]] = action["rule"]
            if action["pass"] == "tests":
                slimmed.test_files.append(action["path"])
        owner = (action.get("owner") or {}).get("name") or "?"
        saved = slimmed.saved.setdefault(action["rule"], {})
        gain = action["before"] - (0 if gone else action.get("after") or 0)
        saved[owner] = saved.get(owner, 0) + gain
    return slimmed


@contextmanager
def standing_in(tree: Path, slimmed: Path) -> Iterator[None]:
    """Put the slimmed tree where the original was, so that nothing can read from that."""
    original = tree.parent / "original"
    tree.rename(original)
    try:
        slimmed.rename(tree)
        try:
            yield
        finally:
            tree.rename(slimmed)
    finally:
        original.rename(tree)


def _before(tree: Path, uses: Sequence[Use], plan: Plan) -> dict[str, Ran]:
    memory = tree.parent / "before.json"
    known = json.loads(memory.read_text()) if memory.is_file() else {}
    ran: dict[str, Ran] = {}
    for use in uses:
        key = hashlib.sha256(f"{use.shell}{use.code}".encode()).hexdigest()
        if key not in known:
            outcome = run_use(use, tree)
            known[key] = [outcome.passed, outcome.error]
        ran[use.id] = Ran(*known[key])
    for name in console_scripts(tree) if plan.scripts else ():
        key = f"--help {name}"
        if key not in known:
            outcome = run_script(name, tree)
            known[key] = [outcome.passed, outcome.error]
        ran[f"{name} --help"] = Ran(*known[key])
    memory.write_text(json.dumps(known))
    return ran


def _after(trial: GroupTrial, tree: Path, profile: str, plan: Plan) -> list[str]:
    uses = {use.id: use for use in trial.group.uses}
    passed: list[str] = []
    slimmed = trial.slimmed[profile]
    for name in trial.before:
        use = uses.get(name)
        ran = run_use(use, tree) if use else run_script(name.removesuffix(" --help"), tree)
        if ran.passed:
            passed.append(name)
            continue
        file = blamed(ran.output, slimmed.removed)
        given_up = plan.given_up.get((name, profile), "")
        trial.broken.append(
            Broken(name, profile, ran.error, file, slimmed.removed.get(file, ""), given_up)
        )
    return passed


def blamed(output: str, removed: Mapping[str, str]) -> str:
    """Return the removed file that a program's last words name, or an empty string."""
    text = output[-6000:]
    for name in reversed(re.findall(r"No module named '([\w.]+)'", text)):
        end = name.replace(".", "/")
        for path in removed:
            if path.endswith((f"/{end}.py", f"/{end}/__init__.py")) or f"/{end}." in path:
                return path
    for path in re.findall(r"/tree/([^\s'\":,)]+)", text):
        if path in removed:
            return path
        inside = next((name for name in removed if name.startswith(path.rstrip("/") + "/")), "")
        if inside and path.count("/") > 3:
            return inside
    words = set(re.findall(r"[\w.+-]{6,}", text[-1500:]))
    return next((path for path in removed if path.rpartition("/")[2] in words), "")


def _data(
    trial: GroupTrial,
    files: Mapping[str, Sequence[str]],
    output: Path,
    profile: str,
    given_up: Mapping[tuple[str, str], str],
) -> None:
    """Note data files that are gone although what opens them by a literal name is there."""
    gone = missing(files, output)
    removed = trial.slimmed[profile].removed
    trial.data[profile] = sum(
        any((output / place.rpartition(":")[0]).exists() for place in places)
        for places in files.values()
    )
    for path, place in gone.items():
        name, error = f"data {path}", f"{place} opens it"
        reasons = (
            reason
            for (use, gave), reason in given_up.items()
            if gave == profile and fnmatchcase(name, use)
        )
        trial.broken.append(
            Broken(name, profile, error, path, removed.get(path, ""), next(reasons, ""))
        )


def _suites(
    trees: Trees, trial: GroupTrial, tree: Path, output: Path, profile: str, plan: Plan
) -> None:
    for name, suite in plan.suites.items():
        if name not in trial.versions:
            continue
        overlay = tree.parent / "overlay"
        shutil.rmtree(overlay, ignore_errors=True)
        top = suite["sample"][0].split("/")[0]
        mine = [path for path in trial.slimmed[profile].test_files if f"/{top}/" in path]
        if not copy_suite(tree, mine, overlay):
            continue
        files = [top] if plan.whole_suites else suite["sample"]
        pytest = trees.pytest()
        folders = suite.get("folders", ())
        make_folders(folders, overlay, site_of(tree))
        before = run_suite(tree, overlay, files, pytest, suite.get("select", ""))
        with standing_in(tree, output):
            make_folders(folders, site_of(tree))
            after = run_suite(tree, overlay, files, pytest, suite.get("select", ""))
        good = [case for case, passed in before.items() if passed]
        still = [case for case in good if after.get(case)]
        trial.tests.setdefault(profile, {})[name] = (len(good), len(still))
        if len(still) < len(good):
            first = next(case for case in good if not after.get(case))
            text = f"{len(good) - len(still)} of {len(good)} tests, first {first}"
            trial.broken.append(Broken(f"tests of {name}", profile, text))


def versions_in(tree: Path) -> dict[str, str]:
    """Return the version of each distribution in a tree, by normalised name."""
    found: dict[str, str] = {}
    for path in site_of(tree).glob("*.dist-info"):
        name, _, version = path.name.removesuffix(".dist-info").rpartition("-")
        found[re.sub(r"[-_.]+", "-", name).lower()] = version
    return found
