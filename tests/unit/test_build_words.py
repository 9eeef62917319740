"""What makes a file worth parsing for code that compiles: words that are found quickly first."""

from __future__ import annotations

import pytest

from slim.analysis import build_words
from slim.analysis.build_words import BUILD_TOOLS, has_build_words
from slim.analysis.imports.path_scan import may_name_tests


@pytest.mark.parametrize("tool", sorted(BUILD_TOOLS))
def test_every_build_tool_is_found(tool: str) -> None:
    assert build_words._TOOL_WORDS.within(tool.encode())
    assert has_build_words(f"run(['{tool}', 'x'])".encode())
    assert not has_build_words(f"x = '{tool}'".encode())


@pytest.mark.parametrize("flag", ["-Iinclude", "-isystem x", "-shared", "-fPIC", "-include x"])
def test_every_command_line_is_found(flag: str) -> None:
    assert has_build_words(f"os.system('gcc {flag} a.c')".encode())
    assert not has_build_words(f"os.system('ls {flag}')".encode())


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("x = 1", False),
        ("x = 'latest'", False),
        ("x = '/tests/'", True),
        ("x = f'{a}tests'", True),
        ("x = 'a.tests'.replace('.', '/')", True),
        ("x = 'test_a.py'", True),
        ("x = 'test_a'", True),
        ("def test_a(): pass", False),
        ("x = 'conftest.py'", True),
        ("x = 'TESTS/a'.lower()", True),
    ],
)
def test_paths_that_may_name_tests(source: str, names: bool) -> None:
    assert may_name_tests(source.encode()) is names
