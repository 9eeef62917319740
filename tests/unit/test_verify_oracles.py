"""Every editor has an oracle, and what no oracle has judged isn't published."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import slim.verification.native
from slim.formats.base import BytesContent
from slim.passes import EDITORS
from slim.passes.description import without_description
from slim.verification.metadata_text import check as check_metadata
from slim.verification.oracles import ORACLES, Edit, refused_edits
from tests.support.elf_files import build as build_elf
from tests.support.macho_files import LIBRARY
from tests.support.macho_files import build as build_macho
from tests.unit.test_binaries_oracle import TEXT

KEY = ("app-x", "x/x.so")
METADATA = (
    b"Metadata-Version: 2.1\nName: x\nVersion: 1\nRequires-Dist: y\n"
    b"Classifier: A\nClassifier: B\n\n# The long description\n\nOf x.\n"
)


def test_every_editor_has_an_oracle_and_every_oracle_an_editor() -> None:
    assert {editor.oracle for editor in EDITORS.values()} == set(ORACLES)
    assert all(editor.name == name for name, editor in EDITORS.items())


def test_oracles_share_no_code_with_editors() -> None:
    """Numbers by their names in Apple's headers are no code."""
    for file in Path(slim.verification.native.__file__).parent.glob("*.py"):
        imported = re.findall(r"^from (slim\.binaries\S*) import", file.read_text("utf-8"), re.M)
        assert set(imported) <= {"slim.binaries.macho.names"}, file


@pytest.mark.parametrize("data", [build_elf(TEXT), build_macho(LIBRARY)], ids=["elf", "macho"])
@pytest.mark.parametrize("editor", ["elf-symbols", "macho-symbols"])
def test_the_editor_chooses_the_oracle_not_the_file(data: bytes, editor: str) -> None:
    """A good edit that is said to be another editor's is refused: its oracle can't judge it."""
    options = {"level": "unneeded"}
    fitting = "elf-symbols" if data.startswith(b"\x7fELF") else "macho-symbols"
    content = BytesContent(EDITORS[fitting].edit(memoryview(data), options).whole(data))
    refused = refused_edits({KEY: Edit(editor=editor, original=BytesContent(data), edited=content)})
    assert bool(refused) is (editor != fitting)


@pytest.mark.parametrize("editor", ["elf-symbols", "pe-resources"])
def test_an_edit_without_an_oracle_is_refused(editor: str) -> None:
    data = build_elf(TEXT)
    recipe = EDITORS["elf-symbols"].edit(memoryview(data), {"level": "unneeded"})
    content = BytesContent(recipe.whole(data))
    edit = Edit(editor=editor, original=BytesContent(data), edited=content)
    refused = refused_edits({KEY: edit}, oracles={})
    assert refused[KEY].text == f"no oracle judges what the editor {editor} does"


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_metadata_without_its_description_is_accepted(newline: bytes) -> None:
    before = METADATA.replace(b"\n", newline)
    after = without_description(before)
    assert len(after) < len(before)
    assert check_metadata(memoryview(before), memoryview(after)) == []


@pytest.mark.parametrize(
    ("after", "problem"),
    [
        (METADATA.partition(b"\n\n")[0].replace(b"Name: x", b"Name: y"), "headers"),
        (METADATA.partition(b"Requires")[0], "headers"),
        (METADATA.partition(b"\n\n")[0].replace(b"A\n", b"C\n"), "headers"),
        (METADATA.replace(b"The long", b"A"), "description"),
        (METADATA, "smaller"),
    ],
)
def test_metadata_that_says_something_else_is_refused(after: bytes, problem: str) -> None:
    (found,) = check_metadata(memoryview(METADATA), memoryview(after))
    assert problem in found
    edit = Edit(
        editor="metadata-description", original=BytesContent(METADATA), edited=BytesContent(after)
    )
    assert refused_edits({KEY: edit})[KEY].text == found
