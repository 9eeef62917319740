"""Shared libraries that nothing in the whole stack uses.

What may go depends on the rule that selects a library:

=============  ==================================================================================
``evidence``   the library goes if
=============  ==================================================================================
``unspoken``   nothing links it, and no file has its bare name as a word or names its folder
``none``       nothing links it and nothing speaks of it (the default)
``weak``       at most weak evidence speaks of it: part of its name, a mention in data, a folder
               that may be listed
``curated``    the same; for rules that name a file of one package. What holds it back is reported
``freed``      nothing links it and nothing speaks of it, something that goes linked it, and traces
               tell that no run of the product loaded it
=============  ==================================================================================

No rule removes a library that is linked, or that is named in full by code that loads libraries.
What no rule selects stays, and so does what that needs or names. A rule with ``roots = true``
removes nothing: its ``keep`` globs mark folders whose libraries are loaded because they are there.

A link to a library goes with it where a rule of the pass selects the link, and in venvstacks'
folder ``share/venv/dynlib``, which holds nothing but such links. Any other link holds its library.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from slim.analysis.linkage.graph import Linkage
from slim.analysis.linkage.verdicts import MAX_EVIDENCE, LibraryJudge, LibraryStatus, LibraryVerdict
from slim.analysis.linkage.virtual_tree import DYNLIB
from slim.analysis.unused import layer_uses, never_loaded
from slim.binaries import describe
from slim.model.finding import Evidence, Finding
from slim.model.plan import SkipReason
from slim.model.record import FileKey, FileKind, FileRecord, NativeFormat
from slim.model.rule import OptionSchema, PassSchema, Rule, Verb
from slim.passes.base import Context, Proposal, Refusal
from slim.rules.match import marks_roots

_NAME = "dylibs"
_UNSPOKEN = "unspoken"
_FREED = "freed"
_SHARED = (NativeFormat.ELF, NativeFormat.MACHO, NativeFormat.PE)
_ALLOWED: Mapping[str, frozenset[LibraryStatus]] = {
    _UNSPOKEN: frozenset({LibraryStatus.NONE}),
    "none": frozenset({LibraryStatus.NONE}),
    "weak": frozenset({LibraryStatus.NONE, LibraryStatus.WEAK}),
    "curated": frozenset({LibraryStatus.NONE, LibraryStatus.WEAK}),
    _FREED: frozenset({LibraryStatus.NONE}),
}


class UnusedLibraries:
    """The pass ``dylibs``."""

    schema: ClassVar[PassSchema] = PassSchema(
        name=_NAME,
        summary="Shared libraries that nothing in the stack links, names or loads",
        verb=Verb.REMOVE,
        options={
            "evidence": OptionSchema(
                type=str,
                default="none",
                help="how much may speak of a library that goes all the same",
                choices=(_UNSPOKEN, "none", "weak", "curated", _FREED),
            ),
            "roots": OptionSchema(
                type=bool,
                default=False,
                help="mark the libraries that the keep globs name as used: plug-ins",
            ),
        },
        needs_globs=False,
        uses_graph=True,
    )

    def concerns(self, record: FileRecord) -> bool:
        """True for shared libraries."""
        return record.kind is FileKind.LIBRARY

    def propose(self, context: Context) -> Iterable[Proposal]:
        """Judge every library that isn't gone yet, then follow the links to those that go."""
        if not any(rule.pass_name == _NAME and not marks_roots(rule) for rule in context.rules):
            return
        rules = dict(_selected(context))
        if not rules:
            return
        linkage = context.facts.libraries
        freed = _freed(context, linkage, rules)
        rules = dict(_without_freed(rules, freed))
        judge = LibraryJudge.build(
            linkage, context.read, gone=context.gone, roots=linkage.dynamics.keys() - rules.keys()
        )
        held = frozenset(
            key for key, record in judge.candidates.items() if _is_held(context, linkage, record)
        )
        removed = _unused(judge, rules, freed, context.gone, held)
        while spoken := _spoken(context, removed):
            rules = {
                key: tuple(rule for rule in found if _evidence_option(rule) != _UNSPOKEN)
                if key in spoken
                else found
                for key, found in rules.items()
            }
            removed = _unused(judge, rules, freed, context.gone, held)
        verdicts = judge.verdicts(context.gone | removed.keys(), held)
        for key in sorted(removed):
            yield Finding(key=key, rule=removed[key].rule.id, evidence=removed[key].evidence)
        for key in sorted(verdicts):
            candidate = _candidate(verdicts[key], rules[key], freed)
            if candidate is not None and context.held(verdicts[key].record):
                # The planner says why the file stays.
                yield Finding(key=key, rule=candidate.rule.id, evidence=candidate.evidence)
            else:
                yield from _refusal(
                    verdicts[key], rules[key], linkage, context.gone | removed.keys()
                )
        yield from _links(context, linkage, removed)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A library that may go: the rule that takes it, and what shows that it is unused."""

    rule: Rule
    evidence: tuple[Evidence, ...]


def _selected(context: Context) -> Iterator[tuple[FileKey, tuple[Rule, ...]]]:
    """Yield the native files that a rule may take and no rule marks, with those rules."""
    for record in context.inventory:
        if record.native not in _SHARED or record.key in context.gone:
            continue
        if context.marked(_NAME, record):
            continue
        rules = _rules(context, record)
        if rules and not _is_assembly(context, record):
            yield record.key, rules


def _freed(
    context: Context, linkage: Linkage, rules: Mapping[FileKey, tuple[Rule, ...]]
) -> Mapping[FileKey, Evidence]:
    """Return the libraries that a native file needs and no traced run loaded, as far as asked."""
    guidance = context.facts.guidance
    asked = [key for key, found in rules.items() if any(map(_asks_traces, found))]
    if guidance is None or not asked:
        return {}
    uses = {layer.name: layer_uses(guidance, layer) for layer in context.stack}
    found: dict[FileKey, Evidence] = {}
    for key in asked:
        record = context.inventory.records[key[0]][key[1]]
        users = linkage.dependents(record)
        if users and never_loaded(record, uses[record.layer]):
            text = "no traced run loaded it, and what needs it goes"
            found[key] = Evidence(kind="trace", text=text, file=users[0].deployed_path)
    return found


def _asks_traces(rule: Rule) -> bool:
    return _evidence_option(rule) == _FREED


def _without_freed(
    rules: Mapping[FileKey, tuple[Rule, ...]], freed: Mapping[FileKey, Evidence]
) -> Iterator[tuple[FileKey, tuple[Rule, ...]]]:
    """Yield the rules of each library, without those that ask traces which don't let it go."""
    for key, found in rules.items():
        left = found if key in freed else tuple(rule for rule in found if not _asks_traces(rule))
        if left:
            yield key, left


