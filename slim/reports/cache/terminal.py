"""A cache of results on a terminal."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.text import Text

from slim.model.cache import CachePruned, CacheStats, CacheVerified
from slim.model.size import format_size
from slim.reports.common.canvas import Canvas
from slim.reports.common.style import TerminalStyle
from slim.reports.common.text import count, printable


def stats(found: CacheStats, style: TerminalStyle | None = None) -> str:
    """Return how many results and bytes are in a cache."""
    canvas = Canvas(style or TerminalStyle())
    canvas.line(Text(printable(found.place), "bold"))
    entries = [count(number, f"{printable(action)}") for action, number in found.entries.items()]
    canvas.line(Text(f"results  {', '.join(entries) or 'none'}"), indent=2)
    canvas.line(Text(f"blobs    {found.blobs}, {format_size(found.size)}"), indent=2)
    if found.oldest is not None:
        day = datetime.fromtimestamp(found.oldest, UTC).date().isoformat()
        canvas.line(Text(f"oldest   of use on {day}"), indent=2)
    if found.unreadable:
        words = f"{count(found.unreadable, 'entry', 'entries')} can't be read: slim cache verify"
        canvas.line(Text(words, "yellow"), indent=2)
    return canvas.text()


def pruned(found: CachePruned, style: TerminalStyle | None = None) -> str:
    """Return what went from a cache."""
    canvas = Canvas(style or TerminalStyle())
    entries, blobs = count(found.entries, "entry", "entries"), count(found.blobs, "blob")
    verb = "would go" if found.dry_run else "went"
    canvas.line(Text(f"{entries} and {blobs} of {format_size(found.size)} {verb}."))
    return canvas.text()


def verified(found: CacheVerified, style: TerminalStyle | None = None) -> str:
    """Return what is wrong in a cache."""
    canvas = Canvas(style or TerminalStyle())
    for name, why in found.wrong:
        canvas.line(Text.assemble((printable(name), "yellow"), f": {printable(why)}"))
    tried = f"{found.tried} entries and blobs were read"
    if not found.wrong:
        canvas.line(Text(f"{tried}: all are what they say.", "green"))
    else:
        done = "removed" if found.dropped else "wrong"
        canvas.line(Text(f"{tried}: {len(found.wrong)} {done}.", "bold"))
    return canvas.text()
