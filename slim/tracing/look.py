"""Stacks that are only looked at: opened leniently, all manifests at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from slim.config.settings import Config
from slim.inventory.load import LoadedStack, load
from slim.inventory.locate import locate
from slim.model.progress import Progress
from slim.sources.fetch import fetched
from slim.system.workspace import workspace


@contextmanager
def opened(
    stack: Path, config: Config, platforms: tuple[str, ...], progress: Progress
) -> Iterator[tuple[LoadedStack, ...]]:
    """Open every manifest of a stack during the block. Raises the errors of reading."""
    with ExitStack() as resources:
        source = resources.enter_context(fetched(stack))
        spool = resources.enter_context(workspace())
        context = config.context(spool, progress)
        yield tuple(
            resources.enter_context(load(located, context, published_only=True))
            for located in locate(source, platforms=platforms, deployed=True)
        )
