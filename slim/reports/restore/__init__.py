"""The reports of ``slim restore``: originals that are listed, extracted or put back."""

from __future__ import annotations

from slim.model.backup import BackupFile

Row = tuple[str, BackupFile]
"""An original: its path below the folder that layers are unpacked into, and its row in the index.

The path has a folder before it for each platform, where a backup has several.
"""
