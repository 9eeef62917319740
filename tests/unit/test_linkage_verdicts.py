"""Linked, signalled, weak or nothing: what becomes of a library, by what speaks of it."""

from __future__ import annotations

import pytest

from slim.analysis.linkage.verdicts import LibraryJudge, LibraryVerdict, is_candidate
from slim.model.record import UNOWNED, EntryType, FileKind, FileRecord, NativeFormat
from tests.support.linked_elf import elf, linkage_of, linked_stack, read_fake
from tests.support.virtual_stacks import SITE, Contents, HardLink, Link

LIB = f"{SITE}/p/libfoo.so.1"
META = f"{SITE}/p-1.0.dist-info/METADATA"
OTHER_META = f"{SITE}/q-1.0.dist-info/METADATA"
HEAD = "Name: x\n\n"


def judge(
    layers: dict[str, dict[str, Contents]], *, gone: frozenset[tuple[str, str]] = frozenset()
) -> dict[str, LibraryVerdict]:
    made = linked_stack(layers)
    found = LibraryJudge.build(linkage_of(made), made.read, gone=gone)
    return {verdict.record.deployed_path: verdict for verdict in found.verdicts(gone).values()}


# What lies beside the library (in the same distribution p, in another one q, or elsewhere), and its
# status.
NEIGHBOURS: list[tuple[str, dict[str, Contents], str]] = [
    ("nothing", {}, "none"),
    (
        "an extension module that needs it",
        {"$site/p/m.so": elf("needed=libfoo.so.1 runpath=$ORIGIN")},
        "linked",
    ),
    (
        "a program that needs it and looks elsewhere",
        {"bin/t": elf("kind=executable needed=libfoo.so.1")},
        "linked",
    ),
    (
        "CDLL with its name",
        {"$site/q.py": "import ctypes\nctypes.CDLL('/x/libfoo.so.1')\n"},
        "signalled",
    ),
    (
        "its name where ctypes is used",
        {"$site/q.py": "import ctypes\nNAME = 'libfoo.so.1'\n"},
        "signalled",
    ),
    ("the name of a link to it", {"$site/q.py": "import cffi\nNAME = 'libfoo.so'\n"}, "signalled"),
    (
        "find_library",
        {"$site/q.py": "from ctypes.util import find_library\nfind_library('foo')\n"},
        "signalled",
    ),
    ("libfoo without an ending", {"$site/q.py": "import ctypes\nNAME = 'libfoo'\n"}, "signalled"),
    (
        "the plain name is no sign",
        {"$site/q.py": "import ctypes\nNAME = 'foo'\nctypes.CDLL(None)\n"},
        "none",
    ),
    ("its name where nothing loads", {"$site/q.py": "NAME = 'libfoo.so.1'\n"}, "weak"),
    ("a prefix", {"$site/q.py": "import ctypes\nctypes.CDLL('libfoo.' + ending())\n"}, "weak"),
    ("a prefix in a variable", {"$site/q.py": "import ctypes\nA = 'libfo'\n"}, "none"),
    ("too short a prefix", {"$site/q.py": "import ctypes\nA = 'libf'\n"}, "none"),
    ("a suffix", {"$site/q.py": "import ctypes\nA = here() + 'bfoo.so.1'\n"}, "weak"),
    (
        "a wide pattern in another distribution",
        {"$site/q.py": "import ctypes\nA = f'lib{x}.so'\n"},
        "none",
    ),
    (
        "a wide pattern in its own",
        {"$site/p/__init__.py": "import ctypes\nA = f'lib{x}.so'\n"},
        "weak",
    ),
    ("a data file", {"$site/p/icd.json": '{"library_path": "./libfoo.so.1"}'}, "weak"),
    ("a script", {"bin/run": "#!/bin/sh\nLD_PRELOAD=libfoo.so.1 exec x\n"}, "signalled"),
    ("a script that sources it", {"env.sh": "export LD_PRELOAD=$here/libfoo.so.1\n"}, "signalled"),
    (
        "Python without a suffix",
        {"bin/run": "#!/usr/bin/env python3\nimport ctypes\nctypes.CDLL('libfoo.so.1')\n"},
        "signalled",
    ),
    ("a script that names another", {"bin/run": "#!/bin/sh\nLD_PRELOAD=libfoot.so.1 x\n"}, "none"),
    (
        "the metadata of its distribution",
        {"$site/p-1.0.dist-info/RECORD_OLD": "p/libfoo.so.1,,\n"},
        "none",
    ),
    (
        "the build's configuration",
        {"lib/_sysconfigdata_x.py": "import ctypes\nA = 'libfoo.so.1'\n"},
        "none",
    ),
    ("documentation", {"$site/q.md": "libfoo.so.1"}, "none"),
    ("another binary that names it", {"$site/q/m.so": elf("", "libfoo.so.1")}, "signalled"),
    (
        "a binary that runs it into its neighbour",
        {"$site/q/m.so": elf("", "errorlibfoo.so.1could")},
        "signalled",
    ),
    ("a pattern in a binary", {"$site/q/m.so": elf("", "libfoo.so.%d")}, "weak"),
    (
        "a wide pattern in a binary, even of its own",
        {"$site/p/m.so": elf("", "lib%s.so.1")},
        "none",
    ),
    ("a binary that is unused itself", {"$site/q/libbar.so": elf("", "libfoo.so.1")}, "none"),
    (
        "a distribution that loads what it lists",
        {"$site/p/load.py": "import os, ctypes\nfor n in os.listdir(d): ctypes.CDLL(n)\n"},
        "weak",
    ),
    (
        "another distribution that loads what it lists",
        {"$site/q.py": "import os, ctypes\nfor n in os.listdir(d): ctypes.CDLL(n)\n"},
        "none",
    ),
]


