"""The note about an archive's compression in its layer's entry of the manifest.

Besides the content, an archive's bytes depend on nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from slim.formats import compressor
from slim.model.settings import Effort, Level

SLIM_KEY: Final = "slim"
"""The one key that slim adds to a layer's entry in the manifest."""


def compression_note(archive_name: str | None, effort: Effort) -> dict[str, object]:
    """The part of the note about an archive that was just written.

    Empty for folders, and where nothing compresses.
    """
    library = compressor(archive_name) if archive_name else None
    return {} if library is None else {"compressor": library, "compression": _effort_note(effort)}


def noted_compression(entry: Mapping[str, object]) -> dict[str, object]:
    """The same part for an archive that was written before, as far as its entry says."""
    note = entry.get(SLIM_KEY)
    library = note.get("compressor") if isinstance(note, dict) else None
    effort = noted_effort(entry)
    return {
        **({"compressor": library} if isinstance(library, str) else {}),
        **({"compression": _effort_note(effort)} if effort is not None else {}),
    }


def noted_effort(entry: Mapping[str, object]) -> Effort | None:
    """The effort that an archive was compressed with, by its layer's entry.

    None if the entry doesn't say, or says it in a way that slim never writes.
    """
    note = entry.get(SLIM_KEY)
    compression = note.get("compression") if isinstance(note, dict) else None
    if not isinstance(compression, dict):
        return None
    level, memory = compression.get("level"), compression.get("memory")
    arm64 = compression.get("xz_arm64", False)
    if level not in [known.value for known in Level] or not isinstance(arm64, bool):
        return None
    if memory is not None and (type(memory) is not int or memory <= 0):
        return None
    return Effort(level=Level(level), memory=memory, xz_arm64=arm64)


def _effort_note(effort: Effort) -> dict[str, object]:
    return {
        "level": effort.level.value,
        **({"memory": effort.memory} if effort.memory is not None else {}),
        **({"xz_arm64": True} if effort.xz_arm64 else {}),
    }
