"""Needed names on Linux, and the files that answer: the rules of ld.so.

The stacks exist as text only.
"""

from __future__ import annotations

import pytest

from slim.analysis.linkage.linux import expand
from slim.analysis.linkage.virtual_tree import VirtualTree
from tests.support.linked_elf import elf, linkage_of, linked_stack, read_fake, record_of
from tests.support.virtual_stacks import SITE, Contents, HardLink, Link

P = f"{SITE}/p"

LIB = elf("soname=libx.so.1")

# name of the case, layers, who is asked, and its needed names: (name, target, how)
CASES: list[tuple[str, dict[str, dict[str, Contents]], str, list[tuple[str, str | None, str]]]] = [
    (
        "RUNPATH with $ORIGIN",
        {
            "plain": {
                "p/m.so": elf("needed=libx.so.1 runpath=$ORIGIN/../p.libs"),
                "p.libs/libx.so.1": LIB,
            }
        },
        "plain/p/m.so",
        [("libx.so.1", "plain/p.libs/libx.so.1", "runpath")],
    ),
    (
        "RPATH with ${ORIGIN}",
        {"plain": {"p/m.so": elf("needed=libx.so.1 rpath=${ORIGIN}"), "p/libx.so.1": LIB}},
        "plain/p/m.so",
        [("libx.so.1", "plain/p/libx.so.1", "rpath")],
    ),
    (
        "RUNPATH switches RPATH off",
        {
            "plain": {
                "p/m.so": elf("needed=libx.so.1 rpath=$ORIGIN/a runpath=$ORIGIN/b"),
                "p/a/libx.so.1": elf(),
                "p/b/libx.so.1": elf(),
            }
        },
        "plain/p/m.so",
        [("libx.so.1", "plain/p/b/libx.so.1", "runpath")],
    ),
    (
        "$LIB is lib64 first, and lib too",
        {
            "plain": {
                "p/m.so": elf("needed=libx.so.1 runpath=$ORIGIN/../$LIB"),
                "lib/libx.so.1": LIB,
            }
        },
        "plain/p/m.so",
        [("libx.so.1", "plain/lib/libx.so.1", "runpath")],
    ),
    (
        "the host's folders aren't ours",
        {"plain": {"p/m.so": elf("needed=libx.so.1 runpath=/plain/p:p"), "p/libx.so.1": elf()}},
        "plain/p/m.so",
        [("libx.so.1", None, "host")],
    ),
    (
        "a library for another machine is passed over",
        {
            "plain": {
                "p/m.so": elf("needed=libx.so.1 runpath=$ORIGIN/a:$ORIGIN/b:$ORIGIN/c"),
                "p/a/libx.so.1": elf("machine=aarch64"),
                "p/b/libx.so.1": elf("machine=x86_64 bits=32"),
                "p/c/libx.so.1": elf(),
            }
        },
        "plain/p/m.so",
        [("libx.so.1", "plain/p/c/libx.so.1", "runpath")],
    ),
    (
        "a chain of version links",
        {
            "plain": {
                "p/m.so": elf("needed=libx.so runpath=$ORIGIN"),
                "p/libx.so": Link("libx.so.1"),
                "p/libx.so.1": Link("libx.so.1.2"),
                "p/libx.so.1.2": LIB,
            }
        },
        "plain/p/m.so",
        [("libx.so", "plain/p/libx.so.1.2", "runpath")],
    ),
    (
        "through a linked folder",
        {
            "plain": {
                "p/m.so": elf("needed=libx.so.1 runpath=$ORIGIN/../lib64"),
                "lib64": Link("lib"),
                "lib/libx.so.1": LIB,
            }
        },
        "plain/p/m.so",
        [("libx.so.1", "plain/lib/libx.so.1", "runpath")],
    ),
    (
        "links in a circle lead nowhere",
        {
            "plain": {
                "p/m.so": elf("needed=libx.so runpath=$ORIGIN"),
                "p/libx.so": Link("liby.so"),
                "p/liby.so": Link("libx.so"),
            }
        },
        "plain/p/m.so",
        [("libx.so", None, "host")],
    ),
    (
        "a link out of the common folder leads nowhere",
        {
            "plain": {
                "p/m.so": elf("needed=libx.so runpath=$ORIGIN"),
                "p/libx.so": Link("../../../usr/lib/libx.so"),
            }
        },
        "plain/p/m.so",
        [("libx.so", None, "host")],
    ),
    (
        "a hard link is the file",
        {
            "plain": {
                "p/m.so": elf("needed=libx.so runpath=$ORIGIN"),
                "p/libx.so": HardLink("lib/libx.so.1"),
                "lib/libx.so.1": LIB,
            }
        },
        "plain/p/m.so",
        [("libx.so", "plain/lib/libx.so.1", "runpath")],
    ),
    (
        "RPATH is inherited from the loader",
        {
            "plain": {
                "p/m.so": elf("needed=libx.so.1 rpath=$ORIGIN/libs"),
                "p/libs/libx.so.1": elf("needed=libz.so"),
                "p/libs/libz.so": elf(),
            }
        },
        "plain/p/libs/libx.so.1",
        [("libz.so", "plain/p/libs/libz.so", "rpath")],
    ),
    (
        "RUNPATH isn't inherited",
        {
            "plain": {
                "p/m.so": elf("needed=libx.so.1 runpath=$ORIGIN/libs"),
                "p/libs/libx.so.1": elf("needed=libz.so"),
                "p/libs/libz.so": elf(),
            }
        },
        "plain/p/libs/libx.so.1",
        [("libz.so", None, "host")],
    ),
    (
        "the interpreter's RPATH counts for all",
        {
            "cpython3.13": {
                "bin/python3.13": elf("kind=executable rpath=$ORIGIN/../lib"),
                "lib/libz.so.1": elf(),
                f"{P}/m.so": elf("needed=libz.so.1"),
            }
        },
        f"cpython3.13/{P}/m.so",
        [("libz.so.1", "cpython3.13/lib/libz.so.1", "rpath")],
    ),
    (
        "a library path of the layers below",
        {
            "framework-a": {
                f"{P}/libx.so": LIB,
                "share/venv/dynlib/libx.so": Link(f"../../../{P}/libx.so"),
            },
            "app-b": {f"{P}/m.so": elf("needed=libx.so")},
        },
        f"app-b/{P}/m.so",
        [("libx.so", f"framework-a/{P}/libx.so", "library-path")],
    ),
    (
        "RPATH comes before the library path, RUNPATH after it",
        {
            "framework-a": {
                "f/libx.so": elf(),
                "f/liby.so": elf(),
                "share/venv/dynlib/libx.so": Link("../../../f/libx.so"),
                "share/venv/dynlib/liby.so": Link("../../../f/liby.so"),
            },
            "app-b": {
                "p/m.so": elf("needed=libx.so rpath=$ORIGIN"),
                "p/n.so": elf("needed=liby.so runpath=$ORIGIN"),
                "p/libx.so": elf(),
                "p/liby.so": elf(),
            },
        },
        "app-b/p/m.so",
        [("libx.so", "app-b/p/libx.so", "rpath")],
    ),
    (
        "what is loaded already answers by its soname",
        {
            "plain": {
                "p/m.so": elf("needed=libbase.so:libtop.so runpath=$ORIGIN"),
                "p/libbase.so": elf("soname=libbase.so.9"),
                "p/libtop.so": elf("needed=libbase.so.9"),
            }
        },
        "plain/p/libtop.so",
        [("libbase.so.9", "plain/p/libbase.so", "loaded")],
    ),
    (
        "a preloaded library: nothing is found by name, one has the soname",
        {
            "plain": {
                "p/m.so": elf("needed=libcudart.so.12"),
                "nvidia/libcudart.so": elf("soname=libcudart.so.12"),
            }
        },
        "plain/p/m.so",
        [("libcudart.so.12", "plain/nvidia/libcudart.so", "soname")],
    ),
    (
        "a copy with the same soname isn't asked where the search finds one",
        {
            "plain": {
                "p/m.so": elf("needed=libx.so.1 runpath=$ORIGIN"),
                "p/libx.so.1": LIB,
                "p/libx.so": LIB,
            }
        },
        "plain/p/m.so",
        [("libx.so.1", "plain/p/libx.so.1", "runpath")],
    ),
    (
        "two applications never share a process",
        {
            "app-a": {"p/libx.so": LIB},
            "app-b": {"p/m.so": elf("needed=libx.so.1")},
        },
        "app-b/p/m.so",
        [("libx.so.1", None, "host")],
    ),
    (
        "folders for newer processors are searched",
        {
            "plain": {
                "p/m.so": elf("needed=libx.so.1 runpath=$ORIGIN"),
                "p/glibc-hwcaps/x86-64-v3/libx.so.1": LIB,
            }
        },
        "plain/p/m.so",
        [("libx.so.1", "plain/p/glibc-hwcaps/x86-64-v3/libx.so.1", "runpath")],
    ),
    (
        "a needed path",
        {"plain": {"p/m.so": elf("needed=$ORIGIN/q/libx.so.1"), "p/q/libx.so.1": elf()}},
        "plain/p/m.so",
        [("$ORIGIN/q/libx.so.1", "plain/p/q/libx.so.1", "path")],
    ),
]


