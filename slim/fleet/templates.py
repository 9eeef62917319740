"""Names with fields in braces, such as ``slimmed/{release}/{stack}``."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from slim.system.toml_table import did_you_mean

_FIELD = re.compile(r"\{([^{}]*)\}")
_UNSAFE = re.compile(r"[\x00-\x1f/\\:*?\"<>|]|\A[.~-]|[. ]\Z")
_DIGITS = re.compile(r"(\d+)")


def fields_of(template: str) -> list[str]:
    """Return the names of the fields, in their order."""
    return _FIELD.findall(template)


def template_problem(template: str, known: Collection[str]) -> tuple[str, str | None] | None:
    """Return what is wrong with a template, and a hint; None where nothing is."""
    for name in fields_of(template):
        if name not in known:
            shown = ", ".join(f"{{{field}}}" for field in known)
            hint = did_you_mean(name, known) or f"fields are {shown}"
            return f"there is no field {{{name[:80]}}}", hint
    if "{" in _FIELD.sub("", template) or "}" in _FIELD.sub("", template):
        return "a brace that isn't part of a field", None
    return None


def filled(template: str, values: Mapping[str, str]) -> str:
    """Return the template with its fields replaced; fields that ``values`` lack stay."""
    return _FIELD.sub(lambda match: values.get(match[1], match[0]), template)


def name_problem(name: str) -> str | None:
    """Return what is wrong with a name that becomes part of paths, or None."""
    if not name or len(name) > 150 or _UNSAFE.search(name):
        return f"{name[:80]!r} can't be part of a path on every system"
    return None


def natural_order(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a key that sorts numbers in names by their value: ``1.9`` before ``1.10``."""
    return tuple(
        (1, int(part), "") if part.isdecimal() else (0, 0, part)
        for part in _DIGITS.split(name)
        if part
    )
