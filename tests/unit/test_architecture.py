"""The page about the rooms is true of the rooms that there are."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import slim

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
sys.path.insert(0, str(ROOT / "docs"))
import rooms  # noqa: E402  (a script of docs/, not of the package)


def _rooms() -> set[str]:
    top = Path(slim.__file__).parent
    return {path.parent.name for path in top.glob("*/__init__.py")} | {"errors"}


def test_every_room_stands_on_the_page_with_a_sentence() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", PAGE, re.MULTILINE)
    assert {name for name, _ in rows} == _rooms()
    assert all(len(sentence) > 20 for _, sentence in rows)


def test_every_room_has_its_floor_in_the_import_contract() -> None:
    named = [name for row in rooms.floors() for name in row]
    assert sorted(named) == sorted(_rooms())


def test_the_picture_is_of_the_contract() -> None:
    assert rooms.PICTURE.read_text(encoding="utf-8") == rooms.draw(rooms.floors()), (
        "run python docs/rooms.py"
    )