def _is_assembly(context: Context, record: FileRecord) -> bool:
    """Return whether a file is a .NET assembly: no linker's table names those."""
    if record.native is not NativeFormat.PE:
        return False
    info = describe(context.read(record))
    return info is not None and info.clr


def _rules(context: Context, record: FileRecord) -> tuple[Rule, ...]:
    """Return the rules that may take a file, the strongest first."""
    return tuple(rule for rule in context.select(_NAME, record) if not rule.options.get("roots"))


def _is_held(context: Context, linkage: Linkage, record: FileRecord) -> bool:
    """Return whether the library, or a link to it, stays whatever is proposed.

    What it needs then has to stay, too.
    """
    return context.held(record) or any(
        not _goes_along(context, link) for link in linkage.links_to(record)
    )


def _goes_along(context: Context, link: FileRecord) -> bool:
    """Return whether a link goes with its library: it is made for that, or a rule selects it."""
    if link.key in context.gone:
        return True
    if context.held(link):
        return False
    return link.path.startswith(DYNLIB) or bool(_rules(context, link))


def _evidence_option(rule: Rule) -> str:
    return str(rule.options.get("evidence", "none"))


def _unused(
    judge: LibraryJudge,
    rules: Mapping[FileKey, tuple[Rule, ...]],
    freed: Mapping[FileKey, Evidence],
    gone: frozenset[FileKey],
    held: frozenset[FileKey],
) -> dict[FileKey, _Candidate]:
    """Return what goes, with the rules that take it.

    Repeated until nothing more comes, because what goes uses nothing any more.
    """
    removed: dict[FileKey, _Candidate] = {}
    while True:
        verdicts = judge.verdicts(gone | removed.keys(), held)
        willing = {
            key: _candidate(verdicts[key], rules[key], freed) for key in verdicts if key not in held
        }
        fresh = {key: candidate for key, candidate in willing.items() if candidate is not None}
        _spare(judge.linkage, fresh, gone | removed.keys())
        if not fresh:
            return removed
        removed |= fresh


