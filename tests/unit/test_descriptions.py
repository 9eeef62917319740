"""Code that shows the long description of a distribution, by its text."""

from __future__ import annotations

import pytest

from slim.analysis.summary import Described, described_by

START = "import importlib.metadata as m\n"
SHOWN = {
    "nothing": ("x = m.version('pkg')", Described.NONE),
    "a header": ("x = m.metadata('pkg')['Name']", Described.NONE),
    "its payload": ("x = m.metadata('pkg').get_payload()", Described.NAMED),
    "every payload": ("x = [d.metadata.get_payload() for d in m.distributions()]", Described.EVERY),
    "its text": ("x = str(m.metadata('pkg'))", Described.NAMED),
    "its items": ("x = m.metadata('pkg').items()", Described.NAMED),
    "a table of them": ("x = dict(m.metadata('pkg'))", Described.NAMED),
    "a file in a list": (
        "for n in ('METADATA', 'WHEEL'): m.distribution('pkg').read_text(n)",
        Described.NAMED,
    ),
    "a file by its place": ("x = d.locate_file('pkg-1.dist-info/METADATA')", Described.NAMED),
    "files of every distribution": (
        "for d in m.distributions(): d.read_text(name or 'METADATA')",
        Described.NAMED,
    ),
}


@pytest.mark.parametrize("case", SHOWN)
def test_who_shows_descriptions(case: str) -> None:
    code, expected = SHOWN[case]
    assert described_by((START + code).encode()) is expected


def test_a_path_alone_shows_one() -> None:
    assert described_by(b"x = glob(site + '/pkg-*.dist-info/METADATA')") is Described.NAMED
    assert described_by(b"x = glob(site + '/pkg-*.dist-info/RECORD')") is Described.NONE
