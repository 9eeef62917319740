"""Trial of the examples that every rule carries: paths that it must and must not select.

The examples run over canonical layers: the layouts that CPython's own installation schemes give a
Linux, macOS and Windows layer. A ``match`` has to be selected on at least one platform that the
rule is for, a ``no_match`` on none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from slim.errors import Problem
from slim.model.record import EntryType, FileKind, FileRecord, Owner, OwnerKind
from slim.model.rule import PackageSpec, Rule
from slim.model.stack import Layer, LayerKind, Platform
from slim.rules.match import LayerMatcher, RuleMatcher, applies_to_layer, marks_roots

_PLATFORMS: Final = (
    "linux_x86_64",
    "linux_aarch64",
    "macosx_arm64",
    "macosx_x86_64",
    "win_amd64",
    "win_arm64",
)
_LAYOUTS: Final = {
    "win": ("Lib/site-packages", "Lib"),
    "": ("lib/python3.13/site-packages", "lib/python3.13"),
}


def check_examples(rule: Rule) -> list[Problem]:
    """Problems of a rule's examples: missing ones, and those that the rule contradicts.

    A rule without globs and ``keep`` selects every file of its owner, so it can't have a
    ``no_match``.
    """
    problems: list[Problem] = []

    def note(place: str, message: str) -> None:
        problems.append(
            Problem(
                file=rule.origin or rule.pack, place=f"rule {rule.id}: {place}", message=message
            )
        )

    matchers = [RuleMatcher([rule]).for_layer(layer) for layer in sample_layers(rule)]
    if not matchers:
        note("platforms", f"no known platform is among {', '.join(rule.platforms)}")
        return problems
    if not rule.examples.match:
        note("examples.match", "at least one path that the rule selects is needed")
    if not rule.examples.no_match and (rule.globs or rule.keep):
        note("examples.no_match", "at least one path that the rule leaves alone is needed")
    for index, path in enumerate(rule.examples.match):
        if not any(_selects(matcher, rule, path) for matcher in matchers):
            note(f"examples.match[{index}]", f"the rule doesn't select {path!r}")
    for index, path in enumerate(rule.examples.no_match):
        if any(_selects(matcher, rule, path) for matcher in matchers):
            note(f"examples.no_match[{index}]", f"the rule selects {path!r}")
    return problems


def sample_layers(rule: Rule) -> list[Layer]:
    """A canonical layer for each platform that the rule is for."""
    kind = min(rule.layers, default=LayerKind.APPLICATION)
    layers = []
    for tag in _PLATFORMS:
        site, stdlib = _LAYOUTS.get(tag.partition("_")[0], _LAYOUTS[""])
        layer = Layer(
            name="sample",
            layer_name="sample",
            kind=kind,
            platform=Platform.parse(tag),
            python_version="3.13.0",
            site_dirs=(site,),
            stdlib_dir=stdlib,
        )
        if applies_to_layer(rule, layer):
            layers.append(layer)
    return layers


def sample_owner(package: PackageSpec | None) -> Owner:
    """An owner that a rule's package accepts.

    Rules about no package get the runtime, which they accept as well.
    """
    if package is None:
        return Owner(kind=OwnerKind.RUNTIME, name="cpython", version="3.13.0")
    specifier = SpecifierSet(package.specifier)
    version = next(
        (text for text in _versions(specifier) if specifier.contains(text, prereleases=True)), "0"
    )
    name = package.name.removesuffix("*") or "example"
    return Owner(kind=OwnerKind.DISTRIBUTION, name=name, version=version)


def _versions(specifiers: SpecifierSet) -> Iterator[str]:
    """Versions at, above and below every bound."""
    for text in sorted(specifier.version.removesuffix(".*") for specifier in specifiers):
        yield text
        try:
            *head, last = Version(text).release
        except InvalidVersion:  # "===" accepts any text
            continue
        for release in ((*head, last, 1), (*head, last + 1), (*head, max(last - 1, 0))):
            yield ".".join(map(str, release))
    yield "0"
    yield "999999"


def _selects(matcher: LayerMatcher, rule: Rule, path: str) -> bool:
    record = FileRecord(
        layer=matcher.layer.name,
        path=path,
        type=EntryType.FILE,
        kind=FileKind.DATA,
        owner=sample_owner(rule.package),
        size=1,
        mode=0o644,
    )
    if marks_roots(rule):
        return bool(matcher.marked(rule.pass_name, record))
    return bool(matcher.select(rule.pass_name, record))
