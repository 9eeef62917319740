"""URLs in place of paths: inputs are fetched before a command runs, outputs published after it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

from slim.api.common import PathName
from slim.errors import ConfigError, SlimError
from slim.system.urls import is_url

if TYPE_CHECKING:
    from slim.model.progress import Progress
    from slim.sources.fetch import Brought

T = TypeVar("T")

_PATHS = ("source", "old_source", "new_source", "output", "compared_with")
"""Fields of results that name a stack."""


class Places:
    """Paths on this machine that stand for what a user named, and the way back."""

    def __init__(self, resources: ExitStack, platforms: Iterable[str], progress: Progress) -> None:
        self._resources = resources
        self._platforms = tuple(platforms)
        self._progress = progress
        self._brought: list[Brought] = []
        self._output: tuple[str, str] | None = None
        self.later: dict[Path, Callable[[], None]] = {}
        """What brings archives that have only their size here, by their paths."""

    def input(self, name: PathName, *, lenient: bool = False, later: bool = False) -> Path:
        """Return the path of an input, fetched where it is a URL.

        With ``lenient`` it needn't have every platform that is wanted; with ``later`` its archives
        have only their size until :attr:`later` brings them.
        """
        if not _is_url(name):
            return Path(name)
        from slim.sources.base import Holds, Wish
        from slim.sources.fetch import brought, parse

        source = parse(name, wanted=Holds.STACK)
        wish = Wish(
            platforms=self._platforms,
            lenient=lenient,
            progress=self._progress,
            later=self.later if later else None,
        )
        here = self._resources.enter_context(brought(source, wish))
        self._brought.append(here)
        return here.path

    def text(self, name: PathName) -> str:
        """Return what names an input: its path for a URL, else the same text."""
        return str(self.input(name)) if _is_url(name) else os.fspath(name)

    def previous(self, name: PathName | None) -> Path | None:
        """Return the path of what was published before, or None for None.

        Of a URL only manifests are there; :attr:`later` brings an archive that is wanted.
        """
        return None if name is None else self.input(name, lenient=True, later=True)

    def output(
        self,
        name: PathName,
        *,
        force: bool,
        unsafe_store: bool = False,
        newest: str | None = None,
        index: str | None = None,
    ) -> Path:
        """Return the path of an output. For a URL, what lies there in the end is published.

        Call it before the inputs: what is wrong with it is told before they are fetched.
        """
        if not _is_url(name):
            _refuse_store_options(newest, unsafe_store)
            return Path(name)
        from slim.publish.remote import remote_target, staged_for

        target = remote_target(name, force=force, unsafe=unsafe_store, newest=newest, index=index)
        place = self._resources.enter_context(staged_for(target, self._progress))
        self._output = (str(place), target.url)
        return place

    def optional_output(
        self, name: PathName | None, *, force: bool, unsafe_store: bool, newest: str | None
    ) -> Path | None:
        """Return the path of an output, or None for None."""
        if name is None:
            _refuse_store_options(newest, unsafe_store)
            return None
        return self.output(name, force=force, unsafe_store=unsafe_store, newest=newest)

    def publishable(self, name: PathName, *, unpacked: bool = False) -> Path:
        """Return the path of an input of which the output is made.

        Raises ConfigError where the output is a URL and no result of this input can go there:
        ``unpacked`` is true where layers are to be written as folders.
        """
        source = self.input(name)
        if self._output is not None:
            from slim.publish.remote import check_publishable

            check_publishable(source, self._output[1], unpacked=unpacked)
        return source

    def shown(self, text: str) -> str:
        """Return a path as the user named it."""
        if self._output is not None and text.startswith(self._output[0]):
            return self._output[1] + text.removeprefix(self._output[0]).replace("\\", "/")
        for here in self._brought:
            text = here.shown(text)
        return text

    def renamed(self, results: tuple[T, ...]) -> tuple[T, ...]:
        """Return results that name stacks as the user did."""
        return tuple(_renamed(result, self.shown) for result in results)


def _refuse_store_options(newest: str | None, unsafe_store: bool) -> None:
    if newest is not None or unsafe_store:
        raise ConfigError(
            "only a result in a store can be named as the newest, and only a store be unsafe",
            hint="--newest and --unsafe-store go with -o URL",
        )


def _is_url(name: PathName | None) -> TypeGuard[str]:
    return isinstance(name, str) and is_url(name)


def _renamed(result: Any, shown: Callable[[str], str]) -> Any:
    changes: dict[str, Any] = {
        name: shown(value)
        for name in _PATHS
        if isinstance(value := getattr(result, name, None), str) and shown(value) != value
    }
    stack = getattr(result, "stack", None)
    if stack is not None and shown(stack.source) != stack.source:
        changes["stack"] = replace(stack, source=shown(stack.source))
    return replace(result, **changes) if changes else result


@contextmanager
def places(progress: Progress, platforms: Iterable[str] = ()) -> Iterator[Places]:
    """Give places that hold during the block; an output is published when it ends without error.

    Errors name what the user named.
    """
    here = None
    try:
        with ExitStack() as resources:
            here = Places(resources, platforms, progress)
            yield here
    except SlimError as error:
        if here is not None and error.file is not None:
            error.file = here.shown(error.file)
        raise
