"""Words, numbers and names, the same in every report for people."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slim.model.finding import Evidence
    from slim.model.outcome import RunResult

_AGGRESSIVE = "aggressive"
_GUIDED = "guided"

_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def printable(name: str) -> str:
    """Return a name that is harmless on a terminal: one line, no controls, no bidi overrides.

    Undecodable bytes come out as ``\\xff``, other unsafe characters as ``\\u202e``. Source: Unicode
    Technical Report 36, "Unicode Security Considerations".
    """
    if name.isascii() and name.isprintable():
        return name
    return "".join(
        _escape(char) if unicodedata.category(char) in _UNSAFE_CATEGORIES else char for char in name
    )


def _escape(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was no UTF-8, kept by "surrogateescape"
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def unverified_words(result: RunResult) -> str:
    """Return what is said of a result that was published with ``--unverified``.

    Under another profile than ``aggressive`` it names the rules of that profile which took part.
    """
    if result.profile.label == _GUIDED:
        return (
            "not verified: profile guided removes what no traced run used, and nothing tried "
            "the result"
        )
    who = f"profile {_AGGRESSIVE} removes by inference"
    if result.profile.label != _AGGRESSIVE:
        taking = {action.rule for action in result.plan.actions.values()}
        names = [
            printable(name)
            for name in sorted(taking & result.rules.keys())
            if result.rules[name].safety.label == _AGGRESSIVE
        ]
        named = f" ({', '.join(names)})" if names else ""
        who = f"rules of the profile {_AGGRESSIVE} remove by inference{named}"
    return f"not verified: {who}, and nothing tried the result"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return ``1 file``, ``1,234 files``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def percent(before: int, after: int) -> str:
    """Return the change from ``before`` to ``after``: ``-41%``, ``+3%``, ``-0.3%``.

    Empty where there was nothing before. Never rounded up to ``-100%`` while something is left,
    nor down to ``0%`` while something changed.
    """
    if before <= 0:
        return ""
    if before == after:
        return "0%"
    change = 100 * (after - before) / before
    if abs(change) < 0.1:
        return "-<0.1%" if change < 0 else "+<0.1%"
    if abs(change) < 1:
        return f"{change:+.1f}%"
    if after > 0 and change < -99:
        return "->99%"
    return f"{change:+.0f}%"


def duration(seconds: float) -> str:
    """Return elapsed time: ``0.8 s``, ``12 s``, ``3 min 05 s``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60:02d} s"


def evidence_text(
    evidence: Evidence, shorten: Callable[[str], str] = str, about: str | None = None
) -> str:
    """Return one fact on one line, with its line and file; not the file that it is ``about``."""
    if evidence.file is None or (evidence.file == about and evidence.line is None):
        return printable(evidence.text)
    where = (
        shorten(evidence.file)
        if evidence.line is None
        else f"{shorten(evidence.file)}:{evidence.line}"
    )
    return printable(f"{evidence.text} ({where})")


def common_place(paths: Sequence[str]) -> str:
    """Return a name for a group of files: the only one, or their deepest common folder."""
    if len(paths) == 1:
        return paths[0]
    shared: list[str] = []
    for parts in zip(*(path.split("/")[:-1] for path in paths), strict=False):
        if len(set(parts)) != 1:
            break
        shared.append(parts[0])
    return "/".join(shared) + "/" if shared else "(several places)"
