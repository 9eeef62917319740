"""Reading the examples out of a page of documentation.

- ``console``: lines after ``$`` are commands; what follows is their output, where ``...`` stands
  for anything (alone on a line: for any number of lines). A last line ``# exit code N`` says that
  the command ends so.
- A block with ``title="FILE"`` is written to that file, where the commands after it find it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_FENCE = re.compile(
    r"^```(?P<language>[a-z]+)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_EXIT = re.compile(r"# exit code (\d+)")


@dataclass(frozen=True)
class Block:
    """A fenced block. ``line`` is where it begins in the page, from 1."""

    language: str
    title: str | None
    body: str
    line: int


@dataclass(frozen=True)
class Step:
    """A command of a console block, its exit code, and its output as a pattern (None: not told)."""

    command: str
    code: int
    expected: str | None


def blocks(text: str) -> list[Block]:
    return [
        Block(
            match["language"], match["title"], match["body"], text.count("\n", 0, match.start()) + 1
        )
        for match in _FENCE.finditer(text)
    ]


def steps(body: str) -> list[Step]:
    found: list[Step] = []
    for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        lines = output.rstrip("\n").split("\n") if output.strip() else []
        code = 0
        if lines and (match := _EXIT.fullmatch(lines[-1])):
            code = int(match[1])
            lines.pop()
        found.append(Step(command, code, "\n".join(lines) if lines else None))
    return found


def matches(expected: str, told: str) -> bool:
    """Whether an output is as told.

    Blanks at the ends of lines don't count, nor do empty lines at the end.
    """
    pattern = ""
    for line in expected.split("\n"):
        if line == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += (
                ".*?".join(re.escape(part) for part in line.rstrip().split("...")) + r"[ ]*\n"
            )
    clean = "\n".join(line.rstrip() for line in told.rstrip("\n").split("\n")) + "\n"
    return re.fullmatch(pattern, clean) is not None
