"""Imported names on Windows, and the files that answer, over stacks that exist as text only."""

from __future__ import annotations

import pytest

from slim.analysis.linkage.graph import Linkage
from tests.support.linked_elf import linked_stack, record_of
from tests.support.native_headers import pe
from tests.support.virtual_stacks import SITE, Contents

Layers = dict[str, dict[str, Contents]]
ADDS = (
    "import os\n"
    "os.add_dll_directory(os.path.join(os.path.dirname(__file__), os.pardir, 'p.libs'))\n"
)

CASES: list[tuple[str, Layers, str, list[tuple[str, str | None, str]]]] = [
    (
        "beside the file that is opened, whatever the case",
        {"plain": {"p/m.pyd": pe("LIBX.DLL", "KERNEL32.dll"), "p/LibX.dll": pe()}},
        "plain/p/m.pyd",
        [("LIBX.DLL", "plain/p/LibX.dll", "same-folder"), ("KERNEL32.dll", None, "host")],
    ),
    (
        "in the folder of python.exe, python3.dll's forwarders too",
        {
            "cpython3.13": {
                "python.exe": pe("python313.dll", dll=False),
                "python3.dll": pe(forwards=("python313.Py_Main",)),
                "python313.dll": pe("vcruntime140.dll"),
                "vcruntime140.dll": pe(),
            },
            "framework-a": {f"{SITE}/p/m.pyd": pe("python3.dll")},
        },
        f"framework-a/{SITE}/p/m.pyd",
        [("python3.dll", "cpython3.13/python3.dll", "program-folder")],
    ),
    (
        "in folders that Python adds",
        {
            "plain": {
                f"{SITE}/p/__init__.py": ADDS,
                f"{SITE}/p/m.pyd": pe("libx-0a1b.dll"),
                f"{SITE}/p.libs/libx-0a1b.dll": pe("liby-2c3d.dll"),
                f"{SITE}/p.libs/liby-2c3d.dll": pe(),
            }
        },
        f"plain/{SITE}/p/m.pyd",
        [("libx-0a1b.dll", f"plain/{SITE}/p.libs/libx-0a1b.dll", "dll-folder")],
    ),
    (
        "a delayed import, and a name without a suffix",
        {
            "plain": {
                "p/m.pyd": pe(delayed=("late.dll", "Old")),
                "p/late.dll": pe(),
                "p/old.dll": pe(),
            }
        },
        "plain/p/m.pyd",
        [
            ("late.dll", "plain/p/late.dll", "same-folder"),
            ("Old", "plain/p/old.dll", "same-folder"),
        ],
    ),
    (
        "a library for another machine is passed over",
        {"plain": {"p/m.pyd": pe("x.dll"), "p/x.dll": pe(machine="i686")}},
        "plain/p/m.pyd",
        [("x.dll", None, "host")],
    ),
    (
        "a library that is loaded already answers, wherever it lies",
        {"plain": {"p/m.pyd": pe("x.dll"), "q/deep/X.dll": pe()}},
        "plain/p/m.pyd",
        [("x.dll", "plain/q/deep/X.dll", "soname")],
    ),
]


def graph(layers: Layers) -> Linkage:
    made = linked_stack(layers, platform="win_amd64")
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


def test_a_folder_counts_as_long_as_something_that_stays_adds_it() -> None:
    files = {
        f"{SITE}/p/__init__.py": ADDS,
        f"{SITE}/p/again.py": ADDS,
        f"{SITE}/p/m.pyd": pe("x.dll"),
        f"{SITE}/p.libs/x.dll": pe(),
    }
    linkage = graph({"plain": files})
    first, second, library = (
        ("plain", f"{SITE}/{path}") for path in ("p/__init__.py", "p/again.py", "p.libs/x.dll")
    )
    assert linkage.broken_links({first}) == ()
    assert [one.name for one in linkage.broken_links({first, second})] == ["x.dll"]
    assert [one.name for one in linkage.broken_links({library})] == ["x.dll"]


def test_strings_of_a_python_file_that_adds_no_folder_say_nothing() -> None:
    files = {
        f"{SITE}/p/__init__.py": "name = 'p.libs'\n",
        f"{SITE}/p/m.pyd": pe("x.dll"),
        f"{SITE}/p.libs/x.dll": pe(),
    }
    linkage = graph({"plain": files})
    assert linkage.added_folders == ()
    (found,) = linkage.needed(record_of(linkage.inventory, f"plain/{SITE}/p/m.pyd"))
    assert found.found_by.value == "soname"


def test_each_distribution_keeps_its_own_copy_of_a_library() -> None:
    """Repaired wheels carry one runtime under one name; which is imported first isn't known."""
    files: dict[str, Contents] = {}
    for name in ("p", "q"):
        files |= {
            f"{SITE}/{name}/__init__.py": ADDS.replace("p.libs", f"{name}.libs"),
            f"{SITE}/{name}/m.pyd": pe("msvcp140-a4c2.dll"),
            f"{SITE}/{name}.libs/msvcp140-a4c2.dll": pe(),
            f"{SITE}/{name}-1.0.dist-info/METADATA": f"Name: {name}\n",
            f"{SITE}/{name}-1.0.dist-info/RECORD": "\n".join(
                f"{path},,"
                for path in (
                    f"{name}/__init__.py",
                    f"{name}/m.pyd",
                    f"{name}.libs/msvcp140-a4c2.dll",
                )
            ),
        }
    linkage = graph({"plain": files})
    for name in ("p", "q"):
        own = record_of(linkage.inventory, f"plain/{SITE}/{name}.libs/msvcp140-a4c2.dll")
        (found,) = linkage.needed(record_of(linkage.inventory, f"plain/{SITE}/{name}/m.pyd"))
        assert found.target is own
        assert [one.record.path for one in linkage.broken_links({own.key})] == [
            f"{SITE}/{name}/m.pyd"
        ]
