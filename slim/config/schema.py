"""The keys of a configuration file, read into what the file states."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from slim.config.budget import read_budgets
from slim.config.gpu import read_gpu
from slim.config.guided import StatedGuided, read_guided
from slim.config.kinds import read_size
from slim.config.settings import LAYER_SETTINGS, STACK_SETTINGS, Setting, Stated
from slim.config.verify import read_trace, read_verify
from slim.model.budget import Budget
from slim.model.gpu_target import GpuSettings
from slim.model.limits import Limits
from slim.model.trace import TraceSettings
from slim.model.verify import VerifySettings
from slim.system.toml_table import Table

SCHEMA: Final = 1
"""Version of the format, which every file has to state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A key that isn't a setting: the version, rule files, or tables of their own.

    ``type_name``, ``default`` and ``meaning`` (Markdown) are for the documentation.
    """

    name: str
    type_name: str
    default: str
    meaning: str


PARTS: Final = (
    Part(
        name="schema",
        type_name="integer",
        default="required",
        meaning="`1`: the version of this format",
    ),
    Part(
        name="packs",
        type_name="list",
        default="none",
        meaning="rule files of your own, relative to this file ([Rules of your own](rules.md))",
    ),
    Part(
        name="limits",
        type_name="table",
        default="see below",
        meaning="how much input slim is willing to read",
    ),
    Part(
        name="choose",
        type_name="table",
        default="none",
        meaning="what to keep of many alike, such as locales ([Choices](rules.md#choices))",
    ),
    Part(
        name="gpu",
        type_name="table",
        default="none",
        meaning="which devices to keep GPU code for, and whether to compress it again "
        "([GPU code](gpu.md)); without the table none of it is touched",
    ),
    Part(
        name="layer",
        type_name="tables",
        default="none",
        meaning="`[layer.NAME]`: settings for one layer",
    ),
    Part(
        name="rule",
        type_name="tables",
        default="none",
        meaning="`[[rule]]`: rules of your own, as in a pack",
    ),
    Part(
        name="budget",
        type_name="tables",
        default="none",
        meaning="`[[budget]]`: limits for [`slim check`](budgets.md)",
    ),
    Part(
        name="guided",
        type_name="table",
        default="none",
        meaning="traces of what the product uses, and families that are closed "
        "([Guided](guided.md))",
    ),
    Part(
        name="verify",
        type_name="table",
        default="none",
        meaning="what [`slim verify`](verify.md) runs",
    ),
    Part(
        name="trace",
        type_name="table",
        default="none",
        meaning="what [`slim trace`](trace.md) runs beside the commands of `verify`",
    ),
)
KEYS: Final = (*(part.name for part in PARTS), *STACK_SETTINGS)
LAYER_KEYS: Final = tuple(LAYER_SETTINGS)
_SIZES: Final = frozenset({"total", "ratio_floor", "xz_memory", "zstd_window", "metadata_file"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSettings:
    """A configuration file as written, without its ``[[rule]]`` tables.

    ``stated`` are the settings for the whole stack, ``layers`` those of the ``[layer.NAME]``
    tables. ``packs`` are paths relative to the file.
    """

    stated: Stated = field(default_factory=dict)
    packs: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    layers: Mapping[str, Stated] = field(default_factory=dict)
    verify: VerifySettings = field(default_factory=VerifySettings)
    trace: TraceSettings = field(default_factory=TraceSettings)
    guided: StatedGuided = field(default_factory=StatedGuided)
    budgets: tuple[Budget, ...] = ()
    choose: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    gpu: GpuSettings | None = None


def read_settings(table: Table, text: str) -> FileSettings:
    """Read everything but the ``[[rule]]`` tables; every mistake is noted.

    ``text`` is the whole file, to tell on which line each budget begins.
    """
    table.allow(KEYS)
    table.schema(SCHEMA)
    verify = read_verify(table)
    return FileSettings(
        stated=_read_stated(table, STACK_SETTINGS),
        packs=table.texts("packs"),
        limits=_limits(table),
        layers=_layers(table),
        budgets=read_budgets(table, text),
        verify=verify,
        trace=read_trace(table, verify.commands),
        guided=read_guided(table),
        choose=_choose(table),
        gpu=read_gpu(table),
    )


def _choose(table: Table) -> dict[str, tuple[str, ...]]:
    inner = table.table("choose")
    if inner is None:
        return {}
    chosen = {name: inner.texts(name) for name in inner.values}
    for name, values in chosen.items():
        if isinstance(inner.values[name], list) and not values:
            inner.note(name, "choose at least one")
    return chosen


def _read_stated(table: Table, settings: Mapping[str, Setting]) -> Stated:
    stated: dict[str, Any] = {}
    for name, setting in settings.items():
        if name in table.values:
            value = setting.kind.read(table, name)
            if value is not None:
                stated[name] = value
    for rule_id in stated.get("enable", ()):
        if rule_id in stated.get("disable", ()):
            table.note("disable", f"{rule_id[:80]!r} is enabled as well")
    return stated


def _layers(table: Table) -> dict[str, Stated]:
    outer = table.table("layer")
    layers: dict[str, Stated] = {}
    for name in () if outer is None else outer.values:
        inner = outer.table(name) if outer is not None else None
        if inner is not None:
            inner.allow(LAYER_KEYS)
            layers[name] = _read_stated(inner, LAYER_SETTINGS)
    return layers


def _limits(table: Table) -> Limits:
    inner = table.table("limits")
    if inner is None:
        return Limits()
    names = tuple(known.name for known in dataclasses.fields(Limits))
    inner.allow(names)
    values: dict[str, int] = {}
    for name in names:
        value = read_size(inner, name) if name in _SIZES else inner.number(name, minimum=1)
        if value is not None:
            values[name] = value
    return dataclasses.replace(Limits(), **values)