def _spoken(context: Context, removed: Mapping[FileKey, _Candidate]) -> Mapping[FileKey, Evidence]:
    """Return what a file that stays may yet speak of, of what goes because nothing names it."""
    records = context.inventory.records
    unnamed = [
        records[key[0]][key[1]]
        for key, candidate in sorted(removed.items())
        if _evidence_option(candidate.rule) == _UNSPOKEN
    ]
    if not unnamed:
        return {}
    return context.facts.spoken_names.speakers(unnamed, context.gone | removed.keys())


def _candidate(
    verdict: LibraryVerdict, rules: tuple[Rule, ...], freed: Mapping[FileKey, Evidence]
) -> _Candidate | None:
    """Return the library with the rule that lets it go, or None.

    Of equal rules the mildest takes it, since it would do without others. What traces tell is
    evidence whatever the rule: the pack that brings its users back has to bring it, too.
    """
    willing = [rule for rule in rules if verdict.status in _ALLOWED[_evidence_option(rule)]]
    if not willing:
        return None
    chosen = max(willing, key=lambda rule: (*rule.precedence, -rule.safety))
    traced = freed.get(verdict.record.key)
    return _Candidate(rule=chosen, evidence=(*_grounds(verdict), *([traced] if traced else ())))


def _grounds(verdict: LibraryVerdict) -> tuple[Evidence, ...]:
    if verdict.status is LibraryStatus.NONE:
        return (
            Evidence(
                kind="unused", text="no native file of the stack needs it, no code or data names it"
            ),
        )
    return (Evidence(kind="unused", text="no native file of the stack needs it"), *verdict.evidence)


def _spare(
    linkage: Linkage, candidates: dict[FileKey, _Candidate], gone: frozenset[FileKey]
) -> None:
    """Take out every candidate that a library which stays needs, until that holds for all."""
    records = linkage.inventory.records
    while True:
        spared = [
            key
            for key in candidates
            if any(
                user.key not in candidates
                for user in linkage.dependents(records[key[0]][key[1]], gone)
            )
        ]
        if not spared:
            return
        for key in spared:
            del candidates[key]


def _refusal(
    verdict: LibraryVerdict, rules: tuple[Rule, ...], linkage: Linkage, gone: frozenset[FileKey]
) -> Iterator[Refusal]:
    """Yield what holds back a library that a curated rule names.

    The other rules look at every library, so that a refusal of theirs would say nothing.
    """
    rule = next((rule for rule in rules if _evidence_option(rule) == "curated"), None)
    if rule is None:
        return
    reason, evidence = SkipReason.LINKED, verdict.evidence
    if verdict.status is LibraryStatus.SIGNALLED:
        reason = SkipReason.REFERENCED
    elif verdict.status is not LibraryStatus.LINKED:
        users = linkage.dependents(verdict.record, gone)[:MAX_EVIDENCE]
        evidence = tuple(
            Evidence(kind="needed", text="needs it and stays", file=user.deployed_path)
            for user in users
        )
        evidence = evidence or tuple(
            Evidence(kind="link", text="leads to it and stays", file=link.deployed_path)
            for link in linkage.links_to(verdict.record)[:MAX_EVIDENCE]
        )
    yield Refusal(key=verdict.record.key, rule=rule.id, reason=reason, evidence=evidence)


def _links(
    context: Context, linkage: Linkage, removed: Mapping[FileKey, _Candidate]
) -> Iterator[Finding]:
    """Yield the links that lead to a library which goes."""
    for key in removed:
        target = linkage.inventory.records[key[0]][key[1]]
        for link in linkage.links_to(target):
            if link.key not in context.gone and not context.held(link):
                evidence = Evidence(
                    kind="link", text="leads to a library that goes", file=target.deployed_path
                )
                yield Finding(key=link.key, rule=removed[key].rule.id, evidence=(evidence,))
