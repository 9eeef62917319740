"""``[[budget]]`` tables: TOML in, checked :class:`~slim.model.budget.Budget` out.

Every mistake is noted, and all are reported at once.
"""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from slim.errors import ConfigError
from slim.model.budget import PPM, Budget, Each, Limit, LimitKind
from slim.model.diff import Metric
from slim.model.record import FileKind
from slim.model.size import parse_size
from slim.system.toml_table import Problems, Table, did_you_mean, parse_toml, read_text, show

SCHEMA: Final = 1
FILE_KEYS: Final = ("schema", "budget")
METRICS: Final = tuple(metric.value for metric in Metric)
BUDGET_KEYS: Final = ("name", "layer", "platform", "owner", "category", "each", *METRICS)

PLATFORMS: Final = (
    "linux_x86_64",
    "linux_aarch64",
    "macosx_arm64",
    "macosx_x86_64",
    "win_amd64",
    "win_arm64",
)
"""The target platforms of venvstacks. A selector that is none of them is a typing mistake."""

_SHARE: Final = re.compile(r"(?P<number>[0-9]{1,4}(?:\.[0-9]{1,4})?)\s*%", re.ASCII)
_COUNT: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_GLOB: Final = re.compile(r"[^\x00-\x1f/\\]{1,200}\Z")
_HEADER: Final = re.compile(
    r"\s*\[\[\s*(?:\"?tool\"?\s*\.\s*\"?slim\"?\s*\.\s*)?\"?budget\"?\s*\]\]"
)


def read_budget_file(file: Path) -> tuple[Budget, ...]:
    """Read the budgets of a file of its own: ``schema = 1`` and ``[[budget]]`` tables.

    Raises :class:`ConfigError` with everything that is wrong, and
    :class:`~slim.errors.StorageError` where the file can't be read.
    """
    text = read_text(file)
    problems = Problems(str(file))
    values = parse_toml(text, problems)
    budgets: tuple[Budget, ...] = ()
    if values is not None:
        table = Table(values, "", problems)
        table.allow(FILE_KEYS)
        table.schema(SCHEMA)
        budgets = read_budgets(table, text)
    if problems.found:
        raise ConfigError.from_problems(problems.found)
    return budgets


def is_budget_file(file: Path) -> bool:
    """Return whether a file has budgets and no rules.

    One that isn't TOML isn't a budget file, so that the next reader reports it.
    """
    values = parse_toml(read_text(file), Problems(str(file)))
    return values is not None and "budget" in values and "rule" not in values


def read_budgets(table: Table, text: str) -> tuple[Budget, ...]:
    """Read the ``[[budget]]`` tables of a file.

    ``text`` is the whole file, to tell on which line each begins.
    """
    inner = table.tables("budget")
    lines = [
        number for number, line in enumerate(text.splitlines(), start=1) if _HEADER.match(line)
    ]
    known = lines if len(lines) == len(inner) else [None] * len(inner)
    budgets = [
        _budget(written, index, line)
        for index, (written, line) in enumerate(zip(inner, known, strict=True))
    ]
    names: set[str] = set()
    for written, budget in zip(inner, budgets, strict=True):
        if budget.name in names:
            written.note(
                "name",
                f"{budget.name[:80]!r} is the name of an earlier budget",
                "names tell budgets apart",
            )
        names.add(budget.name)
    return tuple(budgets)


def parse_limit(metric: Metric, text: str) -> Limit:
    """Read one limit: ``42 MB``, ``40 MiB``, ``+1 MB``, ``+2%``.

    Limits of files are written ``12000``, ``+100``, ``+2%``; those of updates are sizes only.
    Raises :class:`ValueError` with a message for people.
    """
    body = text.strip()
    grows = body.startswith("+")
    if grows and metric is Metric.UPDATE:
        raise ValueError(
            f"{text[:80]!r}: an update is what is new since the baseline; "
            "write a size such as '5 MB'"
        )
    rest = body[1:].strip() if grows else body
    share = _SHARE.fullmatch(rest)
    if share is not None:
        if not grows:
            raise ValueError(
                f"{text[:80]!r}: a percentage is growth against a baseline; write '+{rest}'"
            )
        value = int(Decimal(share["number"]) * PPM / 100)
        return Limit(metric=metric, kind=LimitKind.GROWTH_SHARE, value=value, text=body)
    if metric is Metric.FILES:
        if not _COUNT.fullmatch(rest):
            raise ValueError(f"{text[:80]!r} isn't a number of files; write 12000, '+100' or '+2%'")
        value = int(rest)
    else:
        try:
            value = parse_size(rest[:80])
        except ValueError:
            raise ValueError(
                f"{text[:80]!r} isn't a size; write '42 MB', '40 MiB', "
                "or growth such as '+1 MB' or '+2%'"
            ) from None
    return Limit(
        metric=metric,
        kind=LimitKind.GROWTH if grows else LimitKind.ABSOLUTE,
        value=value,
        text=body,
    )


