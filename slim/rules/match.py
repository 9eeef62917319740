"""Selection of files by rules: the rules of a stack, made ready for one layer, asked for each file.

Thirty thousand files meet a hundred and twenty rules, so three cheap questions come before a
regular expression is tried: is there any rule of this pass here, does the path have a component or
extension that one of them must see, and does the owner fit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import chain

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from slim.errors import ConfigError, Problem
from slim.model.record import EntryType, FileRecord, Owner, OwnerKind
from slim.model.rule import PackageSpec, Rule, Safety
from slim.model.stack import Layer, LayerKind
from slim.rules.glob import Glob, GlobError, compile_glob, compile_globs, folds_case


def marks_roots(rule: Rule) -> bool:
    """True if a rule selects nothing itself: its ``keep`` globs mark folders that hold plug-ins."""
    return rule.options.get("roots") is True and not rule.globs


def owner_matches(package: PackageSpec | None, owner: Owner) -> bool:
    """True if a file's owner is the package that a rule is about. Only distributions are packages.

    Pre-releases count like any other version. An installed version that isn't PEP 440 satisfies no
    specifier.
    """
    if package is None:
        return True
    if owner.kind is not OwnerKind.DISTRIBUTION:
        return False
    if package.name.endswith("*"):
        if not owner.name.startswith(package.name[:-1]):
            return False
    elif owner.name != package.name:
        return False
    if not package.specifier:
        return True
    try:
        return SpecifierSet(package.specifier).contains(Version(owner.version), prereleases=True)
    except (InvalidVersion, InvalidSpecifier):
        return False


def applies_to_layer(rule: Rule, layer: Layer) -> bool:
    """True if layer kind and platform agree.

    A plain layer counts as every kind; no platforms means any.
    """
    if rule.layers and layer.kind is not LayerKind.PLAIN and layer.kind not in rule.layers:
        return False
    return not rule.platforms or any(
        fnmatchcase(layer.platform.tag, pattern) for pattern in rule.platforms
    )


def strength(rule: Rule) -> tuple[bool, bool, bool, bool, Safety]:
    """Key by which two rules of one pass that want the same file are compared; the larger wins.

    Refines :attr:`Rule.precedence`: a package named in full beats ``nvidia-*``, a version beats no
    version, and of two rules about the same the bolder one wins, because switching it on would mean
    nothing otherwise.
    """
    package = rule.package
    named = package is not None and "*" not in package.name
    return (*rule.precedence, named, bool(package and package.specifier), rule.safety)


@dataclass(frozen=True, slots=True)
class _CompiledRule:
    """A rule with its globs parsed, for all layers."""

    rule: Rule
    globs: tuple[Glob, ...]
    keep: tuple[Glob, ...]


@dataclass(frozen=True, slots=True)
class _Selector:
    """A rule made ready for one layer.

    ``wanted`` is None where the rule has no globs: every file is wanted.
    """

    rule: Rule
    wanted: re.Pattern[str] | None
    keep: re.Pattern[str] | None

    def selects(self, path: str) -> bool:
        if self.wanted is not None and self.wanted.match(path) is None:
            return False
        return self.keep is None or self.keep.match(path) is None


Selected = tuple[FileRecord, tuple[Rule, ...]]
"""A file, and the rules of a pass that select it, the strongest first."""


class RuleMatcher:
    """The enabled rules of a run, compiled once.

    Raises :class:`ConfigError` for a malformed glob or specifier.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        ordered = sorted(
            rules, key=lambda rule: (*(-int(part) for part in strength(rule)), rule.id)
        )
        problems: list[Problem] = []
        self._compiled = tuple(self._compile(rule, problems) for rule in ordered)
        if problems:
            raise ConfigError.from_problems(problems)

    def for_layer(self, layer: Layer) -> LayerMatcher:
        """The rules that can apply to a layer, with its folders filled in."""
        return LayerMatcher(
            layer,
            [compiled for compiled in self._compiled if applies_to_layer(compiled.rule, layer)],
        )

    @staticmethod
    def _compile(rule: Rule, problems: list[Problem]) -> _CompiledRule:
        parsed: list[list[Glob]] = [[], []]
        for found, patterns in zip(parsed, (rule.globs, rule.keep), strict=True):
            for pattern in patterns:
                try:
                    found.append(compile_glob(pattern))
                except GlobError as error:
                    message = f"{error} in {pattern[:80]!r}"
                    problems.append(
                        Problem(
                            file=rule.origin or rule.pack, place=f"rule {rule.id}", message=message
                        )
                    )
        return _CompiledRule(rule, tuple(parsed[0]), tuple(parsed[1]))


