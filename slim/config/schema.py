"""The keys of a configuration file, read into frozen types."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from packaging.utils import canonicalize_name

from slim.model.budget import Budget
from slim.model.limits import Limits
from slim.model.rule import Safety
from slim.model.settings import (
    MIN_MEMORY,
    BytecodePolicy,
    DropSpec,
    LayerOverrides,
    Level,
    merge_drops,
)
from slim.model.size import parse_size
from slim.model.verify import VerifySettings
from slim.rules.glob import GlobError, compile_glob
from slim.rules.loader import SAFETIES
from slim.rules.tables import Table, show

SCHEMA: Final = 1
KEYS: Final = (
    "schema",
    "profile",
    "packs",
    "enable",
    "disable",
    "keep",
    "drop",
    "format",
    "bytecode",
    "strict",
    "jobs",
    "level",
    "memory",
    "xz_arm64",
    "limits",
    "layer",
    "rule",
    "budget",
    "verify",
)
LAYER_KEYS: Final = ("profile", "keep", "enable", "disable", "drop", "bytecode", "skip")
MAX_JOBS: Final = 256

_SIZES: Final = frozenset({"total", "ratio_floor", "xz_memory", "zstd_window", "metadata_file"})
_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSettings:
    """A configuration file as written, before the command line and the rule packs. None: not said."""

    profile: Safety | None = None
    packs: tuple[str, ...] = ()
    enable: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    drop: tuple[DropSpec, ...] = ()
    format: str | None = None
    bytecode: BytecodePolicy | None = None
    strict: bool = False
    jobs: int | None = None
    level: Level | None = None
    memory: int | None = None
    xz_arm64: bool | None = None
    limits: Limits = field(default_factory=Limits)
    layers: dict[str, LayerOverrides] = field(default_factory=dict)
    verify: VerifySettings = field(default_factory=VerifySettings)
    budgets: tuple[Budget, ...] = ()


def read_settings(table: Table, formats: Collection[str]) -> FileSettings:
    """Read everything but the ``[[rule]]`` and ``[[budget]]`` tables.

    ``formats`` are the output formats to choose from; empty: any.
    """
    table.allow(KEYS)
    table.schema(SCHEMA)
    return FileSettings(
        profile=_profile(table),
        packs=table.texts("packs"),
        enable=table.texts("enable"),
        disable=_disable(table),
        keep=table.texts("keep", check=keep_problem),
        drop=_drops(table),
        format=table.text("format", choices=tuple(formats)),
        bytecode=_bytecode(table),
        strict=table.flag("strict") or False,
        jobs=table.number("jobs", minimum=1, maximum=MAX_JOBS),
        level=_level(table),
        memory=_memory(table),
        xz_arm64=table.flag("xz_arm64"),
        limits=_limits(table),
        layers=_layers(table),
    )


def keep_problem(text: str) -> str | None:
    """What is wrong with a glob of files to keep, or None."""
    try:
        compile_glob(text)
    except GlobError as error:
        return f"{error}: {text[:80]!r}"
    return None


def parse_distribution(text: str) -> str:
    """Normalise a distribution's name (PEP 503). Raises :class:`ValueError` where it isn't one."""
    if not _NAME.match(text):
        raise ValueError(f"{text[:80]!r} isn't the name of a distribution")
    return canonicalize_name(text)


def _profile(table: Table) -> Safety | None:
    word = table.text("profile", choices=tuple(SAFETIES))
    return None if word is None else SAFETIES[word]


def _bytecode(table: Table) -> BytecodePolicy | None:
    word = table.text("bytecode", choices=tuple(policy.value for policy in BytecodePolicy))
    return None if word is None else BytecodePolicy(word)


def _level(table: Table) -> Level | None:
    word = table.text("level", choices=tuple(level.value for level in Level))
    return None if word is None else Level(word)


def _memory(table: Table) -> int | None:
    size = _size(table, "memory")
    problem = None if size is None else memory_problem(size)
    if problem is None:
        return size
    table.note("memory", problem)
    return None


def memory_problem(size: int) -> str | None:
    """What is wrong with a memory budget of so many bytes, or None."""
    return f"must be at least {MIN_MEMORY // 1_000_000} MB" if size < MIN_MEMORY else None


def _disable(table: Table) -> tuple[str, ...]:
    disabled = table.texts("disable")
    for rule_id in table.strings("enable"):
        if rule_id in disabled:
            table.note("disable", f"{rule_id[:80]!r} is enabled as well")
    return disabled


def _drops(table: Table) -> tuple[DropSpec, ...]:
    value = table.values.get("drop")
    if value is None:
        return ()
    if not isinstance(value, list):
        table.note("drop", f"expected an array, not {show(value)}")
        return ()
    drops: list[DropSpec] = []
    for index, item in enumerate(value):
        place = f"drop[{index}]"
        if isinstance(item, str):
            inner = Table({"name": item}, table.at(place), table.problems)
        elif isinstance(item, dict):
            inner = Table(item, table.at(place), table.problems)
        else:
            table.note(
                place, f"expected a name or {{name = ..., despite = [...]}}, not {show(item)}"
            )
            continue
        drop = _drop(inner)
        if drop is not None and any(drop.name == other.name for other in drops):
            table.note(place, f"{drop.name!r} is listed twice")
        elif drop is not None:
            drops.append(drop)
    return merge_drops(drops)


def _drop(table: Table) -> DropSpec | None:
    table.allow(("name", "despite"))
    name = table.text("name", required=True)
    despite = table.texts("despite", check=_distribution_problem)
    if name is None:
        return None
    try:
        return DropSpec(
            name=parse_distribution(name), despite=frozenset(map(parse_distribution, despite))
        )
    except ValueError as error:
        table.note("name", str(error))
        return None


def _distribution_problem(text: str) -> str | None:
    try:
        parse_distribution(text)
    except ValueError as error:
        return str(error)
    return None


def _limits(table: Table) -> Limits:
    inner = table.table("limits")
    if inner is None:
        return Limits()
    names = tuple(item.name for item in dataclasses.fields(Limits))
    inner.allow(names)
    values: dict[str, int] = {}
    for name in names:
        value = _size(inner, name) if name in _SIZES else inner.number(name, minimum=1)
        if value is not None:
            values[name] = value
    return dataclasses.replace(Limits(), **values)


def _size(table: Table, key: str) -> int | None:
    """Bytes, as a number or in words such as ``"64 MiB"``."""
    value = table.values.get(key)
    if not isinstance(value, str):
        return table.number(key, minimum=1)
    try:
        size = parse_size(value[:80])
    except ValueError as error:
        table.note(key, str(error))
        return None
    if size < 1:
        table.note(key, "must be at least one byte")
        return None
    return size


def _layers(table: Table) -> dict[str, LayerOverrides]:
    outer = table.table("layer")
    layers: dict[str, LayerOverrides] = {}
    for name in () if outer is None else outer.values:
        inner = outer.table(name) if outer is not None else None
        if inner is None:
            continue
        inner.allow(LAYER_KEYS)
        layers[name] = LayerOverrides(
            profile=_profile(inner),
            keep=inner.texts("keep", check=keep_problem),
            enable=frozenset(inner.texts("enable")),
            disable=frozenset(_disable(inner)),
            drop=_drops(inner),
            bytecode=_bytecode(inner),
            skip=inner.flag("skip") or False,
        )
    return layers
