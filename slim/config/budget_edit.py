"""Writing budgets: new limits in a TOML file, whose comments and layout stay."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any, Final

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AbstractTable, Array

from slim.errors import ConfigError
from slim.model.budget import PPM, Budget, LimitResult, Status, Verdict
from slim.model.diff import Metric, Snapshot

DEFAULT_HEADROOM: Final = 2 * PPM // 100
_UNIT: Final = re.compile(r"[0-9.\s]+(?P<unit>[A-Za-z]*)\s*\Z")
_DIGITS: Final = 3
_SMALLEST: Final = 10
"""A size below one part in so many of a unit is written in a smaller one."""

_SCALES: Final = {
    "": 1,
    "b": 1,
    **{unit: 1000**power for power, unit in enumerate(("kb", "mb", "gb", "tb", "pb"), start=1)},
    **{
        unit: 1024**power for power, unit in enumerate(("kib", "mib", "gib", "tib", "pib"), start=1)
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitUpdate:
    """A limit, as it is written now and as it is to be written.

    ``index`` is the budget's position in the file.
    """

    index: int
    name: str
    metric: Metric
    old: str
    new: str


def updates(
    budgets: Sequence[Budget],
    verdict: Verdict,
    *,
    headroom: int = DEFAULT_HEADROOM,
    allow_raise: bool = False,
) -> list[LimitUpdate]:
    """Return the changes by which every absolute limit is today's size plus ``headroom``.

    ``headroom`` is in millionths.

    A ratchet: limits only go down, unless one is exceeded and ``allow_raise`` is given. Limits of
    growth and of updates stay: this update says nothing of the next one.
    """
    found = []
    for index, budget in enumerate(budgets):
        results = [result for result in verdict.results if result.budget is budget]
        for limit in budget.limits:
            items = [item for result in results for item in result.limits if item.limit is limit]
            actual = _largest(items)
            if limit.needs_baseline or actual is None:
                continue
            value, text = suggested(limit.metric, actual, headroom, limit.text)
            if value < limit.value or (actual > limit.value and allow_raise):
                found.append(
                    LimitUpdate(
                        index=index, name=budget.name, metric=limit.metric, old=limit.text, new=text
                    )
                )
    return found


def _largest(items: Iterable[LimitResult]) -> int | None:
    """Return the most that a limit has to allow; None where a part of it wasn't measured."""
    amounts = [item.actual for item in items if item.status is not Status.UNCHECKED]
    return max((amount for amount in amounts if amount is not None), default=None)


def suggested(metric: Metric, actual: int, headroom: int, like: str = "") -> tuple[int, str]:
    """Return a limit for ``actual`` plus headroom: its value, and how to write it.

    Rounded up to three digits, in the unit that ``like`` is written in.
    """
    wanted = actual + actual * headroom // PPM
    if metric is Metric.FILES:
        value = int(_rounded(Decimal(wanted)))
        return value, str(value)
    match = _UNIT.fullmatch(like.strip())
    unit = match["unit"] if match else ""
    scale = _SCALES.get(unit.lower())
    if not like or scale is None or 0 < wanted * _SMALLEST < scale:
        unit = next((name for name in ("GB", "MB", "kB") if wanted >= _SCALES[name.lower()]), "B")
    scale = _SCALES[unit.lower()]
    number = _rounded(Decimal(wanted) / scale)
    text = f"{number:f} {unit}".strip()
    return int(number * scale), text


def _rounded(number: Decimal) -> Decimal:
    """Round up to three significant digits; digits before the point keep their places."""
    if number <= 0:
        return Decimal(0)
    rounded = number.quantize(
        Decimal(1).scaleb(number.adjusted() - _DIGITS + 1), rounding=ROUND_CEILING
    )
    return (
        rounded.quantize(Decimal(1))
        if rounded == rounded.to_integral_value()
        else rounded.normalize()
    )


def rewritten(text: str, changes: Sequence[LimitUpdate], *, file: str, nested: bool) -> str:
    """Return the TOML file with the new limits; everything else stays, byte for byte.

    ``nested`` says that the tables are ``[[tool.slim.budget]]``. Raises :class:`ConfigError` where
    the file isn't what the changes were made for.
    """
    try:
        document = tomlkit.parse(text)
        place: Any = document["tool"]["slim"] if nested else document
        for change in changes:
            _set(place["budget"][change.index], change)
    except (TOMLKitError, LookupError, TypeError) as error:
        raise ConfigError(
            f"the budgets can't be written: {error}", file=file, hint="write them by hand"
        ) from None
    return tomlkit.dumps(document)


def _set(table: AbstractTable, change: LimitUpdate) -> None:
    key = change.metric.value
    value: Any = table[key]
    if isinstance(value, Array):
        at = next(index for index, item in enumerate(value) if str(item).strip() == change.old)
        value[at] = _like(value[at], change.new)
    else:
        table[key] = _like(value, change.new)


def _like(old: object, new: str) -> str | int:
    """Return the new limit as a number where the old one is: file counts, plain bytes."""
    return int(new) if isinstance(old, int) and new.isdecimal() else new


def starting_budgets(measured: Sequence[Snapshot], *, headroom: int, nested: bool) -> str:
    """Return ``[[budget]]`` tables for a stack without any: one for all of it, one a layer."""
    header = "[[tool.slim.budget]]" if nested else "[[budget]]"
    blocks: list[str] = []
    for snapshot in measured:
        tag = f" on {snapshot.platform}" if len(measured) > 1 else ""
        platform = {"platform": snapshot.platform} if len(measured) > 1 else {}
        archived = snapshot.archive_known and snapshot.total.archive > 0
        metrics = (
            [Metric.ARCHIVE, Metric.DEPLOYED] if archived else [Metric.UNPACKED, Metric.DEPLOYED]
        )
        total = {
            metric.value: suggested(metric, metric.of(snapshot.total), headroom)[1]
            for metric in metrics
        }
        blocks.append(_block(header, {"name": f"total{tag}", **platform, **total}))
        for layer in snapshot.layers if len(snapshot.layers) > 1 else ():
            own = metrics[0]
            limit = suggested(own, own.of(layer.footprint), headroom)[1]
            name = f"{layer.layer_name}{tag}"
            blocks.append(
                _block(
                    header, {"name": name, "layer": layer.layer_name, **platform, own.value: limit}
                )
            )
    return "\n".join(blocks)


def _block(header: str, values: dict[str, str]) -> str:
    lines = [f"{key} = {tomlkit.item(value).as_string()}" for key, value in values.items()]
    return "\n".join([header, *lines]) + "\n"
