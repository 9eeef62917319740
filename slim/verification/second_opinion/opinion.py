"""Parent's side of the second opinion: asks LIEF about each edit, and bears its accidents."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from slim.formats.base import Content
from slim.model.record import FileKey
from slim.system.closing import Closing
from slim.system.worker import Answer, NoAnswer, Worker

MODULE: Final = "slim.verification.second_opinion.worker"
MAX_SIZE: Final = 64 << 20
"""Bytes of the largest file that LIEF is given as a whole; it has three copies of it in memory."""
HEADERS: Final = 1 << 16
"""Bytes that LIEF is given of a larger one, where headers are what they begin with."""
SECONDS: Final = 60.0
"""Seconds that LIEF may take for one file. Real ones, of 400 MB even, take a few."""
_PATIENCE: Final = 10
"""An edited file may take this many times as long as its original: a slow host proves nothing."""
MAX_ACCIDENTS: Final = 10
"""Crashes and time-outs on originals after which LIEF isn't asked any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A native file before and after its edit.

    ``reader`` names what reads it (worker.READERS), ``headers`` what reads the first bytes of a
    large one; None where there is nothing of the kind.
    """

    reader: str
    headers: str | None = None
    original: Content
    edited: Content


@dataclass(kw_only=True)
class Opinion:
    """Answers of LIEF: for each file what differs, or why it can't judge it.

    ``judged`` is how many files it could compare, whatever came of it, ``headers`` those of which
    it had the headers alone; ``elapsed`` in seconds.
    """

    differing: dict[FileKey, str] = field(default_factory=dict)
    unjudged: dict[FileKey, str] = field(default_factory=dict)
    judged: int = 0
    headers: list[FileKey] = field(default_factory=list)
    elapsed: float = 0.0


class SecondOpinion(Closing):
    """Asks LIEF, in a child process that is started anew after a crash. A context manager."""

    def __init__(
        self, module: str = MODULE, *, seconds: float = SECONDS, max_size: int = MAX_SIZE
    ) -> None:
        self._worker = Worker(module)
        self._seconds = seconds
        self._max_size = max_size
        self._accidents = 0
        self._took = 0.0

    def start(self) -> None:
        """Start the child ahead of the first question; it takes a moment to load LIEF."""
        # Why it can't be started is told with the first question.
        try:
            self._worker.start()
        except NoAnswer:
            return

    def ask(self, questions: Mapping[FileKey, Question]) -> Opinion:
        """Compare every file, original and edited. Raises nothing.

        What LIEF can't read in the original is left to slim's own oracle; what it can't read in the
        edited file alone differs.
        """
        started = time.monotonic()
        opinion = Opinion()
        obstacle = self._obstacle() if questions else ""
        for key, question in questions.items():
            if self._accidents >= MAX_ACCIDENTS:
                obstacle = f"LIEF had {MAX_ACCIDENTS} accidents with others before"
            unjudged = obstacle or self._original(question)
            if unjudged:
                opinion.unjudged[key] = unjudged
                continue
            opinion.judged += 1
            if question.original.size > self._max_size:
                opinion.headers.append(key)
            difference = self._edited(question)
            if difference:
                opinion.differing[key] = difference
        opinion.elapsed = time.monotonic() - started
        return opinion

    def close(self) -> None:
        """End the child. An ``ask`` that runs in another thread ends soon, judging nothing more."""
        self._worker.close()

    def _obstacle(self) -> str:
        """Return why LIEF can't be asked at all; nothing if it can."""
        try:
            self._worker.ask({"task": "hello"}, seconds=self._seconds)
        except NoAnswer as error:
            return f"LIEF can't be loaded: {error}"
        return ""

    def _original(self, question: Question) -> str:
        """Let LIEF read the original; return why it can't judge the file, nothing if it can."""
        size = question.original.size
        if size > self._max_size and question.headers is None:
            return f"it has {size} bytes, more than the {self._max_size} that LIEF is given"
        asked = time.monotonic()
        try:
            answer = self._ask("original", question, question.original, self._seconds)
        except NoAnswer as error:
            self._accidents += 1
            return f"LIEF can't read the original: {error}"
        self._took = time.monotonic() - asked
        return "" if answer.get("read") is True else "LIEF can't read the original"

    def _edited(self, question: Question) -> str:
        """Let LIEF compare the edited file; return the first difference, nothing if none."""
        try:
            seconds = max(self._seconds, _PATIENCE * self._took)
            answer = self._ask("edited", question, question.edited, seconds)
        except NoAnswer as error:
            return f"LIEF can read the original, but not the edited file: {error}"
        if answer.get("read") is not True:
            return "LIEF can read the original, but not the edited file"
        differences = answer.get("differences")
        if not isinstance(differences, list):
            return "LIEF's answer can't be read"
        return f"LIEF reads another file than before: {differences[0]}" if differences else ""

    def _ask(self, task: str, question: Question, content: Content, seconds: float) -> Answer:
        """Give the child a file, or the beginning of one that is large before its edit."""
        if question.original.size <= self._max_size or question.headers is None:
            asked = {"task": task, "reader": question.reader}
            return self._worker.ask(asked, content.chunks(), size=content.size, seconds=seconds)
        asked = {"task": task, "reader": question.headers}
        first = _beginning(content)
        return self._worker.ask(asked, (first,), size=len(first), seconds=seconds)


def _beginning(content: Content) -> bytes:
    """Return the first bytes, with headers: an edited file comes in pieces of any size."""
    found = bytearray()
    for piece in content.chunks():
        found += piece[: HEADERS - len(found)]
        if len(found) == HEADERS:
            break
    return bytes(found)
