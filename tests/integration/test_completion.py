"""Completion as bash asks for it, and the lines that the documentation tells people to write."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).with_name("slim")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash"),
    pytest.mark.skipif(
        not PROGRAM.exists(), reason="slim isn't installed as a program beside this Python"
    ),
]

BASH = """\
eval "$(_SLIM_COMPLETE=bash_source slim)"
complete -p slim >/dev/null || exit 9
COMP_WORDS=(%s) COMP_CWORD=%d
_slim_completion slim
printf '%%s\\n' "${COMPREPLY[@]}"
"""


def completed(*words: str) -> list[str]:
    """Return what bash would offer for the last of the words."""
    quoted = " ".join(f"'{word}'" for word in words)
    environment = {**os.environ, "PATH": f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"}
    script = BASH % (quoted, len(words) - 1)
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=False, env=environment
    )
    if "not supported" in done.stderr:
        pytest.skip("this bash is older than 4.4")
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("slim", "au"), {"audit"}),
        (("slim", "audit", "--pro"), {"--prove", "--profile"}),
        (("slim", "audit", "--profile", ""), {"safe", "standard", "aggressive"}),
        (("slim", "check", "--report", "s"), {"sarif="}),
        (("slim", "rules", ""), {"list", "show", "check"}),
    ],
)
def test_bash_offers(words: tuple[str, ...], expected: set[str]) -> None:
    assert expected <= set(completed(*words))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_documented_lines_give_a_script(shell: str) -> None:
    page = Path(__file__).parents[2] / "docs/index.md"
    assert f"_SLIM_COMPLETE={shell}_source slim" in page.read_text(encoding="utf-8")
    environment = {**os.environ, "_SLIM_COMPLETE": f"{shell}_source"}
    done = subprocess.run([PROGRAM], capture_output=True, text=True, check=True, env=environment)
    assert re.search(r"_slim_completion|_SLIM_COMPLETE", done.stdout)
