"""``fleet.toml``: TOML in, a checked description of a fleet out, every mistake reported at once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from slim.config.budget import PLATFORMS
from slim.config.kinds import read_size
from slim.errors import ConfigError
from slim.fleet.budgets import FleetBudget, read_budgets
from slim.fleet.places import joined
from slim.fleet.templates import fields_of, name_problem, template_problem
from slim.model.rule import Safety
from slim.system.toml_table import Problems, Table, parse_toml, read_text
from slim.system.urls import is_url

SCHEMA: Final = 1
STATE: Final = ".slim-fleet"
FIELDS: Final = ("stack", "platform", "release")
"""Fields of the template of outputs."""
DELTA_FIELDS: Final = (*FIELDS, "since")
_MEMORY: Final = 1_000_000_000
_SCRATCH: Final = 2_000_000_000
_TRIES: Final = 3
_TASK_KEYS: Final = ("config", "profile", "verify", "unverified", "memory", "scratch")
KEYS: Final = (
    "schema",
    "name",
    "output",
    "state",
    "cache",
    "scratch_folder",
    "tries",
    "platforms",
    "previous",
    *_TASK_KEYS,
    "source",
    "match",
    "deltas",
    "budget",
)
SOURCE_KEYS: Final = ("pattern", "exclude", "name", "platforms")
MATCH_KEYS: Final = ("stack", "platform", "skip", *_TASK_KEYS)
DELTA_KEYS: Final = ("output", "releases")
NO_PREVIOUS: Final = "none"
LATEST: Final = "latest"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSettings:
    """Settings of a task. ``memory`` and ``scratch`` are the bytes that it may take."""

    config: str | None = None
    profile: str | None = None
    verify: bool = False
    unverified: bool = False
    memory: int = _MEMORY
    scratch: int = _SCRATCH


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSource:
    """One ``[[source]]``: a pattern of places, and how the stacks there are called."""

    pattern: str
    exclude: tuple[str, ...] = ()
    name: str | None = None
    platforms: tuple[str, ...] = ()
    place: str = ""
    """Key path, for messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """One ``[[match]]``: settings of the tasks that its globs select. None: not stated."""

    stacks: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    skip: bool = False
    config: str | None = None
    profile: str | None = None
    verify: bool | None = None
    unverified: bool | None = None
    memory: int | None = None
    scratch: int | None = None
    place: str = ""
    """Key path, for messages."""

    def selects(self, stack: str, platform: str) -> bool:
        """Return whether it is about a stack on a platform."""
        return _any(stack, self.stacks) and _any(platform, self.platforms)

    def on(self, settings: TaskSettings) -> TaskSettings:
        """Return settings with what is stated here."""
        stated = {
            name: getattr(self, name) for name in _TASK_KEYS if getattr(self, name) is not None
        }
        return replace(settings, **stated)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaOrder:
    """``[deltas]``: update packages from the last ``releases`` releases, written to ``output``."""

    output: str
    releases: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetFile:
    """A fleet as its file describes it. Paths lead there from the current folder."""

    file: Path
    """The file."""
    name: str
    """Name of the fleet, for reports."""
    output: str
    """Template of the places that stacks are published to."""
    state: Path
    """Folder in which the fleet keeps what is done."""
    sources: tuple[FleetSource, ...]
    """Patterns of stacks."""
    cache: str | None = None
    """Path or URL of a cache of results."""
    scratch_folder: Path | None = None
    """Folder for temporary files of tasks; None: the system's."""
    tries: int = _TRIES
    """Most tries of a task."""
    platforms: tuple[str, ...] = ()
    """Globs of platforms; none: all."""
    previous: str = NO_PREVIOUS
    """``none``, ``latest``, or a template of what was published before."""
    settings: TaskSettings = field(default_factory=TaskSettings)
    """Settings of every task."""
    overrides: tuple[Override, ...] = ()
    """Settings by match, in their order."""
    deltas: DeltaOrder | None = None
    """Update packages to make."""
    budgets: tuple[FleetBudget, ...] = ()
    """Budgets of the whole fleet."""


def read_fleet_file(file: Path) -> FleetFile:
    """Read a ``fleet.toml``.

    Raises :class:`ConfigError` with everything that is wrong, and
    :class:`~slim.errors.StorageError` where the file can't be read.
    """
    text = read_text(file)
    problems = Problems(str(file))
    values = parse_toml(text, problems)
    fleet = None
    if values is not None:
        fleet = _fleet(Table(values, "", problems), file, text)
    if problems.found or fleet is None:
        raise ConfigError.from_problems(problems.found)
    return fleet


