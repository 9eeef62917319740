"""Whole runs: the files of a set that was published, and the results that reports tell of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from slim.errors import UnsafeInputError
from slim.formats.digests import sha256_of
from slim.model.outcome import RunResult
from slim.reuse.actions import RUN
from slim.reuse.cache import HEX, ResultCache
from slim.reuse.forms import pack, unpack

_MAX_RESULT = 1 << 28
"""Bytes of the largest blob of results."""


class RunCache:
    """One whole run in a cache of results, by its key."""

    def __init__(self, results: ResultCache, key: str) -> None:
        self._results = results
        self._key = key

    def files(self) -> Mapping[str, str] | None:
        """Return the SHA-256 of each file that the run published, by path; None if not known."""
        body = self._body()
        return None if body is None else dict(body["files"])

    def take(self, folder: Path) -> tuple[RunResult, ...] | None:
        """Write the files into an empty folder, and return the results.

        None where it isn't known or a blob is wrong; what was written is to be removed then.
        """
        body = self._body()
        if body is None:
            return None
        with TemporaryDirectory(dir=folder.parent) as scratch:
            place = Path(scratch) / "results"
            if not self._results.fetch(body["result"], body["blobs"][body["result"]], place):
                return None
            try:
                results = unpack(place.read_bytes())
                if not isinstance(results, tuple) or not all(
                    isinstance(result, RunResult) for result in results
                ):
                    raise UnsafeInputError("it holds no results of runs")
            except UnsafeInputError as error:
                self._results.drop(self._key, error.message)
                return None
        for name, sha256 in body["files"].items():
            target = folder.joinpath(*name.split("/"))
            target.parent.mkdir(parents=True, exist_ok=True)
            if not self._results.fetch(sha256, body["blobs"][sha256], target):
                return None
        return results

    def refuse(self, why: str) -> None:
        """Drop the entry, whose files aren't those of the run."""
        self._results.drop(self._key, why)

    def store(self, folder: Path, results: tuple[RunResult, ...]) -> None:
        """Store the files of a set that is right, and the results."""
        blobs: dict[str, int] = {}
        files: dict[str, str] = {}
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                size, sha256 = path.stat().st_size, sha256_of(path)
                if not self._results.add(path, sha256, size):
                    return
                blobs[sha256] = size
                files[path.relative_to(folder).as_posix()] = sha256
        with TemporaryDirectory(dir=folder.parent) as scratch:
            place = Path(scratch) / "results"
            place.write_bytes(pack(results))
            size, result = place.stat().st_size, sha256_of(place)
            if size > _MAX_RESULT or not self._results.add(place, result, size):
                return
            blobs[result] = size
        body = {"blobs": blobs, "files": files, "result": result}
        self._results.put(RUN, self._key, body)

    def _body(self) -> Mapping[str, Any] | None:
        body = self._results.get(RUN, self._key, trusted=True)
        if body is not None and not _is_whole(body):
            self._results.drop(self._key, "it names no files")
            return None
        return body


def _is_whole(body: Mapping[str, Any]) -> bool:
    files, blobs, result = body.get("files"), body.get("blobs"), body.get("result")
    if not isinstance(files, dict) or not isinstance(blobs, dict) or not files:
        return False
    return all(
        isinstance(sha256, str) and HEX.match(sha256) and type(blobs.get(sha256)) is int
        for sha256 in (*files.values(), result)
    ) and all(map(_is_plain, files))


def _is_plain(name: str) -> bool:
    """True for the path of a file below a folder."""
    parts = PurePosixPath(name).parts
    return (
        bool(parts)
        and "/".join(parts) == name
        and not ({"..", "/"} & set(parts) or "\\" in name or ":" in name or "\0" in name)
    )
