"""Needed names on macOS, and the files that answer: the rules of dyld.

The stacks exist as text only.
"""

from __future__ import annotations

import pytest

from slim.analysis.linkage.graph import Linkage
from tests.support.linked_elf import linked_stack, record_of
from tests.support.native_headers import fat, macho
from tests.support.virtual_stacks import SITE, Contents, Link

Layers = dict[str, dict[str, Contents]]
P = f"{SITE}/p"
X = macho(name="@rpath/libx.dylib")

CASES: list[tuple[str, Layers, str, list[tuple[str, str | None, str]]]] = [
    (
        "@loader_path",
        {"plain": {"p/m.so": macho("@loader_path/.dylibs/libx.dylib"), "p/.dylibs/libx.dylib": X}},
        "plain/p/m.so",
        [("@loader_path/.dylibs/libx.dylib", "plain/p/.dylibs/libx.dylib", "path")],
    ),
    (
        "@rpath with the run path of the asking image",
        {
            "plain": {
                "p/m.so": macho("@rpath/libx.dylib", rpaths=("/opt", "@loader_path/../lib")),
                "lib/libx.dylib": X,
            }
        },
        "plain/p/m.so",
        [("@rpath/libx.dylib", "plain/lib/libx.dylib", "rpath")],
    ),
    (
        "@rpath with the run path of the image that loaded the asking one",
        {
            "plain": {
                "p/m.so": macho("@loader_path/libmid.dylib", rpaths=("@loader_path/deep",)),
                "p/libmid.dylib": macho("@rpath/libx.dylib"),
                "p/deep/libx.dylib": X,
            }
        },
        "plain/p/libmid.dylib",
        [("@rpath/libx.dylib", "plain/p/deep/libx.dylib", "rpath")],
    ),
    (
        "the first run path that has it wins",
        {
            "plain": {
                "p/m.so": macho("@rpath/libx.dylib", rpaths=("@loader_path/a", "@loader_path/b")),
                "p/a/libx.dylib": X,
                "p/b/libx.dylib": X,
            }
        },
        "plain/p/m.so",
        [("@rpath/libx.dylib", "plain/p/a/libx.dylib", "rpath")],
    ),
    (
        "an image for another machine is passed over, a universal one fits",
        {
            "plain": {
                "p/m.so": macho("@rpath/libx.dylib", rpaths=("@loader_path/a", "@loader_path/b")),
                "p/a/libx.dylib": macho(machine="x86_64"),
                "p/b/libx.dylib": fat(macho(machine="x86_64"), macho()),
            }
        },
        "plain/p/m.so",
        [("@rpath/libx.dylib", "plain/p/b/libx.dylib", "rpath")],
    ),
    (
        "@executable_path is the folder of the runtime's Python, whose run path counts for all",
        {
            "cpython3.13": {
                "bin/python3.13": macho(
                    "@executable_path/../lib/libpython3.13.dylib",
                    kind="executable",
                    rpaths=("@executable_path/../lib",),
                ),
                "lib/libpython3.13.dylib": macho(
                    name="@executable_path/../lib/libpython3.13.dylib"
                ),
                "lib/libx.dylib": X,
            },
            "framework-a": {
                f"{P}/m.so": macho(
                    "@executable_path/../lib/libpython3.13.dylib", "@rpath/libx.dylib"
                )
            },
        },
        f"framework-a/{P}/m.so",
        [
            (
                "@executable_path/../lib/libpython3.13.dylib",
                "cpython3.13/lib/libpython3.13.dylib",
                "path",
            ),
            ("@rpath/libx.dylib", "cpython3.13/lib/libx.dylib", "rpath"),
        ],
    ),
    (
        "the wrapper's DYLD_LIBRARY_PATH comes first, but signed programs may ignore it",
        {
            "framework-a": {
                f"{P}/libx.dylib": X,
                "share/venv/dynlib/libx.dylib": Link(f"../../../{P}/libx.dylib"),
            },
            "app-b": {"m/m.so": macho("@loader_path/libx.dylib"), "m/libx.dylib": X},
        },
        "app-b/m/m.so",
        [
            ("@loader_path/libx.dylib", f"framework-a/{P}/libx.dylib", "library-path"),
            ("@loader_path/libx.dylib", "app-b/m/libx.dylib", "path"),
        ],
    ),
    (
        "but not for frameworks",
        {
            "framework-a": {
                "share/venv/dynlib/Qt": macho(),
            },
            "app-b": {
                "m/m.so": macho("@loader_path/Qt.framework/Versions/A/Qt"),
                "m/Qt.framework/Versions/A/Qt": macho(),
            },
        },
        "app-b/m/m.so",
        [("@loader_path/Qt.framework/Versions/A/Qt", "app-b/m/Qt.framework/Versions/A/Qt", "path")],
    ),
    (
        "a loaded image answers to its install name, even one that no path leads to",
        {
            "plain": {
                "p/m.so": macho("@rpath/libomp.dylib"),
                "q/libomp.dylib": macho(name="@rpath/libomp.dylib"),
            }
        },
        "plain/p/m.so",
        [("@rpath/libomp.dylib", "plain/q/libomp.dylib", "soname")],
    ),
    (
        "the host's libraries aren't ours, whatever they are called",
        {
            "plain": {
                "p/m.so": macho("/usr/lib/libx.dylib", "libx.dylib"),
                "p/libx.dylib": macho(),
                "libx.dylib": macho(),
            }
        },
        "plain/p/m.so",
        [("/usr/lib/libx.dylib", None, "host"), ("libx.dylib", None, "host")],
    ),
    (
        "case makes no difference on a Mac's disk, links are followed",
        {
            "plain": {
                "p/m.so": macho("@loader_path/LibX.dylib", "weak @loader_path/liby.dylib"),
                "p/libx.dylib": X,
                "p/liby.dylib": Link("liby.1.dylib"),
                "p/liby.1.dylib": macho(),
            }
        },
        "plain/p/m.so",
        [
            ("@loader_path/LibX.dylib", "plain/p/libx.dylib", "path"),
            ("@loader_path/liby.dylib", "plain/p/liby.1.dylib", "path"),
        ],
    ),
]


