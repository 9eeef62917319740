"""What the user asked for: the configuration after files and command line have been merged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from slim.model.budget import Budget
from slim.model.limits import Limits
from slim.model.rule import Rule, RulePack, Safety
from slim.model.stack import Layer
from slim.model.verify import VerifySettings


class BytecodePolicy(StrEnum):
    """What becomes of shipped bytecode: none of it stays, all of it, or one file a source for the layer's CPython."""

    NONE = "none"
    KEEP = "keep"
    ONE = "one"


class Level(StrEnum):
    """How hard archives are compressed."""

    FAST = "fast"
    DEFAULT = "default"
    MAX = "max"


MIN_MEMORY = 512_000_000
"""Bytes: the smallest memory budget; with less there is no room for an encoder worth its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """What writing archives may cost. ``memory`` is a budget in bytes for the whole run (None: a quarter of the
    machine's memory, and at least 2 GB; that changes no byte). ``xz_arm64`` allows the ARM64
    filter, which readers from before 2023 lack."""

    level: Level = Level.DEFAULT
    memory: int | None = None
    xz_arm64: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DropSpec:
    """A whole distribution that the user wants out, by normalised name.

    ``despite`` names the distributions (normalised) that import or require it and that shall not
    hold it.
    """

    name: str
    despite: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerOverrides:
    """A ``[layer.NAME]`` table as written. None means: as for the whole stack; lists add to the stack's."""

    profile: Safety | None = None
    keep: tuple[str, ...] = ()
    enable: frozenset[str] = frozenset()
    disable: frozenset[str] = frozenset()
    drop: tuple[DropSpec, ...] = ()
    bytecode: BytecodePolicy | None = None
    skip: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSettings:
    """What holds for one layer after merging. ``skip``: the layer is carried over byte for byte."""

    profile: Safety = Safety.STANDARD
    keep: tuple[str, ...] = ()
    enable: frozenset[str] = frozenset()
    disable: frozenset[str] = frozenset()
    drop: tuple[DropSpec, ...] = ()
    bytecode: BytecodePolicy = BytecodePolicy.NONE
    skip: bool = False

    def applies(self, rule: Rule) -> bool:
        """Whether a rule is switched on: by the profile or by name, and not disabled."""
        if self.skip or rule.id in self.disable:
            return False
        return rule.safety <= self.profile or rule.id in self.enable


@dataclass(frozen=True, kw_only=True)
class Config:
    """The whole configuration.

    ``packs`` are all rule packs, built-in ones first, the user's own ``[[rule]]`` tables last.
    ``format`` is the name of an output format, or None for that of the input; ``jobs`` the number
    of worker threads, or None for one a processor. ``budgets`` are what ``slim check`` holds a
    stack against. ``strict`` turns warnings into a refusal. ``verify`` says what is tried on a
    deployed stack. ``origin`` is the file it was read from, if any.
    """

    profile: Safety = Safety.STANDARD
    packs: tuple[RulePack, ...] = ()
    keep: tuple[str, ...] = ()
    enable: frozenset[str] = frozenset()
    disable: frozenset[str] = frozenset()
    drop: tuple[DropSpec, ...] = ()
    bytecode: BytecodePolicy = BytecodePolicy.NONE
    format: str | None = None
    strict: bool = False
    jobs: int | None = None
    effort: Effort = field(default_factory=Effort)
    limits: Limits = field(default_factory=Limits)
    layers: Mapping[str, LayerOverrides] = field(default_factory=dict)
    budgets: tuple[Budget, ...] = ()
    verify: VerifySettings = field(default_factory=VerifySettings)
    origin: str | None = None

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Every rule of every pack, whether it is switched on or not."""
        return tuple(rule for pack in self.packs for rule in pack.rules)

    def settings_for(self, layer_name: str) -> LayerSettings:
        """Merge the stack's settings with those of a layer. A layer's ``enable`` beats the stack's ``disable``."""
        own = self.layers.get(layer_name, LayerOverrides())
        return LayerSettings(
            profile=self.profile if own.profile is None else own.profile,
            keep=tuple(dict.fromkeys((*self.keep, *own.keep))),
            enable=(self.enable - own.disable) | own.enable,
            disable=(self.disable - own.enable) | own.disable,
            drop=merge_drops((*self.drop, *own.drop)),
            bytecode=self.bytecode if own.bytecode is None else own.bytecode,
            skip=own.skip,
        )

    def rules_for(self, layer: Layer) -> tuple[Rule, ...]:
        """The rules that are switched on for a layer. Whether they match its kind and platform is asked later."""
        settings = self.settings_for(layer.name)
        return tuple(rule for rule in self.rules if settings.applies(rule))

    def unknown_layers(self, names: Iterable[str]) -> tuple[str, ...]:
        """The layers that the configuration names and that aren't among ``names``, sorted."""
        return tuple(sorted(self.layers.keys() - set(names)))


def merge_drops(drops: Iterable[DropSpec]) -> tuple[DropSpec, ...]:
    """One entry a distribution, with all its exceptions, in order of first mention."""
    merged: dict[str, frozenset[str]] = {}
    for drop in drops:
        merged[drop.name] = merged.get(drop.name, frozenset()) | drop.despite
    return tuple(DropSpec(name=name, despite=despite) for name, despite in merged.items())
