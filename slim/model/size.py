"""Bytes for people: decimal units, as shops, disks and package indexes count them."""

from __future__ import annotations

import re
from decimal import Decimal

_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB")
_FACTORS = {
    "": 1,
    "b": 1,
    **{unit.lower(): 1000**power for power, unit in enumerate(_DECIMAL) if power},
    **{
        unit: 1024**power for power, unit in enumerate(("kib", "mib", "gib", "tib", "pib"), start=1)
    },
}
_SIZE = re.compile(r"(?P<number>[0-9]{1,18}(?:\.[0-9]{1,9})?)\s*(?P<unit>[A-Za-z]{0,3})", re.ASCII)


def format_size(size: int) -> str:
    """Write ``size`` (bytes, may be negative) with one decimal: ``33.5 MB``, ``999 B``.

    The unit is the largest that leaves at least one unit after rounding, so ``999_960`` is ``1.0
    MB``.
    """
    sign = "-" if size < 0 else ""
    rest = abs(size)
    if rest < 1000:
        return f"{sign}{rest} B"
    unit, scaled = "", 0
    for power, name in enumerate(_DECIMAL):
        if power == 0:
            continue
        unit = name
        scaled = (rest * 10 + 1000**power // 2) // 1000**power  # tenths of a unit, rounded half up
        if scaled < 10_000:
            break
    return f"{sign}{scaled // 10}.{scaled % 10} {unit}"


def parse_size(text: str) -> int:
    """Read ``40 MB``, ``40MB``, ``1.5 GiB``, ``512 kB`` or a plain number of bytes.

    Case doesn't matter. The result is bytes, rounded down. Raises :class:`ValueError` with a
    message for people.
    """
    match = _SIZE.fullmatch(text.strip())
    factor = _FACTORS.get(match["unit"].lower()) if match else None
    if match is None or factor is None:
        raise ValueError(
            f"{text!r} isn't a size; write a number with a unit, such as '40 MB' or '1.5 GiB'"
        )
    return int(Decimal(match["number"]) * factor)