def _budget(table: Table, index: int, line: int | None) -> Budget:
    table.allow(BUDGET_KEYS)
    limits = tuple(limit for metric in Metric for limit in _limits(table, metric))
    each = table.text("each", choices=tuple(item.value for item in Each))
    budget = Budget(
        name="",
        limits=limits,
        layers=_globs(table, "layer"),
        platforms=_platforms(table),
        owners=tuple(_normalised(name) for name in _globs(table, "owner")),
        categories=_categories(table),
        each=Each(each) if each else None,
        origin=table.problems.file,
        place=table.place,
        line=line,
    )
    if not limits and not any(metric in table.values for metric in METRICS):
        table.problems.add(table.place, "no limit", f"give one of {', '.join(METRICS)}")
    whole = [
        metric
        for metric in (Metric.ARCHIVE, Metric.UPDATE)
        if any(limit.metric is metric for limit in limits)
    ]
    for metric in whole if budget.splits_layers else ():
        hint = "archive bytes are those of whole layers; use unpacked or deployed"
        table.note(metric.value, f"an owner or a category has no {metric.value} size", hint)
    name = table.text("name")
    return replace(budget, name=name or _derived(budget, index))


def _derived(budget: Budget, index: int) -> str:
    """Make a name of a budget's selectors, for one that has none."""
    parts = [
        *([f"each {budget.each.value}"] if budget.each else []),
        *(f"layer {glob}" for glob in budget.layers),
        *(f"platform {glob}" for glob in budget.platforms),
        *(f"owner {glob}" for glob in budget.owners),
        *(f"category {name}" for name in budget.categories),
    ]
    return ", ".join(parts) or ("total" if index == 0 else f"total ({index + 1})")


def _limits(table: Table, metric: Metric) -> list[Limit]:
    value: object = table.values.get(metric.value)
    if value is None:
        return []
    items = value if isinstance(value, list) else [value]
    found: list[Limit] = []
    for position, item in enumerate(items):
        place = f"{metric.value}[{position}]" if isinstance(value, list) else metric.value
        if type(item) is int and item >= 0:
            item = str(item)
        if not isinstance(item, str):
            table.note(place, f"expected a limit such as '42 MB' or '+2%', not {show(item)}")
            continue
        try:
            limit = parse_limit(metric, item)
        except ValueError as error:
            table.note(place, str(error))
            continue
        if any(other.kind is limit.kind for other in found):
            table.note(place, "a second limit of the same kind")
        found.append(limit)
    if not items:
        table.note(metric.value, "is empty")
    return found


def _texts(table: Table, key: str) -> tuple[str, ...]:
    """Read one string, or an array of them that isn't empty."""
    found = table.text_or_texts(key)
    if table.values.get(key) == []:
        table.note(key, "is empty", "leave it out to select everything")
    return found


def _globs(table: Table, key: str) -> tuple[str, ...]:
    found = _texts(table, key)
    for text in found:
        if not _GLOB.match(text):
            table.note(key, f"{text[:80]!r} isn't a name or a glob of names")
    return found


def _platforms(table: Table) -> tuple[str, ...]:
    found = _globs(table, "platform")
    for text in found:
        if text != "unknown" and not any(fnmatchcase(tag, text) for tag in PLATFORMS):
            table.note("platform", f"{text[:80]!r} is none of {', '.join(PLATFORMS)}")
    return found


def _categories(table: Table) -> tuple[str, ...]:
    found = _texts(table, "category")
    known = [kind.value for kind in FileKind]
    for text in found:
        if text not in known:
            hint = did_you_mean(text, known) or f"categories are {', '.join(known)}"
            table.note("category", f"there is no category {text[:80]!r}", hint)
    return found


def _normalised(name: str) -> str:
    """Normalise the name of a distribution (PEP 503); globs stay globs."""
    return name if name.startswith("(") else re.sub(r"[-_.]+", "-", name).lower()
