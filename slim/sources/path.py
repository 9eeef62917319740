"""Files and folders of this machine."""

from __future__ import annotations

from pathlib import Path

from slim.sources.base import Holds, Scheme

PATH = Scheme(
    name="path",
    holds=Holds.STACK | Holds.REPORT,
    recognises=lambda text: Path(text).exists(),
    fetch=None,
)
