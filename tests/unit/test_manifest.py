"""Manifests: order of layers, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from slim.errors import SlimError, UnsafeInputError
from slim.inventory.manifest import layers_from_manifest, read_json

PATH = Path("venvstacks.json")


def entry(name: str, **more: Any) -> dict[str, Any]:
    return {"install_target": name, "layer_name": name, "runtime_layer": "cpython", **more}


def manifest(**sections: Any) -> dict[str, Any]:
    return {"layers": {"runtimes": [entry("cpython")], **sections}}


def archive(**more: Any) -> dict[str, Any]:
    return {
        "archive_name": "a.tar.xz",
        "archive_size": 1,
        "archive_hashes": {"sha256": "0" * 64},
        **more,
    }


def test_layers_come_in_dependency_order_and_know_all_below() -> None:
    layers = layers_from_manifest(
        PATH,
        manifest(
            applications=[entry("app", required_layers=["upper"])],
            frameworks=[entry("upper", required_layers=["lower"]), entry("lower")],
        ),
    )
    assert [layer.name for layer in layers] == ["cpython", "lower", "upper", "app"]
    assert layers[-1].requires == ("upper", "lower", "cpython")
    assert layers[1].requires == ("cpython",)


def test_unknown_keys_are_kept_with_the_layer() -> None:
    (layer,) = layers_from_manifest(
        PATH, {"layers": {"runtimes": [entry("cpython", colour={"a": [1]})]}}
    )
    assert layer.entry["colour"] == {"a": [1]}


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ([], "no layers"),
        ({"layers": {}}, "no layers"),
        ({"layers": {"runtimes": []}}, "names no layer"),
        ({"layers": {"runtimes": {}}}, "must be a list"),
        ({"layers": {"runtimes": ["x"]}}, "must be an object"),
        (manifest(frameworks=[entry("a", required_layers=["gone"])]), "doesn't name"),
        (manifest(frameworks=[entry("a", required_layers="b")]), "must be a list"),
        (
            manifest(
                frameworks=[entry("a", required_layers=["b"]), entry("b", required_layers=["a"])]
            ),
            "each other",
        ),
        (manifest(frameworks=[entry("a"), entry("a")]), "two layers"),
        (manifest(frameworks=[entry("../a")]), "plain file or folder name"),
        (manifest(frameworks=[entry("..")]), "plain file or folder name"),
        (manifest(frameworks=[entry("a\nb")]), "plain file or folder name"),
        (
            manifest(frameworks=[entry("a", **archive(archive_name="../a.tar.xz"))]),
            "plain file or folder name",
        ),
        (manifest(frameworks=[entry("a", **archive(archive_size=-1))]), "number of bytes"),
        (manifest(frameworks=[entry("a", **archive(archive_size=True))]), "number of bytes"),
        (
            manifest(frameworks=[entry("a", **archive(archive_hashes={"sha256": "xyz"}))]),
            "64 hexadecimal",
        ),
        (
            manifest(frameworks=[entry("a", **archive()), entry("b", **archive())]),
            "archive of two layers",
        ),
    ],
)
def test_malformed_manifests_are_refused_with_their_place(value: object, word: str) -> None:
    with pytest.raises(UnsafeInputError) as caught:
        layers_from_manifest(PATH, value)
    assert word in caught.value.message
    assert caught.value.file == str(PATH)


@pytest.mark.parametrize(
    "text",
    [
        b'{"a": 1, "a": 2}',
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b"[" * 200_000,
        b'{"a": ' + b"9" * 5000 + b"}",
        b"\xef\xbb\xbf{}",
        b'{"a": "\\ud800"}',
        b'{"a": "\xff"}',
        b"{",
        b"",
    ],
)
def test_json_that_is_not_strict_is_refused(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(text)
    with pytest.raises(UnsafeInputError) as caught:
        read_json(path)
    assert caught.value.exit_code == 3
    assert caught.value.file == str(path)


def test_a_missing_manifest_is_an_io_error(tmp_path: Path) -> None:
    with pytest.raises(SlimError) as caught:
        read_json(tmp_path / "none.json")
    assert caught.value.exit_code == 6


def test_plain_json_comes_back_as_it_was(tmp_path: Path) -> None:
    value = {"a": [1, 2.5, None, "ä", {"b": True}]}
    path = tmp_path / "x.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    assert read_json(path) == value
