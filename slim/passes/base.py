"""The seam between the planner and the passes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Protocol

from slim.analysis import ReadFile
from slim.analysis.facts import Facts
from slim.config.settings import LayerSettings
from slim.model.finding import Evidence, Finding
from slim.model.gpu_target import GpuSettings
from slim.model.plan import SkipReason
from slim.model.recipe import Recipe
from slim.model.record import FileKey, FileRecord, Inventory
from slim.model.rule import OptionValue, PassSchema, Rule
from slim.model.stack import Stack


@dataclass(frozen=True, slots=True, kw_only=True)
class Editor:
    """Row of the table of editors, which carry out the rewrites that plans ask for.

    ``name`` is what an ``EditSpec`` refers to. ``edit`` makes the recipe of the new content from
    the bytes of the file and the options of the ``EditSpec``; it raises SlimError where it can't.
    ``oracle`` names what judges each edit before it is published: a key of
    :data:`slim.verification.oracles.ORACLES`. ``suits`` tells whether a file is of the kind that it
    edits, for ``slim verify``, which sees edited files and doesn't know the editor.
    """

    name: str
    edit: Callable[[memoryview, Mapping[str, OptionValue]], Recipe]
    oracle: str
    suits: Callable[[FileRecord], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A file that a rule selects and that its pass declines to touch, with the reason."""

    key: FileKey
    rule: str
    reason: SkipReason
    evidence: tuple[Evidence, ...] = ()


Proposal = Finding | Refusal


@dataclass(frozen=True, kw_only=True)
class Context:
    """The whole stack, and everything else that a pass may look at.

    ``facts`` holds the stack, its inventory, its files' bytes and the graphs of the whole stack.
    ``select(pass_name, record)`` gives the enabled rules of a pass that select the record, the
    strongest first (see ``Rule.precedence``); ``selected(pass_name)`` gives every record that any
    rule selects, with those rules; ``marked`` gives those that only mark a file (plug-in folders of
    ``dylibs``); ``strongest`` gives the first rule for a file, which needn't be in the stack.
    ``rules`` are all enabled rules of all passes. ``settings(layer)`` is the configuration of a
    layer, by name. ``gone`` holds the removals decided by earlier passes. ``held`` tells whether a
    file stays whatever is proposed: its layer may not change, it is protected, or the configuration
    keeps it. ``gpu`` is what may be done to GPU code; None: nothing. ``remembered`` spares the pass
    that edits native files a second look: its answers about a file and a rule (by id) for another
    plan of the same stack. ``first_looks`` are its answers by the file alone, before other files
    had a say.
    """

    facts: Facts
    rules: tuple[Rule, ...]
    select: Callable[[str, FileRecord], tuple[Rule, ...]]
    selected: Callable[[str], Iterable[tuple[FileRecord, tuple[Rule, ...]]]] = lambda _pass: ()
    marked: Callable[[str, FileRecord], tuple[Rule, ...]] = lambda _pass, _record: ()
    strongest: Callable[[str, FileRecord], Rule | None] = lambda _pass, _record: None
    settings: Callable[[str], LayerSettings] = lambda _layer: LayerSettings()
    gone: frozenset[FileKey] = frozenset()
    held: Callable[[FileRecord], bool] = lambda _record: False
    gpu: GpuSettings | None = None
    remembered: MutableMapping[tuple[FileKey, str], Proposal | None] = field(default_factory=dict)
    first_looks: MutableMapping[tuple[FileKey, str], Proposal | None] = field(default_factory=dict)

    @property
    def stack(self) -> Stack:
        """The stack."""
        return self.facts.stack

    @property
    def inventory(self) -> Inventory:
        """Its files."""
        return self.facts.inventory

    @property
    def read(self) -> ReadFile:
        """The reader of a file's bytes."""
        return self.facts.read


class Pass(Protocol):
    """One pass. ``schema`` says when it is asked, and what rules may tell it."""

    @property
    def schema(self) -> PassSchema:
        """Name, verb and options."""
        ...

    def concerns(self, record: FileRecord) -> bool:
        """True if the pass could do anything to such a file.

        A rule without globs selects files that its pass can do nothing to.
        """
        ...

    def propose(self, context: Context) -> Iterable[Proposal]:
        """Look at the stack and propose. Reads, never writes.

        The same context gives the same proposals.
        """
        ...
