"""Recipes of edited files: what is kept, what is written, and what of it is read."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from slim.formats.base import BytesContent
from slim.formats.edited import EditedContent
from slim.model.recipe import Kept, Piece, Recipe, Zeros

ORIGINAL = bytes(range(256)) * 3

_KEPT = st.integers(0, len(ORIGINAL)).flatmap(
    lambda start: st.builds(Kept, st.just(start), st.integers(0, len(ORIGINAL) - start))
)
_PIECES = st.lists(
    st.one_of(_KEPT, st.builds(Zeros, st.integers(0, 40)), st.binary(max_size=40)), max_size=8
)


def made(pieces: list[Piece]) -> bytes:
    """The edited file, put together without a recipe."""
    found = bytearray()
    for piece in pieces:
        match piece:
            case Kept(start=start, size=size):
                found += ORIGINAL[start : start + size]
            case Zeros(size=size):
                found += bytes(size)
            case written:
                found += written
    return bytes(found)


@given(_PIECES)
def test_a_recipe_makes_what_its_pieces_say(pieces: list[Piece]) -> None:
    recipe, expected = Recipe(tuple(pieces)), made(pieces)
    assert recipe.whole(ORIGINAL) == expected
    assert recipe.size == len(expected)
    assert recipe.held == sum(len(piece) for piece in pieces if isinstance(piece, bytes))


@given(_PIECES, st.integers(0, 900), st.integers(0, 900))
def test_any_range_of_it_can_be_read(pieces: list[Piece], start: int, end: int) -> None:
    found = Recipe(tuple(pieces)).read(memoryview(ORIGINAL), start, end)
    assert found == made(pieces)[start:end]


@given(_PIECES, st.binary(max_size=50))
def test_the_original_may_lie_in_a_larger_file(pieces: list[Piece], before: bytes) -> None:
    recipe = Recipe(tuple(pieces)).within(len(before))
    assert recipe.whole(before + ORIGINAL + b"after") == made(pieces)


@given(_PIECES)
def test_an_edited_content_is_the_recipe_over_its_original(pieces: list[Piece]) -> None:
    recipe = Recipe(tuple(pieces))
    with tempfile.TemporaryDirectory() as folder:
        content = EditedContent(
            original=BytesContent(ORIGINAL),
            recipe=recipe,
            size=recipe.size,
            spool_dir=Path(folder),
        )
        assert b"".join(content.chunks()) == bytes(content.view()) == made(pieces)
