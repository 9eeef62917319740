"""Uses, groups of them that share a tree, and what profiles give up by their promise."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE = Path(__file__).parent
LARGEST_GROUP = 4
"""Distributions that uses of one tree may name together."""
LONGEST_NAME = 180
"""Characters of what a tree needs that its folder is called by; file systems take 255 bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A small program, the requirements it needs, and the public report it stands for."""

    id: str
    code: str
    needs: tuple[str, ...]
    report: str
    shell: bool = False
    alone: bool = False

    @property
    def distributions(self) -> frozenset[str]:
        """Normalised names of what it needs."""
        return frozenset(canonicalize_name(Requirement(need).name) for need in self.needs)


@dataclass(frozen=True, slots=True)
class Group:
    """Uses that are tried in one tree. ``name`` is the folder's and the lock's."""

    name: str
    requirements: tuple[str, ...]
    uses: tuple[Use, ...]


def read_uses(
    given: Path = HERE / "uses.toml", own: Path = HERE / "own_uses.toml"
) -> tuple[Use, ...]:
    """Read the uses that were given, then those of this project's own, in the files' order.

    Own uses stand below the tree that they share with each other, and with no other use.
    """
    tables = tomllib.loads(given.read_text(encoding="utf-8"))["use"]
    for tree in tomllib.loads(own.read_text(encoding="utf-8"))["tree"]:
        tables += [{**table, "needs": tree["needs"], "alone": True} for table in tree["use"]]
    return tuple(Use(**{**table, "needs": tuple(table["needs"])}) for table in tables)


def read_given_up(path: Path = HERE / "given_up.toml") -> dict[tuple[str, str], str]:
    """Read what profiles give up: the reason by use and profile.

    What ``standard`` gives up ``aggressive`` gives up too.
    """
    found: dict[tuple[str, str], str] = {}
    for table in tomllib.loads(path.read_text(encoding="utf-8"))["given_up"]:
        found[table["use"], table["profile"]] = table["reason"]
        if table["profile"] == "standard":
            found[table["use"], "aggressive"] = table["reason"]
    return found


def read_suites(path: Path = HERE / "suites.toml") -> Mapping[str, Mapping[str, Any]]:
    """Read the samples of removed test suites, by normalised name of distribution."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


def groups(uses: Sequence[Use]) -> tuple[Group, ...]:
    """Put uses into groups that share a tree, always the same way.

    A use that has to be alone shares a tree only with those that need the very same.
    """
    members: list[tuple[set[str], bool, list[Use]]] = []
    for use in sorted(uses, key=lambda use: -len(use.needs)):
        needs = set(use.needs)
        best: tuple[set[str], bool, list[Use]] | None = None
        for group in members:
            if use.alone or group[1]:
                fits = use.alone == group[1] and needs == group[0]
            else:
                fits = len(needs | group[0]) <= LARGEST_GROUP and bool(needs)
            if fits and (best is None or len(needs & group[0]) > len(needs & best[0])):
                best = group
        if best is None:
            best = (set(), use.alone, [])
            members.append(best)
        best[0].update(needs)
        best[2].append(use)
    return tuple(
        Group(_name(needs, alone), tuple(sorted(needs)), tuple(sorted(uses, key=lambda u: u.id)))
        for needs, alone, uses in members
    )


def _name(needs: Iterable[str], alone: bool) -> str:
    text = "+".join(sorted(re.sub(r"[^a-z0-9.]+", "-", need.lower()) for need in needs))
    if len(text) > LONGEST_NAME:
        text = f"{text[:LONGEST_NAME]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    return f"{text or 'stdlib'}{'-alone' if alone else ''}"
