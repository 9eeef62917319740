"""The table of settings: each is one field, with its type, default, kind, option and meaning.

From it follow the keys of a configuration file and how they are read, how file, layers and command
line are put together, the command line's options, and the tables of docs/configuration.md. A new
setting is a field here, and its use.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from slim.config.kinds import (
    Drops,
    Flag,
    Globs,
    Kind,
    LateChoices,
    ModuleNames,
    Number,
    RuleIds,
    Size,
    Word,
)
from slim.model.context import RunContext
from slim.model.gpu_target import GpuSettings
from slim.model.guided import GuidedSettings
from slim.model.limits import Limits
from slim.model.progress import Progress
from slim.model.rule import Safety
from slim.model.settings import (
    MIN_MEMORY,
    BytecodePolicy,
    DropSpec,
    Effort,
    Level,
    RestPolicy,
)
from slim.model.trace import TraceSettings
from slim.model.verify import VerifySettings
from slim.system.cpus import available_cpus

if TYPE_CHECKING:
    from slim.model.budget import Budget
    from slim.model.rule import Choice, Rule, RulePack
    from slim.model.stack import Layer

Stated = Mapping[str, Any]
"""Values by setting, as one source states them. A setting that isn't there isn't stated."""

MAX_JOBS: Final = 256
_KEY: Final = "setting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A setting, as far as its field's type and default don't tell.

    ``help`` and ``metavar`` are those of its command-line option; without ``help`` there is none.
    ``meaning`` and ``layer_meaning`` (Markdown) are its rows in the documentation: for the whole
    stack and for one layer; ``{choices}`` in the former stands for the words that it takes.
    ``unset`` says what holds where the default is None.
    """

    kind: Kind[Any]
    help: str = ""
    metavar: str | None = None
    meaning: str = ""
    layer_meaning: str = ""
    unset: str = ""


def setting(kind: Kind[Any], **about: str) -> Mapping[str, Setting]:
    """Make the metadata of a field that is a setting; see :class:`Setting`."""
    return {_KEY: Setting(kind=kind, **about)}


