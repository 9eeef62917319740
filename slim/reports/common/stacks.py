"""Words about stacks: their kinds, headings, and short paths."""

from __future__ import annotations

from collections.abc import Callable

from slim.model.stack import Stack, StackKind
from slim.reports.common.text import count, printable

_STACK_WORDS = {
    StackKind.PUBLISHED: "published stack",
    StackKind.EXPORT: "local export",
    StackKind.BUILD: "build folder",
    StackKind.ARCHIVE: "single archive",
    StackKind.FOLDER: "plain folder",
}


def stack_word(kind: StackKind) -> str:
    """Return what people call a kind of stack: ``published stack``."""
    return _STACK_WORDS[kind]


def stack_facts(stack: Stack, layers: int) -> list[str]:
    """Return what a heading says about a stack: its kind, its platform, its number of layers."""
    tag = stack.platform.tag
    platform = [] if tag == "unknown" else [printable(tag)]
    return [stack_word(stack.kind), *platform, count(layers, "layer")]


def shortener(stack: Stack) -> Callable[[str], str]:
    """Return a function that takes layer and site-packages folder off a deployed path."""
    prefixes = sorted(
        (f"{layer.name}/{folder}/" for layer in stack for folder in layer.site_dirs),
        key=len,
        reverse=True,
    )

    def shorten(path: str) -> str:
        return next(
            (path.removeprefix(prefix) for prefix in prefixes if path.startswith(prefix)), path
        )

    return shorten
