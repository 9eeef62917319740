"""Rules: files that a pass may remove or rewrite, with reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from slim.model.facts import Fact
from slim.model.stack import LayerKind


class Safety(IntEnum):
    """Levels of boldness of rules. A profile applies its own level and those below it.

    ``GUIDED`` stands beside ``AGGRESSIVE``: its rules go by traces of what a product uses, and as a
    profile it adds them to those of ``STANDARD``.
    """

    SAFE = 0
    STANDARD = 1
    AGGRESSIVE = 2
    GUIDED = 3

    def applies(self, level: Safety) -> bool:
        """Return whether this, as a profile, applies the rules of a level."""
        if Safety.GUIDED in (self, level):
            return level is self or (self is Safety.GUIDED and level <= Safety.STANDARD)
        return level <= self

    @property
    def label(self) -> str:
        """The word used in rule files and on the command line."""
        return self.name.lower()


UNTRACED_PROFILES = (Safety.SAFE, Safety.STANDARD, Safety.AGGRESSIVE)
"""The profiles that need no trace."""


class Verb(StrEnum):
    """The two things that passes do to the files that their rules select."""

    REMOVE = "remove"
    REWRITE = "rewrite"


class Phase(IntEnum):
    """The three parts of planning, in order.

    Removals come first, because what is gone imports and links nothing any more. Once it is proved
    what stays for being imported, libraries go that nothing is left to need; then what stays is
    rewritten.
    """

    REMOVE = 0
    LINK = 1
    REWRITE = 2


OptionValue = str | bool | int | tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionSchema:
    """One option that a pass understands.

    ``type`` is the type of the value; ``choices`` limits a string.
    """

    type: type
    default: OptionValue
    """Value where a rule gives none."""
    help: str
    """Meaning, for people."""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PassSchema:
    """A pass as rule files and the planner see it. The loader checks rules against it.

    ``summary`` is one line for people. ``verb`` is also the key under which a rule lists its globs;
    with ``needs_globs`` the rule must have some. ``uses_graph``: the pass asks the library graph of
    the whole stack, which takes its time, so that quick estimates leave it out.
    ``beats_protection``: what is protected goes too, because the user named the whole distribution.
    ``computes_choice``: the pass itself finds out what files that a choosing rule selects belong
    to, so that its globs may do without a value.
    """

    name: str
    """Name of the pass, by which rules refer to it."""
    summary: str
    verb: Verb
    options: Mapping[str, OptionSchema] = field(default_factory=dict)
    """Options that a rule may give, by name."""
    needs_globs: bool = True
    uses_graph: bool = False
    beats_protection: bool = False
    computes_choice: bool = False

    @property
    def phase(self) -> Phase:
        """The part of planning that the pass takes part in."""
        if self.verb is Verb.REWRITE:
            return Phase.REWRITE
        return Phase.LINK if self.uses_graph else Phase.REMOVE


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageSpec:
    """A distribution that a rule is about."""

    name: str
    """Normalised name (PEP 503); ``*`` at its end matches any suffix."""
    specifier: str = ""
    """Versions that are meant (PEP 440); empty means all."""

    def __str__(self) -> str:
        return f"{self.name} {self.specifier}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Paths (relative to a layer) that the rule must and must not select."""

    match: tuple[str, ...] = ()
    """Paths that it must select."""
    no_match: tuple[str, ...] = ()
    """Paths that it must not select."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleEvidence:
    """Outcome of the field trial of a rule: real packages, before and after it took files.

    Built-in rules get theirs from ``rules/evidence.toml``, which the trial writes; a rule of
    somebody's own may carry it inline.
    """

    tried: Mapping[str, tuple[str, ...]]
    """Versions that it was tried on, by normalised name of the distribution."""
    uses: int = 0
    """Programs that passed in trees from which the rule had taken files."""
    tests: int = 0
    """Tests of the packages' own suites that passed against such trees."""
    saved: int = 0
    """Bytes that it saved in the trial, each version of a distribution counted once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row of knowledge. Empty ``layers``, ``platforms`` (globs) or no ``package`` means: any.

    ``globs`` is the rule's ``remove`` or ``rewrite`` list, after its pass's verb; ``keep`` takes
    files back out. Globs are relative to the layer and may start with ``$site`` (each site-packages
    folder), ``$stdlib`` (the runtime's standard library), ``$bin`` (``bin`` or ``Scripts``), or
    ``$package`` (with ``package``: any folder that holds the distribution's files; same as
    ``$site``).
    """

    id: str
    """Its name, unique among all packs."""
    pass_name: str
    """Name of its pass."""
    reason: str
    """Why these files may go, for people."""
    safety: Safety
    """Level of boldness."""
    globs: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    layers: frozenset[LayerKind] = frozenset()
    package: PackageSpec | None = None
    platforms: tuple[str, ...] = ()
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    """Options for its pass, by name."""
    unless: tuple[Fact, ...] = ()
    """Facts about the stack; where one of them holds, the rule isn't applied."""
    despite: tuple[str, ...] = ()
    """Globs of files that may import what it takes: nobody runs those lines where that is gone."""
    choose: str = ""
    """Name of the choice that it serves: it takes what the user didn't choose; empty: none."""
    choice_globs: tuple[str, ...] = ()
    """Its globs as written, with ``<value>`` where ``globs`` have a star."""
    unit: bool = False
    """True if what it selects in one distribution of one layer stands or falls together."""
    source: str = ""
    """Where the knowledge comes from, such as a URL."""
    examples: Examples = field(default_factory=Examples)
    """Paths that it is tried on."""
    evidence: RuleEvidence | None = None
    """Outcome of its field trial; None means that it wasn't tried."""
    pack: str = ""
    """Name of its pack."""
    origin: str = ""
    """Path of the file that it was read from."""
    builtin: bool = True
    """True if it comes with slim."""

    @property
    def precedence(self) -> tuple[bool, bool]:
        """Rank among rules of one pass that select the same file; the larger wins.

        The user's own rule wins, then the one for a package.
        """
        return (not self.builtin, self.package is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class FactSource:
    """Knowledge from which a fact about a stack follows: a ``[[fact]]`` table of a pack.

    Without ``packages`` the row only says which files' code proves nothing.
    """

    fact: Fact
    """The fact that holds in a stack with one of the packages."""
    reason: str
    """What those packages do, for people."""
    packages: tuple[PackageSpec, ...] = ()
    together_with: tuple[PackageSpec, ...] = ()
    """Distributions of which one has to be there as well; none means that nothing more is asked."""
    ignore: tuple[str, ...] = ()
    """Globs of files whose code is no evidence for the fact."""
    source: str = ""
    """Where the knowledge comes from, such as a URL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Something of which a user may keep a part: a ``[[choice]]`` table of a pack."""

    name: str
    """Its key in the table ``[choose]`` of a configuration."""
    meaning: str
    """What is chosen, for people."""
    parts: bool = False
    """True if values have parts, as locales do: ``de`` is a part of ``de_AT``."""
    asked_by: tuple[str, ...] = ()
    """Names of functions whose first argument asks for a value: what they ask for stays."""
    source: str = ""
    """Where the knowledge comes from, such as a URL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RulePack:
    """One rule file. ``name`` is its stem; ``origin`` the path it was read from, for messages."""

    name: str
    origin: str
    description: str
    """One line for people."""
    rules: tuple[Rule, ...] = ()
    """Its rules, in order."""
    facts: tuple[FactSource, ...] = ()
    """What it knows of facts about stacks."""
    choices: tuple[Choice, ...] = ()
    """The choices that its rules serve."""
