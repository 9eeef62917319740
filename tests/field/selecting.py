"""Choosing uses: by name, by distribution, by rule, by what changed since a revision."""

from __future__ import annotations

import subprocess
import tomllib
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from slim.rules.evidence import EVIDENCE_FILE
from slim.rules.loader import packs_folder, parse_package
from tests.field.trees import read_locked
from tests.field.uses import Group, Use


def rule_tables() -> dict[str, dict[str, Any]]:
    """Read the built-in rules as they stand, by ID."""
    paths = packs_folder().glob("*.toml")
    return _tables(path.read_text(encoding="utf-8") for path in paths if path.name != EVIDENCE_FILE)


def changed_rules(revision: str) -> dict[str, dict[str, Any]]:
    """Rules that aren't what they were at a Git revision, by ID; both forms of their package."""
    folder = packs_folder()
    names = _git(folder, "ls-tree", "--name-only", revision, "./").split()
    texts = (
        _git(folder, "show", f"{revision}:./{name}")
        for name in names
        if name.endswith(".toml") and name != EVIDENCE_FILE
    )
    old, new = _tables(texts), rule_tables()
    return {
        name: new.get(name) or old[name]
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    }


def touched(rules: Mapping[str, Mapping[str, Any]], groups: Iterable[Group]) -> set[str]:
    """Names of groups with a distribution that one of the rules is about.

    A rule that names no package is about every group.
    """
    locked = read_locked()
    patterns = set()
    for rule in rules.values():
        text = rule.get("package", "*")
        patterns.add(parse_package(text).name)
    names: set[str] = set()
    for group in groups:
        lock = locked.get(group.name, [])
        there = {canonicalize_name(line.partition("==")[0]) for line in lock}
        if any(fnmatchcase(name, glob) for name in there | {""} for glob in patterns):
            names.add(group.name)
    return names


def by_name(uses: Iterable[Use], ids: list[str], distributions: list[str]) -> tuple[Use, ...]:
    """Uses with these IDs (globs) and those that need these distributions; all if none is named."""
    if not ids and not distributions:
        return tuple(uses)
    names = {canonicalize_name(name) for name in distributions}
    return tuple(
        use
        for use in uses
        if any(fnmatchcase(use.id, pattern) for pattern in ids) or use.distributions & names
    )


def _tables(texts: Iterable[str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for text in texts:
        for rule in tomllib.loads(text).get("rule", []):
            found[rule["id"]] = rule
    return found


def _git(folder: Path, *command: str) -> str:
    return subprocess.run(
        ["git", *command], cwd=folder, capture_output=True, text=True, check=True
    ).stdout
