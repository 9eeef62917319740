"""Check ``metadata``: distributions, versions and entry points as before, and true RECORDs.

Requirements are met as they were.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion

from slim.model.stack import Stack
from slim.model.verify import Subject
from slim.verification.dynamic.deploy import Deployment
from slim.verification.dynamic.sandbox import WORKERS

NAME: Final = "metadata"
TIMEOUT: Final = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """Facts that a layer's Python tells of its distributions, which can be compared.

    ``problems`` are unmet requirements and rows of RECORD that aren't true; ``rows`` counts rows;
    ``error`` is there where the interpreter couldn't tell.
    """

    facts: frozenset[str] = frozenset()
    problems: frozenset[str] = frozenset()
    rows: int = 0
    error: str = ""


def subjects(stack: Stack) -> list[Subject]:
    """List a subject for every layer that has packages of its own."""
    return [
        Subject(check=NAME, layer=layer.name, name="site-packages")
        for layer in stack
        if layer.site_dirs
    ]


def observe(
    deployment: Deployment,
    layers: Sequence[Subject],
    *,
    workers: int = 1,
    advance: Callable[[int], None] = lambda _: None,
) -> dict[Subject, Described]:
    """Ask every layer's Python."""

    def work(subject: Subject) -> Described:
        found = _describe(deployment, subject.layer)
        advance(1)
        return found

    with ThreadPoolExecutor(max_workers=workers) as pool:
        return dict(zip(layers, pool.map(work, layers), strict=True))


def _describe(deployment: Deployment, name: str) -> Described:
    layer = deployment.stack.layer(name)
    python = str(deployment.python(name))
    site = deployment.root / name / layer.site_dirs[0]
    done = deployment.sandbox.run(
        [python, "-B", str(WORKERS / "describer.py"), str(site)],
        timeout=TIMEOUT,
        readable=(deployment.root,),
    )
    try:
        value: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        errors = done.stderr.decode("utf-8", "replace").strip().splitlines()
        return Described(error=errors[-1] if errors else f"the interpreter ended with {done.code}")
    problems = [*value["record"], *unmet(value["distributions"], value["environment"])]
    if value["pip"]:
        problems += _pip_check(deployment, python)
    return Described(
        facts=frozenset(_facts(value["distributions"])),
        problems=frozenset(problems),
        rows=value["rows"],
    )


def _pip_check(deployment: Deployment, python: str) -> list[str]:
    done = deployment.sandbox.run(
        [python, "-B", "-m", "pip", "check"], timeout=TIMEOUT, readable=(deployment.root,)
    )
    if done.code == 0:
        return []
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    return [f"pip check: {line}" for line in lines] or ["pip check can't be run"]


def _facts(distributions: Mapping[str, Any]) -> Iterator[str]:
    for name, found in distributions.items():
        yield f"{name} {found['version']}"
        for point in found["entry_points"]:
            yield f"{name}: entry point {point}"


def unmet(distributions: Mapping[str, Any], environment: Mapping[str, str]) -> Iterator[str]:
    """List requirements that no installed version meets, as ``pip check`` tells them.

    Extras aren't asked for.
    """
    versions = {
        canonicalize_name(name): str(found["version"]) for name, found in distributions.items()
    }
    for name, found in sorted(distributions.items()):
        for line in found["requires"]:
            try:
                requirement = Requirement(line)
            except InvalidRequirement:
                continue
            marker = requirement.marker
            if marker is not None and not marker.evaluate({**environment, "extra": ""}):
                continue
            version = versions.get(canonicalize_name(requirement.name))
            if version is None:
                yield f"{name} requires {requirement.name}, which isn't installed"
            elif not _meets(requirement, version):
                wanted = f"{requirement.name}{requirement.specifier}"
                yield f"{name} requires {wanted}, there is {version}"


def _meets(requirement: Requirement, version: str) -> bool:
    try:
        return requirement.specifier.contains(version, prereleases=True)
    except InvalidVersion:
        return False


def lost(
    before: Described,
    after: Described,
    dropped: Iterable[str] = (),
    signed: Collection[str] = (),
) -> Iterator[str]:
    """Tell what is different.

    ``dropped`` are distributions that the user removes whole: they may be missing, and what
    requires them may say so. ``signed`` are files, as RECORD names them, that were signed since.
    """
    gone = tuple(dropped)
    if after.error and not before.error:
        yield after.error
        return
    for fact in sorted(before.facts - after.facts):
        if not fact.startswith(tuple(f"{name}{mark}" for name in gone for mark in (" ", ":"))):
            yield f"{fact} is missing"
    for fact in sorted(after.facts - before.facts):
        yield f"{fact} is new"
    for problem in sorted(after.problems - before.problems):
        row = problem.removesuffix(": has another hash").partition(": ")[2]
        if row in signed:
            continue
        if not any(f"requires {name}" in canonicalize_name_in(problem) for name in gone):
            yield problem


def canonicalize_name_in(text: str) -> str:
    """Return lower case with dashes, as normalised names are written (PEP 503)."""
    return text.lower().replace("_", "-")
