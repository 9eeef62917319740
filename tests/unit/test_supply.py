"""The supply side: CI's packages are locked, what workflows use is pinned, rights are few."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
ALL = [*WORKFLOWS, ROOT / "action.yml"]
_PIN = re.compile(r"^[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
_LOCKED = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>\S+?)(?: ; (?P<marker>[^\\]+?))? \\$")


def steps(path: Path) -> Iterator[dict[str, Any]]:
    content = yaml.safe_load(path.read_text())
    for job in [*content.get("jobs", {}).values(), content.get("runs", {})]:
        yield from job.get("steps", [])


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_actions_are_named_by_commit_and_say_which_version_that_is(path: Path) -> None:
    used = [
        line.partition("uses:")[2].strip()
        for line in path.read_text().splitlines()
        if "uses:" in line
    ]
    assert len(used) == sum("uses" in step for step in steps(path)) > 0
    assert [use for use in used if not _PIN.match(use)] == []


def test_an_action_has_one_commit_everywhere() -> None:
    used = {
        line.partition("uses:")[2].strip()
        for path in ALL
        for line in path.read_text().splitlines()
        if "uses:" in line
    }
    names = [use.partition("@")[0] for use in used]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_jobs_have_the_rights_that_they_state_and_no_others(path: Path) -> None:
    content = yaml.safe_load(path.read_text())
    assert content["permissions"] == {}, "none by default"
    assert "pull_request_target" not in content[True]  # YAML 1.1 reads "on" as true
    for name, job in content["jobs"].items():
        writes = {scope for scope, right in job["permissions"].items() if right != "read"}
        assert writes <= ({"id-token", "attestations"} if path.name == "release.yml" else set()), (
            name
        )
        assert job["timeout-minutes"]
        if "id-token" in writes and "attestations" not in writes:
            assert job["environment"], "a person approves what is published"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_checkout_leaves_no_credentials(path: Path) -> None:
    for step in steps(path):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_scripts_take_what_others_say_from_the_environment(path: Path) -> None:
    assert [step["run"] for step in steps(path) if "${{" in step.get("run", "")] == []


def locked(name: str) -> dict[str, list[str]]:
    """Versions by name; every entry has hashes."""
    found: dict[str, list[str]] = {}
    for entry in re.split(r"\n(?=\S)", (ROOT / ".ci" / name).read_text().strip()):
        if entry.startswith("#"):
            continue
        first, *rest = entry.splitlines()
        match = _LOCKED.match(first)
        assert match, first
        hashes = [
            line.strip().removesuffix(" \\") for line in rest if line.strip().startswith("--hash")
        ]
        assert hashes and all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", one) for one in hashes), (
            first
        )
        found.setdefault(canonicalize_name(match["name"]), []).append(match["version"])
    return found


def wanted(*lines: str) -> list[Requirement]:
    return [Requirement(line.partition("#")[0]) for line in lines if line.partition("#")[0].strip()]


def test_the_lock_holds_what_is_asked_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = [line for group in project["dependency-groups"].values() for line in group]
    asked = wanted(
        *project["project"]["dependencies"], *groups, *project["build-system"]["requires"]
    )
    asked += wanted(*(ROOT / ".ci/requirements.in").read_text().splitlines())
    versions = locked("requirements.txt")
    for one in asked:
        found = versions.get(canonicalize_name(one.name), [])
        assert found, f"{one.name} isn't locked: run .ci/lock"
        assert all(one.specifier.contains(version) for version in found), f"{one}: run .ci/lock"


def test_the_lock_for_releases_holds_what_is_asked_for() -> None:
    versions = locked("release.txt")
    for one in wanted(*(ROOT / ".ci/release.in").read_text().splitlines()):
        assert one.specifier.contains(versions[canonicalize_name(one.name)][0])


def test_no_address_to_report_to_is_made_up() -> None:
    text = (ROOT / "SECURITY.md").read_text()
    assert "private vulnerability reporting" in re.sub(r"\s+", " ", text)
    assert "@" not in text


def test_hooks_for_developers_use_the_locked_versions() -> None:
    content = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    pins = {
        Requirement(text)
        for repository in content["repos"]
        for hook in repository["hooks"]
        for text in hook.get("additional_dependencies", ())
    }
    versions = locked("requirements.txt")
    assert pins
    wrong = [str(pin) for pin in pins if str(pin.specifier) != f"=={versions[pin.name][0]}"]
    assert wrong == [], "run .ci/lock, and name its versions in .pre-commit-config.yaml"


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml")), ids=lambda path: path.name
)
def test_issue_forms_are_what_github_reads(path: Path) -> None:
    content = yaml.safe_load(path.read_text())
    if path.name == "config.yml":
        assert content["contact_links"]
        return
    assert content["name"] and content["description"]
    identifiers = [item["id"] for item in content["body"]]
    assert len(set(identifiers)) == len(identifiers)
    for item in content["body"]:
        assert item["type"] in {"input", "textarea", "dropdown", "checkboxes"}
        assert item["attributes"]["label"]


def test_ci_runs_every_part_of_the_tests_once() -> None:
    """CI leaves out of the README's command what its coverage session runs, and no more."""
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    noxfile = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    left_out = re.search(r"^measured_parts=\((.*)\)$", script, re.M)
    measured = re.search(r"^MEASURED = \((.*)\)$", noxfile, re.M)
    assert left_out and measured
    assert left_out[1].split() == re.findall(r'"([^"]+)"', measured[1])
    assert all((ROOT / part).is_dir() for part in left_out[1].split())
