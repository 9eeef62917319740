"""The table: each case of the corpus, how it is built and tried, how each command has to end."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from slim.errors import IntegrityError, SlimError
from tests.corpus.scene import ABSOLUTE, COMMANDS, Ended, Line, Scene, scene

READING = tuple(COMMANDS)
_WRITES = re.compile(r"run|restore( --extract)?\Z|delta")


@dataclass(frozen=True, slots=True)
class Expected:
    """How a command ends, and what it says: each of ``says`` is in its output."""

    code: int
    says: tuple[str, ...] = ()


UNMATCHED = Expected(
    IntegrityError.exit_code, ("the layer isn't the one that the delta was made from",)
)
"""How an update ends that is given an old layer which may be read, but is another one."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One case.

    ``prepare`` makes the bad stack of a scene whose only layer is ``layer``; ``inspect`` looks at
    what a run published, and tells what is wrong with it. ``lines`` are the command lines, ``more``
    is added to some.
    """

    group: str
    name: str
    prepare: Callable[[Scene], object]
    expected: Mapping[str, Expected]
    layer: str = "app"
    platform: str = "linux_x86_64"
    inspect: Callable[[Scene], Iterable[str]] | None = None
    more: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lines: Mapping[str, Line] = field(default_factory=lambda: COMMANDS)
    slow: bool = False

    @property
    def id(self) -> str:
        """For people and pytest."""
        return f"{self.group}: {self.name}"


def refusal(error: type[SlimError], *says: str) -> Expected:
    """A command that ends with an error."""
    return Expected(error.exit_code, says)


def compared(expected: Expected) -> dict[str, Expected]:
    """The same from every command that looks into layers.

    Updates only ask whether they are the same.
    """
    fine = Expected(0)
    return {**everywhere(expected), "delta": fine, "delta of old": fine, "delta apply": UNMATCHED}


def everywhere(expected: Expected, **other: Expected) -> dict[str, Expected]:
    """The same from every command, but for some."""
    return {name: other.get(name, expected) for name in READING}


def tried(trial: Trial) -> dict[str, list[str]]:
    """Run every command of a trial; for each what was not as expected."""
    with scene(trial.layer, platform=trial.platform) as made:
        trial.prepare(made)
        found: dict[str, list[str]] = {}
        before = made.state()
        for name, expected in trial.expected.items():
            line = [*trial.lines[name](made), *trial.more.get(name, ())]
            ended = made.run(*line)
            problems = list(_judge(ended, expected))
            problems += _outside(
                made, before, published=_WRITES.match(name) is not None and expected.code == 0
            )
            if name == "run" and trial.inspect is not None and not problems:
                problems += trial.inspect(made)
            if problems:
                problems.append(f"it said: {ended.err[-1500:]}{ended.out[-1500:]}")
            found[name] = problems
            shutil.rmtree(made.out, ignore_errors=True)
        return found


def _judge(ended: Ended, expected: Expected) -> Iterator[str]:
    said = ended.err + ended.out
    if ended.code != expected.code:
        yield f"exit code {ended.code} instead of {expected.code}"
    yield from (f"it doesn't say {text!r}" for text in expected.says if not _told(text, said))
    if "Traceback" in said:
        yield "a traceback"
    if expected.code and "hint:" not in ended.err and "problem" not in ended.err:
        yield "nothing about what to do"
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", said):
        yield "control characters from the input"


def _told(text: str, said: str) -> bool:
    """Tables break lines at the width of the output, and never within what an error says."""
    return text in said or text.replace(" ", "") in re.sub(r"\s+", "", said)


def _outside(made: Scene, before: Mapping[str, object], *, published: bool) -> Iterator[str]:
    after = made.state()
    changed = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    if changed:
        yield f"changed outside of the output: {', '.join(changed[:5])}"
    if ABSOLUTE.exists():
        yield f"{ABSOLUTE} exists"
    if published != made.out.exists():
        yield "nothing was published" if published else "something was published"
