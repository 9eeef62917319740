"""Names: what is shown of them, how they fold, and what Windows makes of them."""

from __future__ import annotations

import pytest

from slim.errors import UnsafeInputError
from slim.formats.names import display, fold, normalise, windows_problem
from slim.model.limits import Limits


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a", "a"),
        ("a/", "a"),
        ("./a/b", "a/b"),
        ("././a", "a"),
        (".", ""),
        ("./", ""),
        ("...", "..."),
        (".a/b.", ".a/b."),
    ],
)
def test_normalise(name: str, path: str) -> None:
    assert normalise(name, source="x.tar", limits=Limits()) == path


@pytest.mark.parametrize(
    "name", ["", "/", "//", "..", "../", "./..", "a/..", "a//b", "a//", ".//a", "a/.", "a/./b"]
)
def test_normalise_refuses(name: str) -> None:
    with pytest.raises(UnsafeInputError):
        normalise(name, source="x.tar", limits=Limits())


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain/\u00e9.py", "plain/\u00e9.py"),
        ("a\nb", "a\\nb"),
        ("\x1b[31m", "\\x1b[31m"),
        ("a\u202eb", "a\\u202eb"),
        ("\udcff", "\\udcff"),
        (b"\xff\x00", "\\udcff\\x00"),
    ],
)
def test_display(name: str | bytes, shown: str) -> None:
    assert display(name) == shown


def test_display_is_bounded() -> None:
    assert len(display("x" * 100_000)) < 200


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("A.py", "a.py", True),
        ("caf\u00e9", "cafe\u0301", True),
        ("CAF\u00c9", "cafe\u0301", True),
        ("\u1e9e", "\u00df", True),
        ("\u212b", "\u00e5", True),
        ("a", "b", False),
        ("\u0131", "i", False),
    ],
)
def test_fold(one: str, other: str, same: bool) -> None:
    assert (fold(one) == fold(other)) is same


@pytest.mark.parametrize(
    "name",
    [
        "aux",
        "AUX.txt",
        "nul.tar.gz",
        "com1",
        "LPT9.x",
        "com\u00b2",
        "conin$",
        "aux .py",
        "a:b",
        "a?",
        "x.",
        "x ",
    ],
)
def test_windows_problems(name: str) -> None:
    assert windows_problem(name)


@pytest.mark.parametrize("name", ["auxiliary.py", "com10", "console", "a.b", ".x", "lpt", "naux"])
def test_windows_is_fine_with(name: str) -> None:
    assert windows_problem(name) is None
