"""Names of libraries in Python, binaries and data."""

from __future__ import annotations

import pytest

from slim.analysis.linkage.library_names import MentionKind, scan_binary, scan_python, scan_text

PYTHON = [
    ("CDLL('libfoo.so.1')", "libfoo.so.1", MentionKind.CALL),
    ("ctypes.cdll.LoadLibrary(name='libfoo.so')", "libfoo.so", MentionKind.CALL),
    ("ctypes.cdll['libfoo.so']", "libfoo.so", MentionKind.CALL),
    ("find_library('foo')", "foo", MentionKind.CALL),
    ("ffi.dlopen('libfoo.so', 1)", "libfoo.so", MentionKind.CALL),
    ("np.ctypeslib.load_library('libfoo', folder)", "libfoo", MentionKind.CALL),
    ("CDLL(os.path.join(here, 'lib', 'libfoo.so'))", "libfoo.so", MentionKind.CALL),
    ("CDLL(str(here / 'libfoo.so'))", "libfoo.so", MentionKind.CALL),
    ("CDLL(here + '/libfoo.so')", "libfoo.so", MentionKind.CALL),
    ("CDLL(f'{here}/libfoo.so')", "libfoo.so", MentionKind.CALL),
    ("NAME = b'libfoo.so'", "libfoo.so", MentionKind.LITERAL),
    ("NAME = 'libfoo_' + machine()", "libfoo_\0", MentionKind.LITERAL),
    ("NAME = f'libfoo_{machine()}.so'", "libfoo_\0.so", MentionKind.LITERAL),
    ("NAME = 'libfoo_%s.so.%d' % (machine(), 3)", "libfoo_\0.so.\0", MentionKind.LITERAL),
    ("NAME = 'libfoo_{}.so'.format(machine())", "libfoo_\0.so", MentionKind.LITERAL),
    ("NAME = 'lib' + 'foo' + '.so'", "libfoo.so", MentionKind.LITERAL),
    ("NAME = r'bin\\libfoo.so'", "libfoo.so", MentionKind.LITERAL),
]


@pytest.mark.parametrize(("line", "text", "kind"), PYTHON)
def test_python_names(line: str, text: str, kind: MentionKind) -> None:
    found = scan_python(f"import ctypes\n\n{line}\n".encode()).mentions
    assert (text, kind, 3) in [(mention.text, mention.kind, mention.line) for mention in found]


def test_documentation_is_no_name() -> None:
    source = (
        b'"""Loads libdoc.so with ctypes."""\nimport ctypes\n'
        b'def f():\n    """Or libdoc.so."""\n    return CDLL(x)\n'
    )
    assert "libdoc.so" not in {mention.text for mention in scan_python(source).mentions}


def test_without_a_loader_only_whole_names_count() -> None:
    found = scan_python(b"A = 'libfoo.so.1'\nB = 'libbar_' + x\nfoo.sort()\n").mentions
    assert [(mention.text, mention.kind, mention.line) for mention in found] == [
        ("libfoo.so.1", MentionKind.TEXT, 1)
    ]


@pytest.mark.parametrize(
    ("source", "computed", "lists"),
    [
        ("import os, ctypes\nfor n in os.listdir(d):\n    ctypes.CDLL(n)\n", 3, True),
        (
            "import ctypes\nfrom pathlib import Path\n"
            "for n in Path(d).glob('*.so'): ctypes.CDLL(str(n))\n",
            3,
            True,
        ),
        ("import ctypes\nctypes.CDLL(n)\n", 2, False),
        ("import ctypes, os\nos.listdir('.')\nctypes.CDLL('libc.so.6')\n", None, True),
        ("import ctypes, os\nos.listdir('.')\nctypes.CDLL(None)\n", None, True),
        ("import ctypes\nglobals()\nctypes.CDLL(n)\n", 3, False),
    ],
)
def test_computed_names_and_listings(source: str, computed: int | None, lists: bool) -> None:
    found = scan_python(source.encode())
    assert (found.computed, found.lists) == (computed, lists)


@pytest.mark.parametrize(
    "source",
    [b"import ctypes\nCDLL('libfoo.so' unknown syntax\n", b"import ctypes\nx = 'libfoo.so'\0\n"],
)
def test_what_cannot_be_parsed_is_read_as_text(source: bytes) -> None:
    found = scan_python(source)
    assert [(mention.text, mention.kind) for mention in found.mentions] == [
        ("libfoo.so", MentionKind.LITERAL)
    ]
    assert found.computed is not None


def test_a_tower_of_additions_is_survived() -> None:
    source = b"import ctypes\nx = " + b" + ".join([b"'libfoo.so'"] * 5000) + b"\n"
    assert "libfoo.so" in {mention.text for mention in scan_python(source).mentions}


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (b"\0libfoo.so.1.2\0", {"libfoo.so.1.2"}),
        (b"\0/opt/x/libfoo-1.2.so\0", {"libfoo-1.2.so"}),
        (b"\0libfoo_%s.so\0", {"libfoo_\0.so"}),
        (b"\0%s/lib%.3s.so.%d\0", {"lib\0.so.\0"}),
        (b"\0libfoo.so.1could not open\0", {"libfoo.so.1", "libfoo.so.1could"}),
        (b"\0libfoo.socould not open\0", {"libfoo.so"}),
        (b"\0.so\0x\0", set()),
        (b"\0libfoo.dylib\0", set()),
    ],
)
def test_binary_names(data: bytes, names: set[str]) -> None:
    assert {mention.text for mention in scan_binary(memoryview(data))} == names


def test_binary_offsets_are_of_the_first_occurrence() -> None:
    (found,) = scan_binary(memoryview(b"\0" * 10 + b"libfoo.so\0libfoo.so\0"))
    assert found.offset == 16


def test_text_gives_lines() -> None:
    found = list(scan_text(b'{\n "library_path": "../libvk.so.1"\n}\n'))
    assert [(mention.text, mention.line) for mention in found] == [("libvk.so.1", 2)]
