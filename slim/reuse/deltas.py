"""Updates of single layers that were made before, by the archives that they lead from and to."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path, PurePath

from slim import __version__
from slim.errors import UnsafeInputError
from slim.formats.compression.zstd import ZSTD
from slim.model.delta import DeltaAction, LayerMade, NamedFile
from slim.model.stack import ArchiveInfo, Layer
from slim.reuse.actions import DELTA, action_key, code_digest
from slim.reuse.cache import KEY_VARIABLE, ResultCache
from slim.reuse.forms import pack, unpack

_ROOMS = ("delta", "formats", "binaries", "inventory", "model", "system")


class DeltaCache:
    """Updates of layers in a cache of results."""

    def __init__(self, results: ResultCache) -> None:
        self._results = results
        if not results.is_trusted:
            results.note(
                "updates aren't taken from a cache that others can write to: set "
                f"{KEY_VARIABLE} to the secret that its writers sign with"
            )

    def take(self, old: Layer, new: Layer, target: Path) -> LayerMade | None:
        """Return the update from one archive to the other, and write its patch to ``target``.

        None where it isn't known. A whole archive isn't written: the new stack has it.
        """
        key = self._key(old, new)
        body = None if key is None else self._results.get(DELTA, key, trusted=True)
        if key is None or body is None:
            return None
        try:
            made = unpack(base64.b64decode(body["made"]))
            _check(made, old, new)
        except (UnsafeInputError, LookupError, TypeError, ValueError) as error:
            self._results.drop(key, str(error))
            return None
        assert isinstance(made, LayerMade)
        file = made.delta.file
        if made.delta.action is DeltaAction.PATCH and file is not None:
            there = self._results.fetch(file.sha256, file.size, target)
            return replace(made, cached=True) if there else None
        return replace(made, cached=True)

    def store(self, old: Layer, new: Layer, made: LayerMade, folder: Path) -> None:
        """Store an update whose files are in ``folder``."""
        key = self._key(old, new)
        if key is None or not self._results.is_trusted:
            return
        blobs: dict[str, int] = {}
        file = made.delta.file
        if made.delta.action is DeltaAction.PATCH and file is not None:
            if not self._results.add(folder / file.name, file.sha256, file.size):
                return
            blobs[file.sha256] = file.size
        form = base64.b64encode(pack(replace(made, elapsed=0.0))).decode("ascii")
        self._results.put(DELTA, key, {"blobs": blobs, "made": form})

    def _key(self, old: Layer, new: Layer) -> str | None:
        code = code_digest(_ROOMS)
        if code is None or old.archive is None or new.archive is None:
            return None
        library = None if ZSTD.library is None else ZSTD.library()
        return action_key(
            DELTA,
            {
                "slim": [__version__, code],
                "compressor": library,
                "old": _facts(old, old.archive),
                "new": _facts(new, new.archive),
            },
        )


def _facts(layer: Layer, archive: ArchiveInfo) -> list[object]:
    return [layer.name, layer.platform.tag, archive.name, archive.size, archive.sha256]


def _check(made: object, old: Layer, new: Layer) -> None:
    """Raise UnsafeInputError for anything but an update from one archive to the other."""
    if not isinstance(made, LayerMade) or made.delta.name != new.name:
        raise UnsafeInputError("it is no update of this layer")
    for state, layer in ((made.delta.old, old), (made.delta.new, new)):
        archive = None if state is None else state.archive
        if archive is None or layer.archive is None or archive.sha256 != layer.archive.sha256:
            raise UnsafeInputError("it is an update of other archives")
    file = made.delta.file
    named = isinstance(file, NamedFile | ArchiveInfo) and PurePath(file.name).name == file.name
    if made.delta.action is not DeltaAction.UNCHANGED and not named:
        raise UnsafeInputError("it names no file")