class LayerMatcher:
    """The rules of one layer.

    Made by :meth:`RuleMatcher.for_layer`; not safe to share between threads.
    """

    def __init__(self, layer: Layer, compiled: Sequence[_CompiledRule]) -> None:
        self.layer = layer
        self._passes: dict[str, _PassIndex] = {}
        for candidate in compiled:
            index = self._passes.setdefault(candidate.rule.pass_name, _PassIndex(layer))
            index.add(candidate)

    def select(self, pass_name: str, record: FileRecord) -> tuple[Rule, ...]:
        """The rules of a pass that select a file or link, the strongest first.

        Folders are never selected: a folder goes when nothing is left in it.
        """
        index = self._passes.get(pass_name)
        if index is None or record.type is EntryType.DIRECTORY:
            return ()
        return index.select(record)

    def selected(self, pass_name: str, records: Iterable[FileRecord]) -> Iterator[Selected]:
        """Those of the layer's ``records`` that :meth:`select` selects, in their order."""
        index = self._passes.get(pass_name)
        for record in records if index is not None and index.selects_anything else ():
            rules = (
                () if index is None or record.type is EntryType.DIRECTORY else index.select(record)
            )
            if rules:
                yield record, rules

    def marked(self, pass_name: str, record: FileRecord) -> tuple[Rule, ...]:
        """The rules of a pass that mark a file as lying in a plug-in folder.

        See :func:`marks_roots`.
        """
        index = self._passes.get(pass_name)
        return () if index is None else index.marked(record)


