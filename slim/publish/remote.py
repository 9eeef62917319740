"""Results that go to an object store: made in a private folder first, then published whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from slim.errors import ConfigError
from slim.inventory.locate import locate
from slim.inventory.manifest import FOLDER
from slim.model.progress import Progress
from slim.model.stack import StackKind
from slim.stores.open import checked_url, open_store
from slim.stores.release import MARK, NEWEST, point_to, publish_release
from slim.system.workspace import workspace

_ONLY = "only published stacks, which have a manifest and archives, go to a store"
_OWN = "a release in a store is never replaced; give each a place of its own"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteTarget:
    """A place in a store for one release. ``newest`` is a place above it, or None.

    ``index`` is the file that a reader starts at; None for the manifests of a stack.
    """

    url: str
    newest: str | None = None
    unsafe: bool = False
    index: str | None = None

    def __post_init__(self) -> None:
        """Raise ConfigError for a place that can't be one of a release."""
        if self.newest is not None and not self.url.startswith(f"{self.newest}/"):
            raise ConfigError(
                "the release isn't below the place that is to name it as the newest",
                file=self.url,
                hint=f"publish it below {self.newest}/",
            )
        if NEWEST in self.url.split("/"):
            raise ConfigError(f"{NEWEST} is read, not written; see --newest", file=self.url)


def remote_target(
    url: str,
    *,
    force: bool,
    unsafe: bool = False,
    newest: str | None = None,
    index: str | None = None,
) -> RemoteTarget:
    """Return the place that a URL names. Raises ConfigError for what can't be published there."""
    if force:
        raise ConfigError(_OWN, file=checked_url(url), hint="leave --force out")
    target = RemoteTarget(
        url=checked_url(url),
        newest=None if newest is None else checked_url(newest),
        unsafe=unsafe,
        index=index,
    )
    open_store(target.url)  # raises before the work where obstore isn't installed
    return target


def check_publishable(source: Path, url: str, *, unpacked: bool) -> None:
    """Raise ConfigError for an input whose result can't go to a store, before the work is done.

    ``unpacked`` is true where layers are to be written as folders.
    """
    manifest = source.suffix == ".json" or (source / FOLDER).is_dir()
    if not manifest or any(located.kind is not StackKind.PUBLISHED for located in locate(source)):
        raise ConfigError(_ONLY, file=url, hint="publish the stack with `venvstacks publish` first")
    if unpacked:
        raise ConfigError(
            "layers go to a store as archives", file=url, hint="leave --format folder out"
        )


@contextmanager
def staged_for(target: RemoteTarget, progress: Progress) -> Iterator[Path]:
    """Yield a path that a result may be written to, which is published when the block ends.

    Nothing is published where the block raises, or writes nothing. Raises IntegrityError where
    other bytes lie there already, and the errors of :mod:`slim.stores`.
    """
    with workspace() as folder:
        place = folder / "release"
        yield place
        if not place.exists():
            return  # verification refused it
        if not place.is_dir():
            raise ConfigError(_ONLY, file=target.url)
        publish_release(
            place,
            open_store(target.url),
            last=_last(place, target),
            unsafe=target.unsafe,
            progress=progress,
        )
        if target.newest is not None:
            name = target.url.removeprefix(f"{target.newest}/")
            point_to(open_store(target.newest), name)


def _last(place: Path, target: RemoteTarget) -> list[str]:
    """Return the names of the files that a reader starts at."""
    if target.index is not None:
        return [target.index]
    names = [f"{FOLDER}/{path.name}" for path in (place / FOLDER).glob("*.json")]
    if not names or (place / MARK).exists():
        raise ConfigError(_ONLY, file=target.url)
    return names
