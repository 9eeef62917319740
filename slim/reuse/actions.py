"""Keys of the cache of results: digests of all that decides over the bytes of a result.

A key is the SHA-256 of a canonical JSON document. What isn't in the document mustn't be able to
change a byte of what is stored under the key.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Final, NoReturn

import slim
from slim.formats import FORMATS
from slim.formats.base import Format, Member
from slim.model.settings import Effort
from slim.rules.folder import packs_folder

LAYER: Final = "layer"
"""Action: writing the archive of one layer."""
BLOCK: Final = "block"
"""Action: compressing a block of an archive."""
RUN: Final = "run"
"""Action: a whole run for one output."""
DELTA: Final = "delta"
"""Action: the way from one archive of a layer to the next."""
_VERSION: Final = 1
_WRITING: Final = ("formats", "model", "system")
"""Rooms whose code decides over the bytes of an archive, beside the compressors."""
_LIBRARIES: Final = ("lief", "macholib", "pyelftools", "packaging")
"""Distributions that read what slim decides by."""


def action_key(action: str, document: Mapping[str, object]) -> str:
    """SHA-256, in hexadecimal, of an action and what decides over its result."""
    whole = {"action": action, "version": _VERSION, **document}
    text = json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def writing_key(
    members: Sequence[Member],
    digests: Mapping[str, str],
    root: str,
    written_as: Format,
    effort: Effort,
    machine: str,
) -> str | None:
    """Key of writing one layer: exactly what goes into the writer.

    ``digests`` are the SHA-256 of the contents, by path. None where that can't be told: a content
    without a digest, or slim's own code in a zip file.
    """
    code = code_digest(_WRITING)
    if code is None or any(
        member.content is not None and member.path not in digests for member in members
    ):
        return None
    rows = [
        [
            *(member.path, member.type.value, member.mode, member.mtime, member.size),
            *(member.link_target, None if member.content is None else digests[member.path]),
        ]
        for member in members
    ]
    return action_key(
        LAYER,
        {
            "slim": [slim.__version__, code],
            "members": rows,
            "root": root,
            "format": written_as.name,
            "compressor": None if written_as.compressor is None else written_as.compressor(),
            "effort": [effort.level.value, effort.memory, effort.xz_arm64],
            "machine": machine,
        },
    )


def block_key(block: str, written_as: Format) -> str | None:
    """Key of compressing a block, which ``block`` tells by its content and the settings.

    None where slim's own code can't be read.
    """
    code = code_digest(_WRITING)
    if code is None or written_as.compressor is None:
        return None
    return action_key(
        BLOCK,
        {
            "slim": [slim.__version__, code],
            "block": block,
            "format": written_as.name,
            "compressor": written_as.compressor(),
        },
    )


def tools() -> Mapping[str, object] | None:
    """All that decides over a run but its input and settings; None where slim's code can't be read.

    That is slim's code and rules, what parses and compresses, and Python, with their versions.
    """
    code = code_digest(())
    if code is None:
        return None
    return {
        "slim": [slim.__version__, code],
        "python": [platform.python_implementation(), sys.version, unicodedata.unidata_version],
        "libraries": {name: _installed(name) for name in _LIBRARIES},
        "compressors": {
            known.name: known.compressor() for known in FORMATS if known.compressor is not None
        },
    }


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


@cache
def code_digest(rooms: Iterable[str]) -> str | None:
    """SHA-256, in hexadecimal, of slim's own code in some rooms; of all it has without any.

    None where it can't be read as files.
    """
    top = Path(slim.__file__).parent
    folders = [top / room for room in rooms] or [top, packs_folder()]
    state = hashlib.sha256()
    try:
        for folder in folders:
            for name, file in sorted(_files(folder)):
                with open(file, "rb") as stream:  # noqa: PTH123  # hundreds of files, in each run
                    data = stream.read()
                state.update(f"{name}\0{len(data)}\0".encode("utf-8", "surrogateescape"))
                state.update(data)
    except OSError:
        return None
    return state.hexdigest()


def _files(top: Path) -> Iterator[tuple[str, str]]:
    """Yield the name (with the last part of ``top``) and the path of every file with code."""
    start = len(str(top.parent)) + 1
    for folder, folders, names in os.walk(top, onerror=_fail):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in names:
            if name.endswith((".py", ".toml", ".json")):
                file = f"{folder}{os.sep}{name}"
                yield file[start:].replace(os.sep, "/"), file


def _fail(error: OSError) -> NoReturn:
    raise error
