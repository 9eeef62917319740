"""RECORD, METADATA, licences."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slim.errors import UnsafeInputError
from slim.inventory.distributions import is_licence_name, parse_record, render_record

SITE = "lib/python3.13/site-packages"


def parse(text: str) -> list[tuple[str, str, str]]:
    return [
        (row.path, row.digest, row.size) for row in parse_record(text, site=SITE, file="a/RECORD")
    ]


def test_paths_become_relative_to_the_layer() -> None:
    text = 'a/b.py,sha256=x,3\n../../../bin/tool,,\n"with,comma.py",,\n'
    assert parse(text) == [
        (f"{SITE}/a/b.py", "sha256=x", "3"),
        ("bin/tool", "", ""),
        (f"{SITE}/with,comma.py", "", ""),
    ]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("../../x/../../../../y,,\n", "leads out"),
        ("../../../../x,,\n", "leads out"),
        ("/etc/x,,\n", "absolute"),
        ("C:/x,,\n", "absolute"),
        ("a.py,,\na.py,,\n", "stands twice"),
        ("a.py,,\n./a.py,,\n", "stands twice"),
        ("a.py,,,,,\n", "6 columns"),
        ("a.py\n", "1 columns"),
        ("a.py,sha256=x,-1\n", "not a size"),
        ("x" * 40_000 + ",,\n", "characters"),
        ("x" * 200_000 + ",,\n", "not valid CSV"),
        ('"a.py,,\n', "not valid CSV"),
    ],
)
def test_what_the_specification_forbids_is_refused_with_its_line(text: str, word: str) -> None:
    with pytest.raises(UnsafeInputError) as caught:
        parse(text)
    assert word in caught.value.message
    assert caught.value.file == "a/RECORD"
    assert caught.value.place is not None and caught.value.place.startswith("line ")


@given(
    st.lists(
        st.tuples(
            st.text(
                st.characters(exclude_characters="\0", exclude_categories=["Cs"]),
                min_size=1,
                max_size=20,
            ),
            st.sampled_from(["", "sha256=abc"]),
            st.sampled_from(["", "0", "17"]),
        ),
        max_size=8,
    )
)
def test_a_record_that_is_accepted_is_written_back_the_same(
    rows: list[tuple[str, str, str]],
) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows(rows)
    try:
        parsed = parse_record(out.getvalue(), site=SITE, file="RECORD")
    except UnsafeInputError:
        return
    assert all(not row.path.startswith(("/", "../")) and row.path != ".." for row in parsed)
    again = parse_record(render_record(parsed), site=SITE, file="RECORD")
    assert again == parsed


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("numpy/LICENSE", True),
        ("x/licence.md", True),
        ("x/COPYING.LESSER", True),
        ("NOTICE", True),
        ("a/LICENSE-APACHE", True),
        ("AUTHORS.rst", True),
        ("a/license.py", False),
        ("a/licensing.txt", False),
        ("a/notices/data.bin", False),
        ("a/copyright.h", False),
    ],
)
def test_licence_names(path: str, expected: bool) -> None:
    assert is_licence_name(path) is expected
