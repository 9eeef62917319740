"""The words of a text stand in for the text: the same answers, whatever stands around a word."""

from __future__ import annotations

import pytest

from slim.analysis.imports.halves import may_put_together
from slim.analysis.vocabulary import AnyOf, vocabulary

PIECES = (b"sys.path", b"import_module", b"exec(", b'"-m"', b" files(", b"from sys import", b"-I")
TEXTS = (
    b"",
    b"sys.path",
    b"import sys\nmy_sys.pathlib\n",  # within a longer word
    b"sys .path",
    b"path\nsys.\n",
    b"\xc3\xa9import_module\xc3\xa9",
    b"reimport_modules",
    b"exec (", b"exec(", b"executed(",
    b"['-m', \"-m\"]",
    b"files(a)", b"x files(a)",
    b"from sys\nimport os", b"from  sys import a", b"from sys import a",
    b"a-I", b"a - I",
    b"\r\nimport_module\r",
)  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_pieces_are_found_where_they_stand(text: bytes) -> None:
    for piece in PIECES:
        assert AnyOf(piece).within(text) is (piece in text)
    assert AnyOf(*PIECES).within(text) is any(piece in text for piece in PIECES)
    assert not AnyOf().within(text)


def test_each_word_is_there_once() -> None:
    text = b"import a.b\nfrom a.b import c  # a.b, .c and c_1\n"
    words = vocabulary(text).split(b"\n")
    assert sorted(words) == [b".c", b"a.b", b"and", b"c", b"c_1", b"from", b"import"]


@pytest.mark.parametrize(
    ("text", "may"),
    [
        (b"'te' + 'sts/'", True),
        (b"a.te\" 'sts/'", True),  # the word ends behind a dot
        (b"\xc3\xa9te' + 'sts/'", True),
        (b"xte' + 'sts/'", False),
        (b"_te' + 'sts/'", False),
        (b"te + 'sts/'", False),
        (b"f'{kind}s/' 'test'", True),
        (b"'\\x74ests'", True),
    ],
)
def test_a_word_may_be_put_together_of_pieces(text: bytes, may: bool) -> None:
    assert may_put_together(text) is may
