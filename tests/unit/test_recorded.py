"""Rows of RECORD against the installed files: which are true, and what is said of the others."""

from __future__ import annotations

import base64
import hashlib

import pytest

from slim.formats.base import BytesContent
from slim.inventory.distributions import RecordRow
from slim.inventory.recorded import judge, row_for

DATA = b"certificates\n"


def b64(algorithm: str, data: bytes = DATA) -> str:
    digest = hashlib.new(algorithm, data).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@pytest.mark.parametrize(
    ("digest", "size", "comparable", "true"),
    [
        (f"sha256={b64('sha256')}", "13", True, True),
        (f"sha256={b64('sha256')}=", "13", True, True),
        (f"sha256={b64('sha256')}", "999", True, True),  # the hash says more than the size
        (f"sha384={b64('sha384')}", "13", True, True),
        (f"sha512={b64('sha512')}", "", True, True),
        ("", "", True, True),
        ("", "13", True, True),
        ("", "0013", True, True),
        ("", "14", True, False),
        ("", "9" * 5000, True, False),
        (f"sha256={b64('sha256', b'other')}", "13", True, False),
        (f"sha512={b64('sha512', b'other')}", "13", True, False),
        (f"sha256={hashlib.sha256(DATA).hexdigest()}", "13", False, False),
        (f"md5={b64('md5')}", "13", False, False),
        (f"md5={hashlib.md5(DATA).hexdigest()}", "13", False, False),
        ("shake_128=AAAA", "13", False, False),
        ("klingon=AAAA", "13", False, False),
        ("sha256=", "13", False, False),
        ("sha256=\u00e9", "13", False, False),
        ("sha256", "13", False, False),
        (hashlib.sha256(DATA).hexdigest(), "13", False, False),
    ],
)
def test_rows_are_judged_by_what_they_state(
    digest: str, size: str, comparable: bool, true: bool
) -> None:
    row = RecordRow(path="a", written="a", digest=digest, size=size)
    judged = judge(row, hashlib.sha256(DATA).digest(), BytesContent(DATA))
    assert judged == (comparable, true)


@pytest.mark.parametrize(
    ("digest", "size", "expected"),
    [
        ("sha256=x", "1", (f"sha256={b64('sha256')}", "13")),
        ("sha512=x", "", (f"sha256={b64('sha256')}", "13")),
        ("", "1", ("", "13")),
        ("", "", ("", "")),
    ],
)
def test_a_new_row_states_what_the_old_one_stated(
    digest: str, size: str, expected: tuple[str, str]
) -> None:
    row = RecordRow(path="a", written="a", digest=digest, size=size)
    new = row_for(row, hashlib.sha256(DATA).digest(), len(DATA))
    assert (new.digest, new.size) == expected
