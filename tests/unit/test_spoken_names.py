"""Words that may stand for a library, in a stack of which more or less goes."""

from __future__ import annotations

import pytest

from slim.analysis.linkage.spoken import SpokenNames
from slim.model.record import FileRecord
from tests.support.linked_elf import elf
from tests.support.virtual_stacks import Contents, make_stack

LIBRARY = "$site/p.libs/libQuux-1a2b3c4d.so.5"


def searched(files: dict[str, Contents]) -> tuple[SpokenNames, dict[str, FileRecord]]:
    """The search in a stack of one layer, and its files by name."""
    made = make_stack({"app-x": {LIBRARY: elf(), **files}})
    records = {record.path.rpartition("/")[2]: record for record in made.facts.inventory}
    return SpokenNames(made.facts.inventory, made.facts.read), records


@pytest.mark.parametrize(
    ("content", "speaks"),
    [
        (b"load('quux')", True),
        (b"QUUX", True),
        (b"\0libquux\0", True),
        (b"x" * ((4 << 20) - 2) + b" quux.", True),  # where one piece ends and another begins
        (b"x" * (4 << 20) + b"quux", False),
        (b"quuxes, requux", False),
        (b"requux and quux", True),
        (b"open(join(here, 'p.libs'))", True),
        (b"x + '.libs/'", True),
        (b"qu ux", False),
    ],
)
def test_what_speaks_of_a_library(content: bytes, speaks: bool) -> None:
    search, records = searched({"$site/p/a.py": content})
    library = records["libQuux-1a2b3c4d.so.5"]
    assert (library.key in search.speakers([library])) == speaks


def test_what_was_silent_is_not_asked_again_and_what_had_gone_is() -> None:
    search, records = searched({"$site/p/a.py": "quux", "$site/p/b.py": "'Quux'", "$site/p/c": ""})
    library = records["libQuux-1a2b3c4d.so.5"]

    def speaker(*gone: str) -> str:
        found = search.speakers([library], [records[name].key for name in gone])
        return str(found[library.key].file).rpartition("/")[2] if found else ""

    assert speaker("a.py", "b.py", "c") == ""
    assert speaker("a.py", "b.py") == ""
    assert speaker("a.py") == "b.py"
    assert speaker("b.py") == "a.py"
    assert speaker() == "a.py"
    assert speaker("a.py", "b.py", "c") == ""