@pytest.mark.parametrize(
    ("layers", "asker", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_needed(
    layers: dict[str, dict[str, Contents]], asker: str, expected: list[tuple[str, str | None, str]]
) -> None:
    made = linked_stack(layers)
    linkage = linkage_of(made)
    found = linkage.needed(record_of(made.inventory, asker))
    got = {
        (item.name, item.target.deployed_path if item.target else None, item.found_by.value)
        for item in found
    }
    assert got == set(expected)


def test_each_process_has_its_own_library_path() -> None:
    """A library that is only in a search path of the process of the application above its layer."""
    made = linked_stack(
        {
            "framework-a": {
                "f/m.so": elf("needed=libx.so"),
                "f/libs/libx.so": elf(),
                "share/venv/dynlib/libx.so": Link("../../../f/libs/libx.so"),
            },
            "app-b": {"f/main.py": ""},
        }
    )
    linkage = linkage_of(made)
    (found,) = linkage.needed(record_of(made.inventory, "framework-a/f/m.so"))
    assert (found.context, found.found_by.value) == ("app-b", "library-path")


def test_origin_is_the_folder_of_the_link_that_was_found() -> None:
    """ld.so takes $ORIGIN from the path it opened: a link moves its target's RUNPATH away."""
    made = linked_stack(
        {
            "framework-a": {
                "f/libx.so": elf("needed=libz.so runpath=$ORIGIN"),
                "f/libz.so": elf(),
                "share/venv/dynlib/libx.so": Link("../../../f/libx.so"),
            },
            "app-b": {"p/m.so": elf("needed=libx.so")},
        }
    )
    linkage = linkage_of(made)
    # Alone, libx finds libz beside it; through the link it doesn't, and with it gone nothing breaks
    # there.
    assert linkage.resolved_links()[(("framework-a", "f/libx.so"), "libz.so")] == (
        "framework-a",
        "f/libz.so",
    )
    edges = [str(link) for link in linkage.broken_links({("framework-a", "f/libz.so")})]
    assert {edge.partition(" (")[0] for edge in edges} == {
        "framework-a/f/libx.so needs libz.so, which was framework-a/f/libz.so"
    }


def test_dependents_and_unresolved() -> None:
    made = linked_stack(
        {
            "plain": {
                "p/a.so": elf("needed=libx.so:libc.so.6 runpath=$ORIGIN"),
                "p/b.so": elf("needed=libx.so runpath=$ORIGIN"),
                "p/libx.so": elf(),
            }
        }
    )
    linkage = linkage_of(made)
    target = record_of(made.inventory, "plain/p/libx.so")
    assert [user.path for user in linkage.dependents(target)] == ["p/a.so", "p/b.so"]
    assert [user.path for user in linkage.dependents(target, gone={("plain", "p/a.so")})] == [
        "p/b.so"
    ]
    assert [(record.path, name) for record, name in linkage.unresolved()] == [
        ("p/a.so", "libc.so.6")
    ]


def test_broken_links_names_the_process_and_spares_what_has_a_second_copy() -> None:
    made = linked_stack(
        {
            "plain": {
                "p/m.so": elf("needed=libx.so:liby.so runpath=$ORIGIN/a:$ORIGIN/b"),
                "p/a/libx.so": elf(),
                "p/b/libx.so": elf(),
                "p/a/liby.so": elf(),
            }
        }
    )
    linkage = linkage_of(made)
    (broken,) = linkage.broken_links({("plain", "p/a/libx.so"), ("plain", "p/a/liby.so")})
    assert (
        str(broken)
        == "plain/p/m.so needs liby.so, which was plain/p/a/liby.so (in a process of plain)"
    )
    after = linkage.resolved_links({("plain", "p/a/libx.so")})
    assert after[(("plain", "p/m.so"), "libx.so")] == ("plain", "p/b/libx.so")


def test_a_link_that_goes_takes_the_way_to_its_library_along() -> None:
    made = linked_stack(
        {
            "plain": {
                "p/m.so": elf("needed=libx.so.1 runpath=$ORIGIN"),
                "p/libx.so.1": Link("libx.so.1.2"),
                "p/libx.so.1.2": elf(),
            }
        }
    )
    linkage = linkage_of(made)
    assert linkage.resolved_links({("plain", "p/libx.so.1")}) == {}
    assert len(linkage.broken_links({("plain", "p/libx.so.1")})) == 1


def test_what_is_gone_breaks_nothing_itself() -> None:
    made = linked_stack(
        {"plain": {"p/m.so": elf("needed=libx.so runpath=$ORIGIN"), "p/libx.so": elf()}}
    )
    gone = {("plain", "p/m.so"), ("plain", "p/libx.so")}
    assert linkage_of(made).broken_links(gone) == ()


@pytest.mark.parametrize(
    ("entry", "folders"),
    [
        ("$ORIGIN", ("l/p",)),
        ("$ORIGIN/../libs", ("l/p/../libs",)),
        ("${ORIGIN}/$PLATFORM", ("l/p/x86_64",)),
        ("$ORIGIN/${LIB}", ("l/p/lib64", "l/p/lib", "l/p/lib/x86_64-linux-gnu")),
        ("/usr/lib", ()),
        ("libs", ()),
        ("", ()),
    ],
)
def test_expand(entry: str, folders: tuple[str, ...]) -> None:
    dynamic = read_fake(memoryview(elf()))
    assert dynamic is not None
    assert expand(entry, "l/p", dynamic) == folders


def test_more_links_than_the_kernel_follows() -> None:
    files: dict[str, Contents] = {f"l{n}": Link(f"l{n + 1}") for n in range(41)}
    made = linked_stack({"plain": {**files, "l41": "end"}})
    tree = VirtualTree(made.inventory)
    assert tree.file("plain/l0") is None
    found = tree.file("plain/l1")
    assert found is not None and found.path == "l41"
