"""``slim.keep.toml``: files that have to stay, as verification found, ready to be committed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from slim.model.verify import Repair

_HEADER: Final = """\
# Files that have to stay: without them something of this stack stopped working.
# Written by `slim run --verify`; commit it beside slim.toml, whose runs read it. Add to it freely.
schema = 1
"""


def render_keep(found: Sequence[Repair], earlier: Mapping[str, Sequence[str]] | None = None) -> str:
    """Return the text of a ``slim.keep.toml``: globs by layer, each with what it is for.

    ``earlier`` are globs to carry over from the file that it replaces.
    """
    lines: dict[str, list[str]] = {}
    for layer, globs in (earlier or {}).items():
        lines.setdefault(layer, []).extend(f"    {_quote(glob)}," for glob in globs)
    known = {layer: set(globs) for layer, globs in (earlier or {}).items()}
    for repair in found:
        for layer in dict.fromkeys(key[0] for key in repair.files):
            rows = lines.setdefault(layer, [])
            rows += [f"    # {text}" for text in _why(repair)]
            for glob in (literal(key[1]) for key in repair.files if key[0] == layer):
                if glob not in known.setdefault(layer, set()):
                    known[layer].add(glob)
                    rows.append(f"    {_quote(glob)},")
    tables = [
        "\n".join([f"[layer.{_quote(layer)}]", "keep = [", *rows, "]"])
        for layer, rows in sorted(lines.items())
    ]
    return "\n".join([_HEADER, *("\n".join((table, "")) for table in tables)])


def _why(repair: Repair) -> list[str]:
    shown = [_line(f"{one.subject.check}: {one}") for one in repair.broken[:3]]
    more = len(repair.broken) - len(shown)
    rules = _line(f"taken by {', '.join(repair.rules)}")
    return [*shown, *([f"and {more} more"] if more else []), rules]


def _line(text: str) -> str:
    """Return text for a comment: one line without control characters, 200 characters at most."""
    plain = "".join(character if character.isprintable() else " " for character in text)
    return plain.encode("utf-8", "replace").decode("utf-8")[:200]


def literal(path: str) -> str:
    """Return a glob that matches this path alone."""
    return re.sub(
        r"[*?\[\]{}$,]", lambda match: f"[{match[0]}]" if match[0] not in "[]" else "?", path
    )


def _quote(text: str) -> str:
    """Return a TOML basic string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in escaped) + '"'
