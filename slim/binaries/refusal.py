"""Refusals: reasons to leave a native file as it is, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RefusalKind(StrEnum):
    """Kind of a refusal. The values are stable."""

    NOTHING_GAINED = "nothing-gained"
    MALFORMED = "malformed"
    OBJECT_FILE = "object-file"
    UNSUPPORTED = "unsupported"
    PAYLOAD = "payload"
    SIGNED = "signed"
    ABSENT_SLICE = "absent-slice"


@dataclass(frozen=True, slots=True)
class NotEditable:
    """A file that stays as it is.

    ``reason`` is half a sentence for people, with the place in the file.
    """

    kind: RefusalKind
    reason: str


def malformed(reason: str) -> NotEditable:
    """Refusal because headers contradict each other, the file or the standard."""
    return NotEditable(RefusalKind.MALFORMED, reason)


class Refused(Exception):
    """Carries a refusal out of nested functions; always caught inside of :mod:`slim.binaries`."""

    def __init__(self, refusal: NotEditable) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal

    @classmethod
    def malformed(cls, reason: str) -> Refused:
        """Refusal because headers contradict each other, the file or the standard."""
        return cls(malformed(reason))

    @classmethod
    def unsupported(cls, reason: str) -> Refused:
        """Refusal of a file that may well be right, but slim hasn't been tried on its like."""
        return cls(NotEditable(RefusalKind.UNSUPPORTED, reason))
