"""Advice that errors about deltas give."""

from __future__ import annotations

from typing import Final

DOWNLOAD_AGAIN: Final = "download the delta again"
GET_AGAIN: Final = "download or make the delta again"
