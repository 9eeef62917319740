"""Facts that hold in a stack as a draft leaves it, and the removals that they forbid."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from slim.analysis.facts import Facts
from slim.config.settings import Config
from slim.model.facts import Fact
from slim.model.finding import Evidence, Strength
from slim.model.plan import SkipReason
from slim.model.record import Distribution, FileKey
from slim.model.rule import FactSource, PackageSpec, Rule
from slim.plan.conditions import Conditions
from slim.plan.draft import Draft
from slim.rules.match import GlobSet, owner_matches

_BUILD_SCRIPTS = ("setup.py", "setup_*.py", "*_build.py", "build_*.py", "_build*.py", "*_setup.py")
"""Names of modules that only build; where nothing imports them, they prove nothing."""
_MAX_EVIDENCE = 5
"""Pieces of evidence for a fact: one would do, thousands would fill a report."""
_STDLIB_DISTUTILS = "distutils/__init__.py"
_STDLIB_DISTUTILS_NAME = "distutils"


class HeldFacts:
    """The facts of one plan. ``gone`` is what the draft removes: it proves nothing any more."""

    def __init__(self, facts: Facts, config: Config, gone: Iterable[FileKey]) -> None:
        self._facts = facts
        self._gone = frozenset(gone)
        self._sources = [source for pack in config.packs for source in pack.facts]

    def established(self, asked: Iterable[Fact]) -> Mapping[Fact, tuple[Evidence, ...]]:
        """Return those of the facts that hold, each with what shows it."""
        found = {fact: tuple(self._evidence(fact)) for fact in sorted(set(asked))}
        return {fact: evidence for fact, evidence in found.items() if evidence}

    def _evidence(self, fact: Fact) -> list[Evidence]:
        sources = [source for source in self._sources if source.fact is fact]
        found = [evidence for source in sources for evidence in self._from_packages(source)]
        if fact is Fact.COMPILES:
            found += self._from_code(sources)
        elif fact is Fact.TYPE_CHECKS:
            shown = self._facts.stub_readers
            found += [evidence for key, evidence in shown.items() if key not in self._gone]
        return found[:_MAX_EVIDENCE]

    def _from_packages(self, source: FactSource) -> list[Evidence]:
        found = [known for spec in source.packages for known in self._installed(spec)]
        if found and source.together_with and not any(map(self._is_there, source.together_with)):
            return []
        return [
            Evidence(
                kind="fact",
                text=f"{known.owner.label}: {source.reason}",
                file=f"{known.layer}/{known.info_dir}",
            )
            for known in found
        ]

    def _from_code(self, sources: Iterable[FactSource]) -> list[Evidence]:
        ignored = GlobSet(glob for source in sources for glob in source.ignore)
        patterns = {layer.name: ignored.for_layer(layer) for layer in self._facts.stack}
        shown = {
            key: evidence
            for key, evidence in self._facts.compiling_code.items()
            if key not in self._gone
            and not ((pattern := patterns[key[0]]) is not None and pattern.match(key[1]))
        }
        doubtful = {
            key
            for key, evidence in shown.items()
            if evidence.strength is Strength.WEAK or _is_build_script(key[1])
        }
        certain = [evidence for key, evidence in shown.items() if key not in doubtful]
        if doubtful and len(certain) < _MAX_EVIDENCE:
            importers = self._facts.imports.importers_of_each(doubtful, self._gone)
            imported = {key for key, pieces in importers.items() if any(map(_is_certain, pieces))}
            shown = {key: shown[key] for key in shown if key not in doubtful or key in imported}
            return list(shown.values())[:_MAX_EVIDENCE]
        return certain[:_MAX_EVIDENCE]

    def _installed(self, spec: PackageSpec) -> list[Distribution]:
        return [
            known
            for layer, distributions in self._facts.inventory.distributions.items()
            for known in distributions.values()
            if owner_matches(spec, known.owner)
            and (layer, f"{known.info_dir}/METADATA") not in self._gone
        ]

    def _is_there(self, spec: PackageSpec) -> bool:
        if spec.name == _STDLIB_DISTUTILS_NAME:
            return any(
                layer.stdlib_dir is not None
                and f"{layer.stdlib_dir}/{_STDLIB_DISTUTILS}"
                in self._facts.inventory.records[layer.name]
                for layer in self._facts.stack
            )
        return bool(self._installed(spec))


def refuse_by_facts(draft: Draft, rules: Mapping[str, Rule], conditions: Conditions) -> None:
    """Take back what rules selected that don't apply, since a fact holds."""
    for action in list(draft.actions.values()):
        rule = rules.get(action.rule)
        evidence = () if rule is None else conditions.against(rule, action.record.owner)
        if evidence:
            draft.refuse(action, SkipReason.CONDITION, evidence)


def _is_certain(piece: Evidence) -> bool:
    """Return whether a name was found in code, not in bytes or text that happen to hold its words.

    Such words are enough to keep a module, not to believe that it runs.
    """
    return piece.kind != "string" or piece.line is not None or piece.strength is Strength.STRONG


def _is_build_script(path: str) -> bool:
    name = posixpath.basename(path)
    return any(fnmatchcase(name, pattern) for pattern in _BUILD_SCRIPTS)