class _Memory:
    """Answers of a layer's matcher: about single files, and about all files of the layer."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], tuple[Rule, ...]] = {}
        self.selected: dict[str, tuple[Selected, ...]] = {}


class RememberingMatcher:
    """A layer's matcher for several plans: it remembers its answer about each file.

    ``only`` gives a matcher of the same memory that knows only some of the rules.
    """

    def __init__(
        self,
        matcher: LayerMatcher,
        *,
        rules: frozenset[str] | None = None,
        memory: _Memory | None = None,
    ) -> None:
        self._matcher = matcher
        self._rules = rules
        self._memory = memory or _Memory()

    def only(self, rules: Iterable[str]) -> RememberingMatcher:
        """The same, for rules with these ids alone."""
        return RememberingMatcher(self._matcher, rules=frozenset(rules), memory=self._memory)

    def select(self, pass_name: str, record: FileRecord) -> tuple[Rule, ...]:
        """See :meth:`LayerMatcher.select`."""
        key = (pass_name, record.path)
        found = self._memory.answers.get(key)
        if found is None:
            found = self._memory.answers[key] = self._matcher.select(pass_name, record)
        return self._known(found)

    def selected(self, pass_name: str, records: Iterable[FileRecord]) -> Iterator[Selected]:
        """See :meth:`LayerMatcher.selected`. ``records`` have to be the same every time."""
        found = self._memory.selected.get(pass_name)
        if found is None:
            found = self._memory.selected[pass_name] = tuple(
                self._matcher.selected(pass_name, records)
            )
        for record, rules in found:
            known = self._known(rules)
            if known:
                yield record, known

    def marked(self, pass_name: str, record: FileRecord) -> tuple[Rule, ...]:
        """See :meth:`LayerMatcher.marked`."""
        return self._known(self._matcher.marked(pass_name, record))

    def _known(self, found: tuple[Rule, ...]) -> tuple[Rule, ...]:
        if not found or self._rules is None:
            return found
        if len(found) == 1:
            return found if found[0].id in self._rules else ()
        return tuple(rule for rule in found if rule.id in self._rules)


class _PassIndex:
    """Selectors of one pass in one layer, strongest first.

    They are found by what a matching path must contain.
    """

    def __init__(self, layer: Layer) -> None:
        self._layer = layer
        self._folds = folds_case(layer)
        self._selectors: list[_Selector] = []
        self._always: list[int] = []
        self._by_token: dict[str, list[int]] = {}
        self._markers: list[_Selector] = []
        self._owners: dict[Owner, frozenset[int]] = {}
        self._folders: dict[str, frozenset[int]] = {}

    @property
    def selects_anything(self) -> bool:
        """True if there is a rule that could select a file."""
        return bool(self._selectors)

    def add(self, compiled: _CompiledRule) -> None:
        """Add a rule; those added first win."""
        rule, layer = compiled.rule, self._layer
        wanted = compile_globs(compiled.globs, layer)
        keep = compile_globs(compiled.keep, layer)
        if marks_roots(rule):
            self._markers.append(_Selector(rule, keep, None))
            return
        if rule.globs and wanted is None:
            return
        position = len(self._selectors)
        self._selectors.append(_Selector(rule, wanted, keep))
        tokens = {
            alternative.token for glob in compiled.globs for alternative in glob.alternatives
        } or {None}
        if None in tokens:
            self._always.append(position)
            return
        for token in tokens:
            if token is not None:
                self._by_token.setdefault(self._fold(token), []).append(position)

    def select(self, record: FileRecord) -> tuple[Rule, ...]:
        """The rules that select a record, the strongest first."""
        folder, _, name = record.path.rpartition("/")
        candidates = self._folders.get(folder)
        if candidates is None:
            candidates = self._folders[folder] = self._below(folder)
        by_token = self._by_token
        name = self._fold(name)
        if name in by_token:
            candidates = candidates.union(by_token[name])
        dot = name.rfind(".")
        if dot >= 0 and name[dot:] in by_token:
            candidates = candidates.union(by_token[name[dot:]])
        if not candidates:
            return ()
        candidates = candidates & self._for_owner(record.owner)
        if not candidates:
            return ()
        return tuple(
            self._selectors[position].rule
            for position in sorted(candidates)
            if self._selectors[position].selects(record.path)
        )

    def marked(self, record: FileRecord) -> tuple[Rule, ...]:
        """The marker rules whose globs match a record."""
        return tuple(
            marker.rule
            for marker in self._markers
            if marker.wanted is not None
            and marker.wanted.match(record.path) is not None
            and owner_matches(marker.rule.package, record.owner)
        )

    def _for_owner(self, owner: Owner) -> frozenset[int]:
        known = self._owners.get(owner)
        if known is None:
            known = frozenset(
                position
                for position, selector in enumerate(self._selectors)
                if owner_matches(selector.rule.package, owner)
            )
            self._owners[owner] = known
        return known

    def _below(self, folder: str) -> frozenset[int]:
        """Rules that may select any file of a folder, by the names in its path alone.

        A file's own name and its last suffix are asked for besides.
        """
        tokens = self._fold(folder).split("/")
        return frozenset(chain(self._always, *(self._by_token.get(token, ()) for token in tokens)))

    def _fold(self, text: str) -> str:
        return text.lower() if self._folds else text


class GlobSet:
    """Patterns that select paths by themselves: the user's ``keep`` lists.

    Raises :class:`GlobError`.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self.globs = tuple(compile_glob(pattern) for pattern in patterns)

    def for_layer(self, layer: Layer) -> re.Pattern[str] | None:
        """One regular expression for :meth:`re.Pattern.match` over whole paths.

        None where nothing can match.
        """
        return compile_globs(self.globs, layer)
