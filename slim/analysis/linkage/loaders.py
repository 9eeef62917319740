"""The table of loaders: one row for each native format that a loader maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slim.analysis.linkage import linux, macos, windows
from slim.analysis.linkage.loader import LoaderRules
from slim.model.record import NativeFormat

LOADERS: Mapping[NativeFormat, LoaderRules[Any]] = {
    NativeFormat.ELF: linux.RULES,
    NativeFormat.MACHO: macos.RULES,
    NativeFormat.PE: windows.RULES,
}
"""The loader of each native format. A format without a row is never loaded, only linked."""
