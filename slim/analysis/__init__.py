"""Facts about the whole stack that no single file tells: its library graph and its import graph."""

from __future__ import annotations

from collections.abc import Callable

from slim.model.record import FileRecord

ReadFile = Callable[[FileRecord], memoryview]
"""Gives the bytes of a regular file of the stack, memory-mapped; none for links and folders."""
