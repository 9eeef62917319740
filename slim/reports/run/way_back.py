"""The way back from a run, in words: guards and rest packs."""

from __future__ import annotations

from collections.abc import Iterator

from slim.model.outcome import RunResult
from slim.model.size import format_size
from slim.reports.common.text import count


def way_back_rows(result: RunResult) -> Iterator[tuple[str, str]]:
    """Yield a title and a sentence for guards, canaries and rest packs, where there are any."""
    watched = [layer for layer in result.layers if layer.watched]
    if watched:
        modules = count(sum(layer.watched for layer in watched), "module")
        layers = count(len(watched), "layer")
        yield "canary", f"nothing went; {modules} that would have are watched in {layers}"
    guarded = [layer for layer in result.layers if layer.guarded]
    if guarded:
        modules = count(sum(layer.guarded for layer in guarded), "removed module")
        layers = count(len(guarded), "layer")
        yield "guard", f"{modules} told of in {layers}, when a program imports one"
    packs = [pack for layer in result.layers for pack in layer.rest_packs]
    if packs:
        size = format_size(sum(pack.size for pack in packs))
        files = count(sum(pack.files for pack in packs), "file")
        named = count(len(packs), "rest pack")
        yield "rest", f"{files} in {named} of {size}, to be unpacked over their layers"