@pytest.mark.parametrize(
    ("files", "status"), [case[1:] for case in NEIGHBOURS], ids=[case[0] for case in NEIGHBOURS]
)
def test_status(files: dict[str, Contents], status: str) -> None:
    base: dict[str, Contents] = {
        META: HEAD,
        LIB: elf("soname=libfoo.so.1", "libfoo.so.1"),
        f"{SITE}/p/libfoo.so": Link("libfoo.so.1"),
    }
    verdict = judge({"plain": {**base, **files}})[f"plain/{LIB}"]
    assert verdict.status.value == status
    assert bool(verdict.evidence) == (status != "none")


def test_a_program_needs_what_it_finds() -> None:
    found = judge(
        {
            "plain": {
                "bin/t": elf("kind=executable needed=libfoo.so runpath=$ORIGIN/../lib"),
                "lib/libfoo.so": elf(),
            }
        }
    )
    assert found["plain/lib/libfoo.so"].status.value == "linked"


def test_use_spreads_along_chains_in_the_strength_it_began_with() -> None:
    chain: dict[str, Contents] = {
        "l/liba.so": elf("needed=libb.so runpath=$ORIGIN"),
        "l/libb.so": elf("", "libcee.so"),
        "l/libcee.so": elf(),
    }
    start: dict[str, tuple[dict[str, Contents], list[str]]] = {
        "none": ({}, ["none", "none", "none"]),
        "weak": ({"p.py": "A = 'liba.so'\n"}, ["weak", "weak", "weak"]),
        "signalled": (
            {"p.py": "import ctypes\nA = 'liba.so'\n"},
            ["signalled", "linked", "signalled"],
        ),
        "linked": (
            {"l/m.so": elf("needed=liba.so runpath=$ORIGIN")},
            ["linked", "linked", "signalled"],
        ),
    }
    for files, expected in start.values():
        found = judge({"plain": {**chain, **files}})
        assert [
            found[f"plain/l/{name}.so"].status.value for name in ("liba", "libb", "libcee")
        ] == expected


def test_two_unused_libraries_that_need_each_other_are_unused() -> None:
    found = judge(
        {
            "plain": {
                "l/liba.so": elf("needed=libb.so runpath=$ORIGIN"),
                "l/libb.so": elf("needed=liba.so runpath=$ORIGIN"),
            }
        }
    )
    assert {verdict.status.value for verdict in found.values()} == {"none"}


