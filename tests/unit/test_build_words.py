"""What makes a file worth parsing for code that compiles: words that are found quickly first."""

from __future__ import annotations

import pytest

from slim.analysis import build_words
from slim.analysis.build_words import BUILD_TOOLS, has_build_words
from slim.analysis.imports.path_scan import may_name_tests
from slim.analysis.imports.path_scan import test_paths as paths_with_tests


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


def test_a_long_path_is_read_a_few_times_however_often_it_names_tests() -> None:
    found = list(paths_with_tests(b"tests/" * 10_000))
    assert len(found) < 10_000 * len("tests/") / 100
    assert max(map(len, found)) < 1000


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"a/tests/b/tests/c.py", {b"a/tests/b/tests/c.py"}),
        (b"a/tests/b a/tests/c", {b"a/tests/b", b"a/tests/c"}),
        (b"x\\tests\\y\\tests\\z", {b"tests\\y\\tests\\z", b"tests\\z"}),
    ],
)
def test_each_path_of_a_text_is_found(text: bytes, found: set[bytes]) -> None:
    assert set(paths_with_tests(text)) == found
