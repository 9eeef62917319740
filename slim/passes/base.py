"""The seam between the planner and the passes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Protocol

from slim.analysis import ReadFile
from slim.formats.base import Content
from slim.model.finding import Evidence, Finding
from slim.model.plan import SkipReason
from slim.model.record import FileKey, FileRecord, Inventory
from slim.model.rule import OptionValue, PassSchema, Rule
from slim.model.stack import Stack


@dataclass(frozen=True, slots=True, kw_only=True)
class Editor:
    """Row of the table of editors, which carry out the rewrites that plans ask for.

    ``name`` is what an ``EditSpec`` refers to. ``edit`` makes the new content from the bytes of the
    file and the options of the ``EditSpec``; it raises SlimError where it can't. ``oracle`` names
    what judges each edit before it is published (a key of :data:`slim.verification.oracles.ORACLES`).
    """

    name: str
    edit: Callable[[memoryview, Mapping[str, OptionValue]], Content]
    oracle: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A pass looked at a file that its rule selects and declines, saying why."""

    key: FileKey
    rule: str
    reason: SkipReason
    evidence: tuple[Evidence, ...] = ()


Proposal = Finding | Refusal


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a pass may look at: the whole stack, always.

    ``select(pass_name, record)`` gives the enabled rules of a pass that select the record, the
    strongest first (see ``Rule.precedence``); ``selected(pass_name)`` gives every record that any
    rule selects, with those rules; ``marked`` gives those that only mark a file (plug-in folders of
    ``dylibs``). ``rules`` are all enabled rules of all passes. ``gone`` holds the removals decided
    by earlier passes. ``read`` gives a file's bytes. ``held`` says whether a file stays whatever is
    proposed: its layer may not change, it is protected, or the configuration keeps it. ``options``
    holds what configuration says by layer: ``bytecode`` policies and ``drop`` lists. ``remembered``
    is for the pass that edits native files, and spares it a second look: what it said about a file
    and a rule (by id) for another plan of the same stack.
    """

    stack: Stack
    inventory: Inventory
    rules: tuple[Rule, ...]
    select: Callable[[str, FileRecord], tuple[Rule, ...]]
    read: ReadFile
    selected: Callable[[str], Iterable[tuple[FileRecord, tuple[Rule, ...]]]] = lambda _pass: ()
    marked: Callable[[str, FileRecord], tuple[Rule, ...]] = lambda _pass, _record: ()
    gone: frozenset[FileKey] = frozenset()
    held: Callable[[FileRecord], bool] = lambda _record: False
    options: Mapping[str, object] = field(default_factory=dict)
    remembered: MutableMapping[tuple[FileKey, str], Proposal | None] = field(default_factory=dict)


class Pass(Protocol):
    """One pass. ``schema`` says what rules may tell it."""

    @property
    def schema(self) -> PassSchema:
        """Name, verb and options."""
        ...

    def concerns(self, record: FileRecord) -> bool:
        """Whether the pass could do anything to such a file: a rule without globs selects files that it can't."""
        ...

    def propose(self, context: Context) -> Iterable[Proposal]:
        """Look at the stack and propose. Reads, never writes; the same context gives the same proposals."""
        ...