def graph(layers: Layers) -> Linkage:
    made = linked_stack(layers, platform="macosx_arm64")
    return Linkage.build(made.stack, made.inventory, made.read)


@pytest.mark.parametrize(
    ("name", "layers", "asked", "expected"), CASES, ids=[case[0] for case in CASES]
)
def test_what_answers(
    name: str, layers: Layers, asked: str, expected: list[tuple[str, str | None, str]]
) -> None:
    linkage = graph(layers)
    found = linkage.needed(record_of(linkage.inventory, asked))
    assert [
        (one.name, one.target and one.target.deployed_path, one.found_by.value) for one in found
    ] == expected


def test_what_breaks_is_given_with_the_way_it_was_found() -> None:
    linkage = graph(
        {
            "framework-a": {
                f"{P}/m.dylib": macho(
                    "@rpath/libx.dylib",
                    "@rpath/liby.dylib",
                    rpaths=("@loader_path/a", "@loader_path/b"),
                ),
                f"{P}/a/libx.dylib": X,
                f"{P}/b/libx.dylib": X,
                f"{P}/a/liby.dylib": macho(),
            }
        }
    )
    a, b, y = (
        ("framework-a", f"{P}/{path}") for path in ("a/libx.dylib", "b/libx.dylib", "a/liby.dylib")
    )
    assert linkage.broken_links({a}) == ()
    assert [str(one) for one in linkage.broken_links({a, b})] == [
        f"framework-a/{P}/m.dylib needs @rpath/libx.dylib, which was framework-a/{P}/a/libx.dylib "
        "(in a process of framework-a)"
    ]
    assert [one.name for one in linkage.broken_links({y})] == ["@rpath/liby.dylib"]
    (after,) = [
        one
        for one in linkage.needed(record_of(linkage.inventory, f"framework-a/{P}/m.dylib"), {a})
        if "x" in one.name
    ]
    assert after.target is not None and after.target.key == b
