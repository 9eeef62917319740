"""``REF:PATH``, a report at a path of a git commit: see git-cat-file(1), gitrevisions(7).

Nothing is fetched from another machine, and nothing is checked out.
"""

from __future__ import annotations

import logging
import shlex
import subprocess
from pathlib import Path

from slim.errors import ConfigError, StorageError
from slim.sources.base import Holds, Scheme, Wish

_LOG = logging.getLogger(__name__)

_TIMEOUT = 120
"""Seconds that git may take."""


def _fetch(text: str, folder: Path, _wish: Wish) -> Path:
    if text.startswith("-"):
        raise ConfigError("a git reference can't begin with a dash", file=text)
    place = folder / "report.json"
    command = ["git", "cat-file", "blob", text]
    _LOG.info("starting %s", shlex.join(command))
    try:
        with place.open("wb") as blob:
            done = subprocess.run(
                command, stdout=blob, stderr=subprocess.PIPE, check=False, timeout=_TIMEOUT
            )
    except FileNotFoundError:
        hint = "REF:PATH reads a report from a git repository, which takes git"
        raise StorageError("no such file, and git isn't installed", file=text, hint=hint) from None
    except subprocess.TimeoutExpired:
        raise StorageError("git doesn't answer", file=text) from None
    if done.returncode != 0:
        words = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["it isn't there"]
        hint = "REF:PATH is a report that was committed; in CI, fetch the reference first"
        raise StorageError(f"no such file, and git says: {words[0][:300]}", file=text, hint=hint)
    return place


GIT = Scheme(name="git", holds=Holds.REPORT, recognises=lambda text: ":" in text, fetch=_fetch)
