"""Names in strings of code, and readers of long descriptions, however its file is called."""

from __future__ import annotations

import io
import marshal
import zipfile

import pytest

from slim.analysis.code_strings import CodeStrings
from tests.support.virtual_stacks import Contents, make_stack

NAMES = (
    "from importlib import metadata\nx = metadata.distribution('p').read_text('direct_url.json')\n"
)
SHOWS = "import importlib.metadata as m\nx = m.metadata('p').get_payload()\n"
EVERY = (
    "import importlib.metadata as m\nx = [d.metadata.get_payload() for d in m.distributions()]\n"
)
OTHER = "import json\nx = 'a direct_url.json of somebody', json.loads('{}').get('Description')\n"


def compiled(source: str) -> bytes:
    return bytes(16) + marshal.dumps(compile(source, "m.py", "exec"))


def zipped(name: str, content: str | bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return stream.getvalue()


def files_with(source: str) -> dict[str, dict[str, Contents]]:
    """The same code as files of each sort."""
    return {
        "module": {"$site/m.py": source},
        "script": {"bin/tool": f"#!/usr/bin/env python3\n{source}"},
        "bytecode": {"$site/m.pyc": compiled(source)},
        "archive": {"share/tool.dat": zipped("m.py", source)},
        "bytecode in an archive": {"share/tool.zip": zipped("m.pyc", compiled(source))},
    }


SORTS = tuple(files_with(""))


def search(files: dict[str, Contents]) -> CodeStrings:
    made = make_stack({"app-x": files})
    return CodeStrings(made.inventory, made.read)


@pytest.mark.parametrize("sort", SORTS)
def test_a_name_in_a_string_is_found_in_code_of_each_sort(sort: str) -> None:
    found = search(files_with(NAMES)[sort]).naming(["direct_url.json"], lambda _record: True)
    assert list(found) == ["direct_url.json"]
    other = search(files_with(OTHER)[sort]).naming(["direct_url.json"], lambda _record: True)
    assert not other
    assert not search(files_with(NAMES)[sort]).naming(["direct_url.json"], lambda _record: False)


@pytest.mark.parametrize("sort", SORTS)
def test_readers_of_descriptions_are_found_in_code_of_each_sort(sort: str) -> None:
    ((_, strings),) = search(files_with(SHOWS)[sort]).description_readers(lambda _record: True)
    assert strings is not None
    assert "p" in strings
    ((_, strings),) = search(files_with(EVERY)[sort]).description_readers(lambda _record: True)
    assert strings is None
    assert not list(search(files_with(OTHER)[sort]).description_readers(lambda _record: True))


@pytest.mark.parametrize(
    ("path", "text", "is_found"),
    [
        ("share/a.json", '["direct_url.json"]', True),
        ("bin/go.sh", "cat $S/p-1.dist-info/direct_url.json\n", True),
        ("bin/go.sh", "# direct_url.json\n", False),
        ("share/a.json", '["direct_url.json5"]', False),
        ("share/a.md", '"direct_url.json"', False),
        ("$site/p-1.dist-info/sboms/a.json", '"direct_url.json"', False),
    ],
)
def test_texts_that_configure_count_where_they_are_wanted(
    path: str, text: str, is_found: bool
) -> None:
    files = {"$site/p-1.dist-info/METADATA": "Name: p\nVersion: 1\n", path: text}
    found = search(files).naming(["direct_url.json"], lambda _record: True, texts=True)
    assert bool(found) is is_found
    assert not search(files).naming(["direct_url.json"], lambda _record: True)