def _fleet(table: Table, file: Path, text: str) -> FleetFile:
    table.allow(KEYS)
    table.schema(SCHEMA)
    base = file.parent
    name = table.text("name") or file.resolve().parent.name
    output = _template(table, "output", FIELDS, base, required=True)
    previous = table.text("previous") or NO_PREVIOUS
    if previous not in (NO_PREVIOUS, LATEST):
        previous = _template(table, "previous", FIELDS[:2], base)
    scratch_folder, cache = table.text("scratch_folder"), table.text("cache")
    sources = tuple(_source(inner, base) for inner in table.tables("source"))
    if not table.values.get("source"):
        table.note("source", "there is no [[source]]", "each has a pattern of stacks")
    own = _override(table, base, place="")
    deltas = _deltas(table, base)
    for key, wanted in (("previous", previous == LATEST), ("deltas", deltas is not None)):
        if wanted and output and "release" not in fields_of(output):
            hint = "earlier releases are found by it"
            table.note("output", f"needs the field {{release}} for {key!r}", hint)
    return FleetFile(
        file=file,
        name=name,
        output=output,
        state=Path(joined(base, _local(table, "state") or STATE)),
        sources=sources,
        cache=None if cache is None else joined(base, cache),
        scratch_folder=None if scratch_folder is None else Path(joined(base, scratch_folder)),
        tries=table.number("tries", minimum=1, maximum=100) or _TRIES,
        platforms=_platforms(table, "platforms"),
        previous=previous,
        settings=own.on(TaskSettings()),
        overrides=tuple(_match(inner, base) for inner in table.tables("match")),
        deltas=deltas,
        budgets=read_budgets(table, text),
    )


def _local(table: Table, key: str) -> str | None:
    value = table.text(key)
    if value is not None and is_url(value):
        table.note(key, "must be a folder of this machine, not a URL")
        return None
    return value


def _source(table: Table, base: Path) -> FleetSource:
    table.allow(SOURCE_KEYS)
    pattern = table.text("pattern", required=True) or ""
    name = table.text("name")
    if name is not None:
        numbers = [f"{number}" for number in range(1, 10)]
        problem = template_problem(name, numbers)
        if problem is not None:
            table.note("name", problem[0], "{1} is what the first wildcard stands for")
        elif not fields_of(name) and (wrong := name_problem(name)):
            table.note("name", wrong)
    return FleetSource(
        pattern=joined(base, pattern) if pattern else "",
        exclude=tuple(joined(base, text) for text in table.texts("exclude")),
        name=name,
        platforms=_platforms(table, "platforms"),
        place=table.place,
    )


def _match(table: Table, base: Path) -> Override:
    table.allow(MATCH_KEYS)
    if "stack" not in table.values and "platform" not in table.values:
        table.problems.add(table.place, "selects nothing", "give stack or platform")
    override = _override(table, base, place=table.place)
    return replace(
        override,
        stacks=table.text_or_texts("stack"),
        platforms=_platforms(table, "platform"),
        skip=table.flag("skip") or False,
    )


def _override(table: Table, base: Path, *, place: str) -> Override:
    config = _local(table, "config")
    profile = table.text("profile", choices=tuple(level.label for level in Safety))
    return Override(
        config=None if config is None else joined(base, config),
        profile=profile,
        verify=table.flag("verify"),
        unverified=table.flag("unverified"),
        memory=read_size(table, "memory") if "memory" in table.values else None,
        scratch=read_size(table, "scratch") if "scratch" in table.values else None,
        place=place,
    )


def _deltas(table: Table, base: Path) -> DeltaOrder | None:
    inner = table.table("deltas")
    if inner is None:
        return None
    inner.allow(DELTA_KEYS)
    output = _template(inner, "output", DELTA_FIELDS, base, required=True)
    if output and "since" not in fields_of(output):
        inner.note("output", "needs the field {since}, the earlier release")
    count = inner.number("releases", minimum=1, maximum=100)
    return DeltaOrder(output=output, releases=count or 1)


def _template(
    table: Table, key: str, known: tuple[str, ...], base: Path, *, required: bool = False
) -> str:
    text = table.text(key, required=required)
    if text is None:
        return ""
    problem = template_problem(text, known)
    if problem is not None:
        table.note(key, *problem)
    return joined(base, text)


def _platforms(table: Table, key: str) -> tuple[str, ...]:
    found = table.text_or_texts(key)
    for text in found:
        if text != "unknown" and not any(fnmatchcase(tag, text) for tag in PLATFORMS):
            table.note(key, f"{text[:80]!r} is none of {', '.join(PLATFORMS)}")
    return found


def _any(name: str, globs: tuple[str, ...]) -> bool:
    return not globs or any(fnmatchcase(name, glob) for glob in globs)
