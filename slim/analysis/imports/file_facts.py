"""Facts about one Python file that are kept while a stack is looked at: a hundred thousand fit."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from slim.analysis.imports.modules import Module
from slim.analysis.imports.scans import Scan
from slim.analysis.imports.text_scan import Hints
from slim.model.record import FileRecord

_NONE: frozenset[bytes] = frozenset()
NO_NAMES: frozenset[str] = frozenset()
"""Set that files without such names share: an empty one takes 216 bytes."""


@dataclass(slots=True)
class FileFacts:
    """Facts about one file, as far as they were asked for."""

    hints: Hints
    """The words of the file that matter, without dotted ones."""
    dotted: frozenset[str] = NO_NAMES
    """The known modules that its dotted words name."""
    scan: Scan | None = None
    """What it imports; None where it wasn't asked for."""
    expressions: bool = False
    """True if the scan has names that are put together."""
    paths: bool = False
    """True if the scan has paths."""
    stub: FileRecord | None = None
    """The stub that the file hands to a lazy loader."""
    modules: tuple[Module, ...] = field(default=())
    """The modules that the file is."""


class SharedWords:
    """Words as objects that all files share: most are in many files."""

    def __init__(self) -> None:
        self._words: dict[bytes, bytes] = {}

    def hints(self, hints: Hints) -> Hints:
        """The same hints without dotted words."""
        return replace(
            hints,
            dotted=_NONE,
            words=self._shared(hints.words),
            quoted=self._shared(hints.quoted),
            tails=self._shared(hints.tails),
            started=self._shared(hints.started),
        )

    def _shared(self, words: frozenset[bytes]) -> frozenset[bytes]:
        return frozenset(self._words.setdefault(word, word) for word in words) if words else _NONE
