"""Reading JSON with key paths: what is returned, and what errors say."""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import StrEnum

import pytest

from slim.errors import UnsafeInputError
from slim.system.json_cursor import JsonCursor, JsonSource
from slim.system.key_path import item_path, key_path

SHA = "0123456789abcdef" * 4


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


def cursor(value: object, **more: str) -> JsonCursor:
    return JsonSource(file="x.json", hint="get it again", **more).parse(json.dumps(value).encode())


def test_paths_are_joined() -> None:
    assert key_path("", "a") == "a"
    assert key_path("a", "") == "a"
    assert key_path(item_path(key_path("a", "b"), 2), "c") == "a.b[2].c"


def test_values_come_back() -> None:
    top = cursor({"a": [{"n": 3, "t": "x", "f": True, "s": SHA, "c": "red", "i": -2, "z": None}]})
    (row,) = top["a"].items()
    assert row.path == "a[0]"
    assert (row["n"].number(), row["i"].integer(), row["t"].text()) == (3, -2, "x")
    assert (row["f"].flag(), row["s"].sha256(), row["c"].choice(Colour)) == (True, SHA, Colour.RED)
    assert row["t"].one_of(("x", "y")) == "x"
    assert row.get("z") is None and row.get("nothing") is None
    assert list(row.members()) == ["n", "t", "f", "s", "c", "i", "z"]


def test_names_that_are_no_utf_8() -> None:
    assert cursor({"n": "a"}).name("n") == "a"
    assert cursor({"n": "\ufffd", "n_base64": "/w=="}).name("n") == "\udcff"
    with pytest.raises(UnsafeInputError, match="must be base64") as caught:
        cursor({"n": "\ufffd", "n_base64": "*"}).name("n")
    assert caught.value.place == "n_base64"


@pytest.mark.parametrize(
    ("value", "read", "message"),
    [
        ([], lambda it: it["key"], "must be an object"),
        (1, lambda it: it.members(), "must be an object"),
        ({}, lambda it: it.items(), "must be a list"),
        ({}, lambda it: it.items(expected="an array"), "must be an array"),
        (1, lambda it: it.text(), "must be a string"),
        ("abc", lambda it: it.text(longest=2), "must be a string"),
        (1, lambda it: it.flag(), "must be true or false"),
        (True, lambda it: it.number(), "must be a whole number, 0 or more"),
        (-1, lambda it: it.number(), "must be a whole number, 0 or more"),
        (1.0, lambda it: it.number(), "must be a whole number, 0 or more"),
        (1 << 53, lambda it: it.number(expected="bytes"), "must be bytes"),
        (1 << 53, lambda it: it.integer(), "must be an integer"),
        (SHA.upper(), lambda it: it.sha256(), "must be 64 hexadecimal digits"),
        ("green", lambda it: it.choice(Colour), "must be one of red, blue"),
    ],
)
def test_what_is_not_as_wanted(
    value: object, read: Callable[[JsonCursor], object], message: str
) -> None:
    (item,) = cursor({"rows": [value]})["rows"].items()
    with pytest.raises(UnsafeInputError) as caught:
        read(item)
    assert caught.value.message == message
    assert (caught.value.file, caught.value.place) == ("x.json", "rows[0]")
    assert caught.value.hint == "get it again"


def test_errors_name_the_document_in_an_archive() -> None:
    top = cursor({"a": 1}, document="index.json", missing_hint="another version?")
    with pytest.raises(UnsafeInputError) as caught:
        top["b"]
    assert (caught.value.place, caught.value.hint) == ("index.json: b", "another version?")
    assert caught.value.message == "'b' is missing"
    assert str(top.wrong("no", at="a.b")).startswith("x.json: index.json: a.b: no")
    with pytest.raises(UnsafeInputError, match="not valid JSON") as caught:
        JsonSource(file="x", document="index.json", hint="").parse(b"{")
    assert caught.value.file == "x: index.json"