def _formats() -> Mapping[str, str]:
    from slim.formats import FORMATS  # late: the command line declares its options

    return {known.name: known.name for known in FORMATS}


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSettings:
    """Settings of what may go: for the whole stack, and for a layer where its table differs."""

    profile: Safety = field(
        default=Safety.STANDARD,
        metadata=setting(
            Word({level.label: level for level in Safety}),
            help="How far to go. [default: standard]",
            meaning="how far to go: `safe`, `standard` or `aggressive`; or `guided` by traces of "
            "what the product uses ([Guided](guided.md))",
            layer_meaning="the profile for this layer",
        ),
    )
    enable: frozenset[str] = field(
        default=frozenset(),
        metadata=setting(
            RuleIds(undoes="disable"),
            help="Apply this rule though the profile doesn't. Repeatable.",
            metavar="RULE",
            meaning="rules to apply though the profile doesn't",
            layer_meaning="rules to apply in this layer, whatever `disable` of the stack says",
        ),
    )
    disable: frozenset[str] = field(
        default=frozenset(),
        metadata=setting(
            RuleIds(undoes="enable"),
            help="Don't apply this rule. Repeatable.",
            metavar="RULE",
            meaning="rules not to apply",
            layer_meaning="rules not to apply in this layer, whatever `enable` of the stack says",
        ),
    )
    keep: tuple[str, ...] = field(
        default=(),
        metadata=setting(
            Globs(),
            help="Files to leave alone, whatever the rules say. Repeatable.",
            metavar="GLOB",
            meaning="globs of files to leave alone, relative to a layer",
            layer_meaning="more files to leave alone",
        ),
    )
    drop: tuple[DropSpec, ...] = field(
        default=(),
        metadata=setting(
            Drops(),
            help="A whole distribution to remove; NAME:IMPORTER,... although those import it. "
            "Repeatable.",
            metavar="NAME",
            meaning='whole distributions to remove: a name, or `{name = "x", despite = ["y"]}` '
            "although y imports it, or opens its libraries",
            layer_meaning="distributions to remove from this layer",
        ),
    )
    provided: tuple[str, ...] = field(
        default=(),
        metadata=setting(
            ModuleNames(),
            help="A module that is there at run time though no layer has it, such as one that "
            "users install later. Repeatable.",
            metavar="MODULE",
            meaning="top-level modules that are there at run time though no layer has them: users "
            "install them later, or `PYTHONPATH` leads to them "
            "([Modules that can't be imported](unimportable.md))",
            layer_meaning="more such modules, for this layer",
        ),
    )
    bytecode: BytecodePolicy | None = field(
        default=None,
        metadata=setting(
            Word({policy.value: policy for policy in BytecodePolicy}),
            help="Shipped bytecode: none of it stays, all that loads, or one file a source;"
            " traced: none, and what traced runs imported is compiled at install. "
            "[default: none where a post-install step compiles it again, else one]",
            meaning="shipped bytecode: `none` of it stays, `keep` all that the layer's Python can "
            "load, or `one` file a source; `traced` ships none and compiles at install only what "
            "traced runs imported ([Guided](guided.md#bytecode-for-what-is-used))",
            unset="`none` in archives whose `postinstall.py` compiles, else `one`",
            layer_meaning="shipped bytecode of this layer",
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSettings(RuleSettings):
    """The settings of one layer, after merging."""

    skip: bool = field(
        default=False,
        metadata=setting(Flag(), layer_meaning="`true`: the layer is carried over byte for byte"),
    )

    def applies(self, rule: Rule) -> bool:
        """Return whether a rule is switched on: by the profile or by name, and not disabled."""
        if self.skip or rule.id in self.disable:
            return False
        return self.profile.applies(rule.safety) or rule.id in self.enable or bool(rule.choose)


@dataclass(frozen=True, kw_only=True)
class Config(RuleSettings):
    """The whole configuration, after files and command line have been merged.

    ``packs`` are all rule packs, built-in ones first, the user's own ``[[rule]]`` tables last.
    ``layers`` is what ``[layer.NAME]`` states, and the command line doesn't state otherwise.
    ``budgets`` are what ``slim check`` holds a stack against, ``verify`` is what is tried on a
    deployed stack, ``trace`` what is recorded beside its commands. ``guided`` are traces of what
    the product uses, ``choose`` what the user keeps, ``gpu`` what may be done to GPU code (None:
    nothing). ``origin`` is the file it was read from; ``files`` are all that were read for it.
    """

    format: str | None = field(
        default=None,
        metadata=setting(
            Word(LateChoices(_formats)),
            help="Format of the new archives. [default: that of the old ones]",
            meaning="format of the new archives: {choices}",
            unset="as the input",
        ),
    )
    strict: bool = field(
        default=False,
        metadata=setting(
            Flag(),
            help="Fail where a rule of yours or a --drop matches nothing.",
            meaning="fail where a rule of yours or a `drop` matches nothing",
        ),
    )
    embedded: bool = field(
        default=True,
        metadata=setting(
            Flag(),
            help="No program outside of the stack starts Python through libpython: an unused one "
            "may go.",
            meaning="whether a program outside of the stack may start Python through libpython, "
            "as a launcher or an app bundle does; `false` lets an unused libpython go",
        ),
    )
    strict_evidence: bool = field(
        default=False,
        metadata=setting(
            Flag(),
            help="Leave out built-in rules for packages where the version wasn't tried.",
            meaning="leave out built-in rules for packages where the installed version isn't one "
            "that the rule [was tried on](field.md)",
        ),
    )
    jobs: int | None = field(
        default=None,
        metadata=setting(
            Number(1, MAX_JOBS),
            help="Worker threads. [default: one a processor]",
            metavar="N",
            meaning="worker threads; never changes a byte of the result",
            unset="one a processor",
        ),
    )
    cache: bool = field(
        default=True,
        metadata=setting(
            Flag(),
            help="Don't remember readings of files from one run to the next.",
            meaning="whether readings of files are remembered by content in your cache "
            "folder ([Cache](cache.md)); never changes a byte of the result",
        ),
    )
    level: Level = field(
        default=Level.DEFAULT,
        metadata=setting(
            Word({level.value: level for level in Level}),
            help="How hard to compress: fast, default or max. [default: default]",
            meaning="how hard to compress: `fast`, `default` or `max` ([Archives](archives.md))",
        ),
    )
    memory: int | None = field(
        default=None,
        metadata=setting(
            Size(MIN_MEMORY),
            help="Budget for memory, such as 2GB. "
            "[default: a quarter of the machine's, at least 2 GB]",
            metavar="SIZE",
            meaning='budget for memory, at least `"512 MB"`: decides how many encoders run at a '
            "time, and where it is too small for one of the usual size, how far back it looks",
            unset="see below",
        ),
    )
    xz_arm64: bool = field(
        default=False,
        metadata=setting(
            Flag(),
            help="Use the ARM64 filter of xz, which tools from before 2023 can't read.",
            meaning="use the ARM64 filter of xz: smaller, but tools from before 2023 can't read it",
        ),
    )
    guard: bool | None = field(
        default=None,
        metadata=setting(
            Word({"on": True, "off": False}),
            help="Whether layers that lose modules say so when one is imported. "
            "[default: on in the profile guided, else off]",
            meaning="whether layers that lose modules get a guard, which says so when one of "
            "them is imported: `on` or `off` ([Guard](guard.md))",
            unset="`on` in the profile `guided`, else `off`",
        ),
    )
    rest_pack: RestPolicy | None = field(
        default=None,
        metadata=setting(
            Word({policy.value: policy for policy in RestPolicy}),
            help="An archive for each layer, beside the set, of what was taken from it: none, all, "
            "or what goes beyond the profile standard (inferred). "
            "[default: inferred in the profile guided, else none]",
            meaning="an archive for each layer, in the folder `rest` of the set, of what was taken "
            "from it: `none`, `inferred` (what goes beyond the profile `standard`) or `all` "
            "([Rest packs](guard.md#rest-packs))",
            unset="`inferred` in the profile `guided`, else `none`",
        ),
    )
    packs: tuple[RulePack, ...] = ()
    limits: Limits = field(default_factory=Limits)
    layers: Mapping[str, Stated] = field(default_factory=dict)
    budgets: tuple[Budget, ...] = ()
    verify: VerifySettings = field(default_factory=VerifySettings)
    trace: TraceSettings = field(default_factory=TraceSettings)
    guided: GuidedSettings = field(default_factory=GuidedSettings)
    choose: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    gpu: GpuSettings | None = None
    origin: str | None = None
    files: tuple[Path, ...] = ()

    @property
    def workers(self) -> int:
        """Threads that read and compress; never influences a byte of the result."""
        return self.jobs or available_cpus()

    def context(self, spool_dir: Path, progress: Progress) -> RunContext:
        """The arguments that travel through a command. ``spool_dir`` has to outlive them."""
        from slim.system.remembered import cache_folder  # late: completing options needs none of it

        return RunContext(
            spool_dir=spool_dir,
            limits=self.limits,
            workers=self.workers,
            cache=cache_folder() if self.cache else None,
            progress=progress,
        )

    @property
    def is_guided(self) -> bool:
        """True if the profile ``guided`` is that of the stack or of any layer."""
        tables = self.layers.values()
        profiles = [self.profile, *(table.get("profile") for table in tables)]
        return Safety.GUIDED in profiles

    @property
    def has_guard(self) -> bool:
        """True if layers that lose modules get a guard."""
        return self.is_guided if self.guard is None else self.guard

    @property
    def rest_packs(self) -> RestPolicy:
        """Policy for rest packs, as far as the stack's kind allows any."""
        if self.rest_pack is None:
            return RestPolicy.INFERRED if self.is_guided else RestPolicy.NONE
        return self.rest_pack

    @property
    def effort(self) -> Effort:
        """Limits of what writing archives may cost."""
        return Effort(level=self.level, memory=self.memory, xz_arm64=self.xz_arm64)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Every rule of every pack, whether it is switched on or not."""
        return tuple(rule for pack in self.packs for rule in pack.rules)

    def settings_for(self, layer_name: str) -> LayerSettings:
        """Merge the stack's settings with those of a layer."""
        whole = {name: getattr(self, name) for name in RULE_SETTINGS}
        return LayerSettings(**merged(whole, self.layers.get(layer_name, {})))

    def rules_for(self, layer: Layer) -> tuple[Rule, ...]:
        """Return the rules that are switched on for a layer.

        Whether they match its kind and platform is asked later. A rule that serves a choice is on
        where the user made it.
        """
        settings = self.settings_for(layer.name)
        return tuple(
            rule
            for rule in self.rules
            if settings.applies(rule) and (not rule.choose or rule.choose in self.choose)
        )

    @property
    def choices(self) -> Mapping[str, Choice]:
        """The choices that packs know, by name."""
        return {choice.name: choice for pack in self.packs for choice in pack.choices}

    def unknown_layers(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the layers that are configured and aren't among ``names``, sorted."""
        return tuple(sorted(self.layers.keys() - set(names)))


def settings_of(kind: type[RuleSettings]) -> Mapping[str, Setting]:
    """Return the settings among the fields of a class, by name, in order."""
    return MappingProxyType(
        {
            known.name: known.metadata[_KEY]
            for known in dataclasses.fields(kind)
            if _KEY in known.metadata
        }
    )


RULE_SETTINGS: Final = settings_of(RuleSettings)
"""Settings that both the whole stack and a layer have."""
STACK_SETTINGS: Final = settings_of(Config)
LAYER_SETTINGS: Final = settings_of(LayerSettings)
SETTINGS: Final[Mapping[str, Setting]] = MappingProxyType({**STACK_SETTINGS, **LAYER_SETTINGS})


def option_name(name: str) -> str:
    """Return a setting's option on the command line: ``--no-NAME`` for what is on by default."""
    return ("--no-" if is_on(name) else "--") + name.replace("_", "-")


def is_on(name: str) -> bool:
    """Return whether a setting is a flag of the whole stack that is true unless stated."""
    return name in STACK_SETTINGS and getattr(Config, name, None) is True


def merged(lower: Stated, upper: Stated) -> dict[str, Any]:
    """Put one source over another: it replaces what the lower one states, and adds to its lists.

    A rule that the upper source enables isn't disabled by the lower one any more, and the reverse.
    """
    result = dict(lower)
    for name, value in upper.items():
        kind = SETTINGS[name].kind
        result[name] = kind.combine(result[name], value) if name in result else value
        if kind.undoes in result:
            result[kind.undoes] = frozenset(result[kind.undoes]).difference(value)
    return result


def overruled(stated: Stated, upper: Stated) -> dict[str, Any]:
    """Return what is left of a layer's table under a source that holds for all layers.

    That source states its own value of a setting for the whole stack; only lists still add to it.
    """
    result = {
        name: value
        for name, value in stated.items()
        if name not in upper or SETTINGS[name].kind.adds_up
    }
    for name, value in upper.items():
        undone = SETTINGS[name].kind.undoes
        if undone in result:
            result[undone] = frozenset(result[undone]).difference(value)
    return result