def test_what_is_gone_uses_nothing() -> None:
    files: dict[str, Contents] = {
        "p/m.so": elf("needed=liba.so runpath=$ORIGIN"),
        "p/liba.so": elf(),
        "p/libb.so": elf(),
        "p/tests.py": "import ctypes\nctypes.CDLL('libb.so')\n",
    }
    assert [v.status.value for v in judge({"plain": files}).values()] == ["linked", "signalled"]
    gone = frozenset({("plain", "p/m.so"), ("plain", "p/tests.py")})
    assert [v.status.value for v in judge({"plain": files}, gone=gone).values()] == ["none", "none"]


def test_the_second_copy_is_linked_once_the_first_is_gone() -> None:
    files: dict[str, Contents] = {
        "p/m.so": elf("needed=libx.so runpath=$ORIGIN/a:$ORIGIN/b"),
        "p/a/libx.so": elf(),
        "p/b/libx.so": elf(),
    }
    assert [v.status.value for v in judge({"plain": files}).values()] == ["linked", "none"]
    gone = frozenset({("plain", "p/a/libx.so")})
    assert judge({"plain": files}, gone=gone)["plain/p/b/libx.so"].status.value == "linked"


@pytest.mark.parametrize(
    ("path", "content", "candidate"),
    [
        ("p/libfoo.so", elf(), True),
        ("p/libfoo.so.1", elf("interpreter=/lib64/ld.so"), True),
        ("p/libfoo.so", elf("inits=PyInit_libfoo"), False),
        ("p/libfoo.so", elf("inits=PyInit_other"), True),
        ("p/tests/m.cpython-313-x86_64-linux-gnu.so", elf(), False),
        ("p/m.abi3.so", elf(), False),
        ("bin/tool", elf("kind=executable"), False),
        ("p/libfoo.so", "not ELF at all", False),
    ],
)
def test_candidates(path: str, content: Contents, candidate: bool) -> None:
    assert bool(judge({"plain": {path: content}})) == candidate


def test_an_extension_module_of_the_tests_is_no_library() -> None:
    dynamic = read_fake(memoryview(elf()))
    for name, candidate in (
        ("m.cpython-313-x86_64-linux-gnu.so", False),
        ("m.abi3.so", False),
        ("libm.so", True),
    ):
        record = FileRecord(
            layer="plain",
            path=f"p/tests/{name}",
            type=EntryType.FILE,
            kind=FileKind.TESTS,
            owner=UNOWNED,
            size=1,
            mode=0o644,
            native=NativeFormat.ELF,
        )
        assert is_candidate(record, dynamic) == candidate


def test_another_layer_that_shares_the_process_counts_and_a_sibling_application_does_not() -> None:
    layers: dict[str, dict[str, Contents]] = {
        "framework-a": {"f/libfoo.so": elf()},
        "app-b": {"p/libbar.so": elf(), "p/load.py": "import ctypes\nctypes.CDLL('libfoo.so')\n"},
        "app-c": {"p/load.py": "import ctypes\nctypes.CDLL('libbar.so')\n"},
    }
    found = judge(layers)
    assert found["framework-a/f/libfoo.so"].status.value == "signalled"
    assert found["app-b/p/libbar.so"].status.value == "none"


def test_plugin_folders_and_hard_links() -> None:
    found = judge(
        {
            "plain": {
                f"{SITE}/p/plugins/libone.so": elf(),
                f"{SITE}/p/lib/libtwo.so": elf(),
                f"{SITE}/p/lib/libtwo_alias.so": HardLink(f"{SITE}/p/lib/libtwo.so"),
                f"{SITE}/q.py": "import ctypes\nctypes.CDLL('libtwo_alias.so')\n",
            }
        }
    )
    assert [(path.rpartition("/")[2], v.status.value) for path, v in found.items()] == [
        ("libtwo.so", "signalled"),
        ("libone.so", "weak"),
    ]


def test_evidence_says_where() -> None:
    found = judge(
        {"plain": {"p/libfoo.so": elf(), "p/a.py": "import ctypes\n\nctypes.CDLL('libfoo.so')\n"}}
    )
    (evidence,) = found["plain/p/libfoo.so"].evidence
    assert str(evidence) == "opens libfoo.so (plain/p/a.py:3)"
