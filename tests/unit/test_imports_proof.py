"""The import proof over small stacks: what is to go, what has to stay, and who says so."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from slim.analysis.imports import modules
from slim.analysis.imports.entry_points import PointLines
from slim.analysis.imports.modules import Module, ModuleIndex
from slim.analysis.imports.proof import MAX_EVIDENCE, ImportProof, Proof
from slim.model.finding import Evidence, Strength
from slim.model.record import FileRecord
from tests.support.virtual_stacks import SITE, Contents, HardLink, Link, VirtualStack, make_stack

PKG = "app-x/$site/pkg"


def _proof(virtual: VirtualStack) -> ImportProof:
    return ImportProof(virtual.stack, virtual.inventory, virtual.read)


def _prove(virtual: VirtualStack, going: tuple[str, ...], *, weak: bool = False) -> Proof:
    removals = [key for path in going for key in virtual.keys_below(path)]
    assert removals
    return _proof(virtual).prove(removals, weak_counts=lambda _key: weak)


def _short(proof: Mapping[tuple[str, str], tuple[Evidence, ...]]) -> set[str]:
    return {"/".join(key).replace(SITE, "$site") for key in proof}


# Files of app-x's site-packages; pkg/tests/** is to go. Then: what is refused of it, and what is
# only shown.
TABLE: dict[str, tuple[dict[str, str], set[str], set[str]]] = {
    "nobody imports it": ({"pkg/core.py": "import os\nfrom . import other"}, set(), set()),
    "absolute": ({"pkg/core.py": "import pkg.tests.helper"}, {"__init__", "helper"}, set()),
    "another package": ({"user.py": "from pkg.tests import helper"}, {"__init__", "helper"}, set()),
    "the package alone": ({"user.py": "from pkg import tests"}, {"__init__"}, set()),
    "an attribute of it": ({"user.py": "from pkg.tests import VALUE"}, {"__init__"}, set()),
    "relative": ({"pkg/core.py": "from .tests.helper import x"}, {"__init__", "helper"}, set()),
    "relative from the package": (
        {"pkg/__init__.py": "from .tests import helper"},
        {"__init__", "helper"},
        set(),
    ),
    "relative from further down": (
        {"pkg/a/b.py": "from ..tests import helper"},
        {"__init__", "helper"},
        set(),
    ),
    "relative out of the package": (
        {"pkg/core.py": "from ..pkg.tests import helper"},
        set(),
        set(),
    ),
    "in a function": (
        {"pkg/core.py": "def test():\n  from pkg.tests import run"},
        {"__init__", "run"},
        set(),
    ),
    "run imports helper": (
        {"user.py": "import pkg.tests.run", "pkg/tests/run.py": "from . import helper"},
        {"__init__", "helper", "run"},
        set(),
    ),
    "caught": (
        {"user.py": "try:\n  import pkg.tests.helper\nexcept ImportError:\n  pass"},
        set(),
        {"__init__", "helper"},
    ),
    "only for types": ({"user.py": "if TYPE_CHECKING:\n  import pkg.tests.helper"}, set(), set()),
    "by name": ({"user.py": "import_module('pkg.tests.run')"}, {"__init__", "run"}, set()),
    "by relative name": (
        {"pkg/core.py": "import_module('.tests.run', __package__)"},
        {"__init__", "run"},
        set(),
    ),
    "by own name": ({"pkg/__init__.py": "import_module('.tests', __name__)"}, {"__init__"}, set()),
    "by a literal package": (
        {"user.py": "import_module('.run', package='pkg.tests')"},
        {"__init__", "run"},
        set(),
    ),
    "run as a program": (
        {"user.py": "run_module('pkg.tests')"},
        {"__init__", "__main__", "helper", "run", "test_core"},
        set(),
    ),
    "-m": (
        {"user.py": "run(['-m', 'pkg.tests'])"},
        set(),
        {"__init__", "__main__", "helper", "run", "test_core"},
    ),
    "in a string": ({"user.py": "x = 'pkg.tests.run'"}, set(), {"__init__", "run"}),
    "listed for a lazy loader": (
        {"pkg/__init__.py": "attach(__name__, submodules=['tests'], attrs={'tests.run': []})"},
        set(),
        {"__init__", "run"},
    ),
    "listed but bound to something else": (
        {"pkg/__init__.py": "__all__ = ['tests']\ndef tests(): pass"},
        set(),
        set(),
    ),
    "star with __all__": (
        {"user.py": "from pkg import *", "pkg/__init__.py": "__all__ = ['tests']"},
        {"__init__"},
        set(),
    ),
    "relative star": (
        {"pkg/core.py": "from . import *", "pkg/__init__.py": "__all__ = ['tests']"},
        {"__init__"},
        set(),
    ),
    "star without it": (
        {"user.py": "from pkg import *", "pkg/__init__.py": "__all__ = ['x']"},
        set(),
        set(),
    ),
    "a name that only looks alike": (
        {"user.py": "import pkg.testsuite, tests, xpkg.tests"},
        set(),
        set(),
    ),
    "a stub that is loaded lazily": (
        {
            "pkg/__init__.py": "attach_stub(__name__, __file__)",
            "pkg/__init__.pyi": "from . import tests",
        },
        set(),
        {"__init__"},
    ),
    "a line in a .pth file": (
        {"a.pth": "import pkg.tests\npkg/tests/run.py\n"},
        {"__init__"},
        set(),
    ),
    "after prose with an open parenthesis": (
        {"pkg/core.py": '"""How to import (the thing"""\nfrom . import tests\nx = (1)'},
        {"__init__"},
        set(),
    ),
    "after a comment that ends with a backslash": (
        {"pkg/core.py": "# taken from x \\\nfrom . \\\nimport (tests,\n)\n"},
        {"__init__"},
        set(),
    ),
    "in other letters": (
        {"user.py": "import importlib\nimportlib.ｉmport_module('pkg.tests')"},
        {"__init__"},
        set(),
    ),
    "Python 2": ({"user.py": "print 'x'\nimport pkg.tests.run"}, {"__init__", "run"}, set()),
}


@pytest.mark.parametrize("case", TABLE)
def test_who_imports_a_test_folder(case: str) -> None:
    files, refused, weak = TABLE[case]
    layer: dict[str, Contents] = {
        "$site/pkg/__init__.py": "",
        "$site/pkg/tests/__init__.py": "",
        "$site/pkg/tests/__main__.py": "from . import run",
        "$site/pkg/tests/helper.py": "",
        "$site/pkg/tests/run.py": "",
        "$site/pkg/tests/test_core.py": "from pkg.tests import helper, run",
        **{f"$site/{path}": text for path, text in files.items()},
    }
    virtual = make_stack({"app-x": layer})
    proof = _prove(virtual, (f"{PKG}/tests",))
    # __main__ imports run where it stays
    expected = refused | ({"run"} if "__main__" in refused else set())
    assert _short(proof.refused) == {f"app-x/$site/pkg/tests/{name}.py" for name in expected}
    assert _short(proof.weak) == {f"app-x/$site/pkg/tests/{name}.py" for name in weak}
    bold = _prove(virtual, (f"{PKG}/tests",), weak=True)
    assert _short(proof.refused) | _short(proof.weak) <= _short(bold.refused)
    assert not bold.weak


def test_evidence_names_file_line_and_statement() -> None:
    virtual = make_stack(
        {
            "framework-f": {"$site/pkg/__init__.py": "", "$site/pkg/testing.py": ""},
            "app-x": {"$site/user.py": "import os\n\n\nfrom pkg import (\n  core, testing)\n"},
        }
    )
    proof = _prove(virtual, ("framework-f/$site/pkg/testing.py",))
    (evidence,) = proof.refused[virtual.key("framework-f/$site/pkg/testing.py")]
    assert evidence == Evidence(
        kind="import",
        text="from pkg import testing",
        file=f"app-x/{SITE}/user.py",
        line=4,
        strength=Strength.STRONG,
    )


def test_every_layer_that_provides_a_name_keeps_it() -> None:
    module = {"$site/shared.py": ""}
    virtual = make_stack(
        {"framework-a": module, "framework-b": module, "app-x": {"$site/user.py": "import shared"}}
    )
    proof = _prove(virtual, ("framework-a/$site/shared.py", "framework-b/$site/shared.py"))
    assert _short(proof.refused) == {"framework-a/$site/shared.py", "framework-b/$site/shared.py"}


ROOTS: dict[str, tuple[dict[str, Contents], str]] = {
    "standard library": ({"$stdlib/one.py": ""}, "one"),
    "lib-dynload": (
        {"$stdlib/lib-dynload/_one.cpython-313-x86_64-linux-gnu.so": b"\x7fELF"},
        "_one",
    ),
    "stable ABI": ({"$site/p/one.abi3.so": b"\x7fELF"}, "p.one"),
    "plain .so": ({"$site/p/one.so": b"\x7fELF"}, "p.one"),
    "Windows": ({"$site/p/one.cp313-win_amd64.pyd": b"MZ"}, "p.one"),
    "sourceless bytecode": ({"$site/p/one.pyc": b"x"}, "p.one"),
    "compiled package": ({"$site/p/one/__init__.cpython-313-darwin.so": b"x"}, "p.one"),
    "namespace package": ({"$site/space/p/one.py": ""}, "space.p.one"),
    "symbolic link": ({"$site/one.py": Link("two.py")}, "one"),
    "below a linked folder": (
        {"share/code/one.py": "", "$site/linked": Link("../../../share/code")},
        "linked.one",
    ),
    "hard link": ({"$site/one.py": HardLink("lib/two.py")}, "one"),
    "folder named in a .pth file": ({"$site/win/one.py": "", "$site/x.pth": "win\n"}, "one"),
}


@pytest.mark.parametrize("case", ROOTS)
def test_what_can_be_imported(case: str) -> None:
    files, module = ROOTS[case]
    virtual = make_stack({"cpython3.13": files, "app-x": {"$site/user.py": f"import {module}"}})
    (going,) = (
        record.key
        for record in virtual.inventory
        if "one" in record.path.rpartition("/site-packages")[2].partition("/__init")[0]
    )
    proof = _proof(virtual).prove([going], weak_counts=lambda _key: False)
    assert set(proof.refused) == {going}


def test_bytecode_in_pycache_is_not_a_module() -> None:
    files = {
        "$site/p/__pycache__/one.cpython-313.pyc": b"x",
        "$site/user.py": "import p.one, p.__pycache__.one",
    }
    proof = _prove(make_stack({"app-x": files}), ("app-x/$site/p",))
    assert not proof.refused


def test_packages_around_what_stays_stay() -> None:
    layer = {
        "$site/pkg/__init__.py": "",
        "$site/pkg/sub/__init__.py": "",
        "$site/pkg/sub/kept.py": "",
        "$site/pkg/empty/__init__.py": "",
    }
    virtual = make_stack({"app-x": layer})
    removals = {virtual.key(f"app-x/{path}") for path in layer if path.endswith("__init__.py")}
    proof = _proof(virtual).prove(removals, weak_counts=lambda _key: False)
    assert _short(proof.refused) == {
        "app-x/$site/pkg/__init__.py",
        "app-x/$site/pkg/sub/__init__.py",
    }
    evidence = proof.refused[virtual.key("app-x/$site/pkg/sub/__init__.py")]
    assert [(item.kind, item.file) for item in evidence] == [
        ("parent", f"app-x/{SITE}/pkg/sub/kept.py")
    ]


@pytest.mark.parametrize(
    ("source", "stays"),
    [
        ("DATA = Path(__file__).parent", True),
        ("x = files('pkg')  # importlib.resources", True),
        ("x = 1", False),
    ],
)
def test_data_next_to_a_module_that_looks_for_it_stays(source: str, stays: bool) -> None:
    virtual = make_stack(
        {
            "app-x": {
                "$site/user.py": "import pkg.tests.helper",
                "$site/pkg/tests/helper.py": source,
                "$site/pkg/tests/data.csv": "1,2",
                "$site/pkg/tests/helper.pyi": "",
                "$site/pkg/tests/test_it.py": "",
                "$site/pkg/tests/deeper/data.csv": "3,4",
                "$site/top.csv": "",
            }
        }
    )
    proof = _prove(virtual, (f"{PKG}/tests", "app-x/$site/top.csv"))
    expected = {"app-x/$site/pkg/tests/helper.py"} | (
        {"app-x/$site/pkg/tests/data.csv"} if stays else set()
    )
    assert _short(proof.refused) == expected
    if stays:
        (evidence,) = proof.refused[virtual.key(f"{PKG}/tests/data.csv")]
        assert (evidence.kind, evidence.file) == ("beside", f"app-x/{SITE}/pkg/tests/helper.py")


def test_launch_modules_and_entry_points_count() -> None:
    virtual = make_stack(
        {
            "app-x": {
                "$site/server/__init__.py": "",
                "$site/server/__main__.py": "",
                "$site/tool/__init__.py": "",
                "$site/tool/cli.py": "",
                "$site/tool/other.py": "",
                "$site/tool-1.dist-info/METADATA": "Name: tool\n",
                "$site/tool-1.dist-info/entry_points.txt": (
                    "[console_scripts]\n\ntool = tool.cli:main\n"
                ),
            }
        },
        launch={"app-x": "server"},
    )
    proof = _prove(virtual, ("app-x/$site/server", "app-x/$site/tool"))
    assert _short(proof.refused) == {
        "app-x/$site/server/__init__.py",
        "app-x/$site/server/__main__.py",
        "app-x/$site/tool/__init__.py",
        "app-x/$site/tool/cli.py",
    }
    assert proof.refused[virtual.key("app-x/$site/server/__init__.py")][0].kind == "launch-module"
    (entry,) = proof.refused[virtual.key("app-x/$site/tool/cli.py")]
    assert (entry.kind, entry.line) == ("entry-point", 3)
    assert str(entry) == (
        "console_scripts tool = tool.cli:main of tool 1 "
        f"(app-x/{SITE}/tool-1.dist-info/entry_points.txt:3)"
    )
    whole = _prove(virtual, ("app-x/$site/tool", "app-x/$site/tool-1.dist-info"))
    assert not whole.refused, "an entry point that goes itself holds nothing"


def test_what_the_interpreter_imports_stays() -> None:
    virtual = make_stack(
        {"cpython3.13": {"$stdlib/encodings/__init__.py": "", "$stdlib/encodings/cp037.py": ""}}
    )
    proof = _prove(virtual, ("cpython3.13/$stdlib/encodings",))
    assert _short(proof.refused) == {"cpython3.13/lib/python3.13/encodings/__init__.py"}


@pytest.mark.parametrize(
    ("script", "counts"),
    [
        ("#!/usr/bin/python3\nimport pkg", True),
        ("#!/bin/sh\n'''exec' x/python \"$0\"\n'''\nimport pkg", True),
        ("#!/bin/sh\nimport pkg", False),
    ],
)
def test_scripts_import_too(script: str, counts: bool) -> None:
    virtual = make_stack({"app-x": {"$bin/tool": script, "$site/pkg/__init__.py": ""}})
    assert bool(_prove(virtual, (PKG,)).refused) is counts


VENDORED: dict[str, tuple[str, str, Strength | None]] = {
    "inside the vendored tree": (
        "host/_vendor/dep/core.py",
        "import dep.tests.util",
        Strength.STRONG,
    ),
    "from the host": ("host/loader.py", "import dep.tests.util", Strength.WEAK),
    "a name that the search path provides": ("host/loader.py", "import host.tests.util", None),
}


@pytest.mark.parametrize("case", VENDORED)
def test_vendored_packages_are_found_by_their_path(case: str) -> None:
    path, source, strength = VENDORED[case]
    virtual = make_stack(
        {
            "app-x": {
                f"$site/{path}": source,
                "$site/host/__init__.py": "",
                "$site/host/_vendor/dep/tests/util.py": "",
            }
        }
    )
    proof = _prove(virtual, ("app-x/$site/host/_vendor/dep/tests",))
    found = [
        item.strength
        for part in (proof.refused, proof.weak)
        for items in part.values()
        for item in items
    ]
    assert found == ([strength] if strength else [])
    assert bool(proof.refused) is (strength is Strength.STRONG)


def test_a_program_finds_what_lies_next_to_it() -> None:
    layer = {
        "$site/pkg/run.py": "import helper",
        "$site/pkg/helper.py": "",
        "share/x/main.py": "import helper",
        "share/x/helper.py": "",
    }
    virtual = make_stack({"app-x": layer})
    proof = _prove(virtual, ("app-x/$site/pkg/helper.py", "app-x/share/x/helper.py"))
    assert _short(proof.weak) == {"app-x/$site/pkg/helper.py"}
    assert _short(proof.refused) == {"app-x/share/x/helper.py"}


COMPILED: dict[str, tuple[str, bytes, Strength | None]] = {
    "a whole string": ("pkg/_fast.abi3.so", b"\x7fELF\0pkg.tests.util\0", Strength.STRONG),
    "part of a sentence": (
        "pkg/_fast.abi3.so",
        b"\x7fELF\0see pkg.tests.util for more\0",
        Strength.WEAK,
    ),
    "part of another name": ("pkg/_fast.abi3.so", b"\x7fELF\0pkg.tests.utility\0", None),
    "another distribution": ("other/_fast.abi3.so", b"\x7fELF\0pkg.tests.util\0", Strength.WEAK),
    "a shared library": ("pkg/lib-fast.so.1", b"\x7fELF\0pkg.tests.util\0", None),
    "sourceless bytecode": ("pkg/fast.pyc", b"\xda\x0epkg.tests.util", Strength.WEAK),
    "bare names in sourceless bytecode": (
        "pkg/fast.pyc",
        b"\xda\x05tests\xda\x04util",
        Strength.WEAK,
    ),
    "a bare name of its own": ("pkg/tests/fast.pyc", b"\xda\x04util", Strength.WEAK),
    "a bare name of elsewhere": ("pkg/fast.pyc", b"\xda\x04util", None),
}


@pytest.mark.parametrize("case", COMPILED)
def test_compiled_code_names_modules(case: str) -> None:
    path, data, strength = COMPILED[case]
    virtual = make_stack({"app-x": {f"$site/{path}": data, "$site/pkg/tests/util.py": ""}})
    proof = _prove(virtual, (f"{PKG}/tests/util.py",))
    key = virtual.key(f"{PKG}/tests/util.py")
    evidence = {**proof.refused, **proof.weak}.get(key, ())
    assert {item.strength for item in evidence} == ({strength} if strength else set())
    assert (key in proof.refused) is (strength is Strength.STRONG)
    assert all(item.kind == "string" and item.file == f"app-x/{SITE}/{path}" for item in evidence)


def test_a_dropped_package_is_looked_for_in_everybodys_compiled_code() -> None:
    layer: dict[str, Contents] = {"$site/pkg/__init__.py": "", "$site/tests/__init__.py": ""}
    virtual = make_stack({"app-x": {**layer, "$site/fast.abi3.so": b"\x7fELF\0pkg.api\0tests\0"}})
    proof = _prove(virtual, (PKG, "app-x/$site/tests"))
    assert _short(proof.weak) == {"app-x/$site/pkg/__init__.py"}, "'tests' stands in every program"


def test_accepted_importers_hold_nothing_but_are_shown() -> None:
    layer = {
        "$site/pkg/__init__.py": "",
        "$site/one.py": "import pkg",
        "$site/two.py": "import pkg",
    }
    virtual = make_stack({"app-x": layer})
    proof = _proof(virtual)
    removals = [virtual.key(f"{PKG}/__init__.py")]

    def prove(*names: str) -> Proof:
        return proof.prove(
            removals,
            weak_counts=lambda _key: True,
            accepted=lambda candidate, importer: (
                candidate in removals and importer.path.endswith(names)
            ),
        )

    assert prove("one.py", "two.py").weak.keys() == {removals[0]}
    assert prove("one.py").refused.keys() == {removals[0]}
    assert len(prove("one.py").refused[removals[0]]) == 2


def _linked(links: int, files: int) -> VirtualStack:
    """Modules in a folder that so many links lead to; one of them imports another by a link."""
    layer: dict[str, Contents] = {f"$site/link{number}": Link("real") for number in range(links)}
    layer |= {f"$site/real/m{number}.py": "" for number in range(files)}
    return make_stack({"app-x": {**layer, "$site/user.py": f"import link{links - 1}.m0"}})


def test_many_links_to_a_folder_take_steps_in_proportion(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = 0

    class Counted(Module):
        def __hash__(self) -> int:
            nonlocal steps
            steps += 1
            return hash((self.name, self.package))

    monkeypatch.setattr(modules, "Module", Counted)

    def taken(links: int, files: int) -> int:
        nonlocal steps
        virtual = _linked(links, files)
        steps = 0
        ModuleIndex(virtual.stack, virtual.inventory, virtual.read)
        return steps

    assert taken(800, 1) < 2.5 * taken(400, 1)
    monkeypatch.setattr(modules, "MIN_ALIASES", 100)
    assert taken(160, 160) < 2.5 * taken(80, 80), "links times files aren't all named"


@pytest.mark.parametrize("limit", [10_000, 0])
def test_modules_that_too_many_links_lead_to_stay(
    limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modules, "MIN_ALIASES", limit)
    virtual = _linked(30, 20)
    proof = _prove(virtual, ("app-x/$site/real",), weak=True)
    everything = {f"app-x/$site/real/m{number}.py" for number in range(20)}
    assert _short(proof.refused) == ({"app-x/$site/real/m0.py"} if limit else everything)


def test_importers_of_a_module() -> None:
    layer = {
        "$site/pkg/__init__.py": "from . import core",
        "$site/pkg/core.py": "",
        "$site/one.py": "x = 1\ntry:\n  import pkg.core\nexcept ImportError: pass",
        "$site/two.py": "import pkg.other",
    }
    virtual = make_stack({"app-x": layer})
    proof = _proof(virtual)
    found = proof.importers_of(virtual.key(f"{PKG}/core.py"))
    assert [(item.file, item.line, item.strength.value) for item in found] == [
        (f"app-x/{SITE}/pkg/__init__.py", 1, "strong"),
        (f"app-x/{SITE}/one.py", 3, "weak"),
    ]
    assert [item.file for item in proof.importers_of(virtual.key(f"{PKG}/__init__.py"))] == [
        f"app-x/{SITE}/two.py",
        f"app-x/{SITE}/one.py",
    ]
    assert proof.importers_of(("app-x", "missing")) == ()


def test_evidence_is_limited_and_the_strongest_comes_first() -> None:
    layer = {f"$site/u{number:02}.py": "import pkg" for number in range(MAX_EVIDENCE + 5)}
    layer["$site/a.py"] = "try:\n  import pkg\nexcept ImportError: pass"
    virtual = make_stack({"app-x": {**layer, "$site/pkg.py": ""}})
    key = virtual.key("app-x/$site/pkg.py")
    evidence = _proof(virtual).prove([key], weak_counts=lambda _key: False).refused[key]
    assert len(evidence) == MAX_EVIDENCE
    assert evidence[0].file == f"app-x/{SITE}/u00.py"
    assert len(_proof(virtual).importers_of(key)) == MAX_EVIDENCE + 6


def test_a_module_that_imports_itself_does_not_hold_itself() -> None:
    virtual = make_stack(
        {
            "app-x": {
                "$site/pkg/__init__.py": "",
                "$site/pkg/a.py": "import pkg.a, pkg.b",
                "$site/pkg/b.py": "import pkg.a",
            }
        }
    )
    assert _prove(virtual, (f"{PKG}/a.py", f"{PKG}/b.py")) == Proof()
    assert _prove(virtual, ("app-x/$site/pkg",)) == Proof()


def test_another_set_of_candidates_reads_no_file_again() -> None:
    virtual = make_stack(
        {"app-x": {"$site/a.py": "import b, c", "$site/b.py": "", "$site/c.py": ""}}
    )
    read: list[str] = []

    def counted(record: object) -> memoryview:
        read.append(record.path)  # type: ignore[attr-defined]
        return virtual.read(record)  # type: ignore[arg-type]

    proof = ImportProof(virtual.stack, virtual.inventory, counted)
    first = proof.prove([virtual.key("app-x/$site/b.py")], weak_counts=lambda _key: False)
    seen = read.count(f"{SITE}/a.py")
    second = proof.prove([virtual.key("app-x/$site/c.py")], weak_counts=lambda _key: False)
    assert len(first.refused) == len(second.refused) == 1
    assert read.count(f"{SITE}/a.py") == seen


def test_the_cause_comes_before_what_follows_from_it() -> None:
    virtual = make_stack(
        {
            "app-x": {
                "$site/pkg/__init__.py": "",
                "$site/pkg/tests/__init__.py": "",
                "$site/pkg/tests/a.py": "from pkg.tests import helper",
                "$site/pkg/tests/helper.py": "",
                "$site/zz_user.py": "import pkg.tests.a, pkg.tests.helper",
            }
        }
    )
    proof = _prove(virtual, (f"{PKG}/tests",))
    (first, *rest) = proof.refused[virtual.key(f"{PKG}/tests/helper.py")]
    assert first.file == f"app-x/{SITE}/zz_user.py", (
        "it stays anyway; a.py only stays because of it"
    )
    assert [item.file for item in rest] == [f"app-x/{SITE}/pkg/tests/a.py"]


def test_the_table_of_old_module_names_imports_nothing() -> None:
    virtual = make_stack(
        {
            "cpython3.13": {
                "$stdlib/os.py": "",
                "$stdlib/_compat_pickle.py": (
                    "IMPORT_MAPPING = {'tkColorChooser': 'tkinter.colorchooser'}"
                ),
                "$stdlib/tkinter/__init__.py": "",
                "$stdlib/tkinter/colorchooser.py": "",
            }
        }
    )
    assert not _prove(virtual, ("cpython3.13/$stdlib/tkinter",), weak=True).refused


def test_a_package_without_a_console_lists_its_modules_too() -> None:
    virtual = make_stack(
        {
            "app-x": {
                "$site/pkg/__init__.pyw": "_lazy = ['tests']",
                "$site/pkg/tests/__init__.py": "",
            }
        }
    )
    assert _short(_prove(virtual, (f"{PKG}/tests",)).weak) == {"app-x/$site/pkg/tests/__init__.py"}


def test_names_that_are_not_utf_8_are_compared_as_bytes() -> None:
    virtual = make_stack(
        {
            "app-x": {
                "$site/user.py": "from pkg import *",
                "$site/pkg/__init__.py": "__all__ = ['tests']",
                "$site/pkg/caf\udce9.py": "",
                "$site/pkg/tests/__init__.py": "",
            }
        }
    )
    proof = _prove(virtual, (f"{PKG}/tests", f"{PKG}/caf\udce9.py"))
    assert _short(proof.refused) == {"app-x/$site/pkg/tests/__init__.py"}


def test_the_lines_of_entry_points_are_looked_up_in_one_reading() -> None:
    text = "[console_scripts]\nother= a:b\n" + "".join(f"  s{n} = m{n}:f\n" for n in range(300))
    virtual = make_stack({"app-x": {"$site/t-1.dist-info/entry_points.txt": f"{text}s7 = n:f\n"}})
    (record,) = (found for found in virtual.inventory if found.path.endswith("points.txt"))
    reads = []

    def read(asked: FileRecord) -> bytes:
        reads.append(asked)
        return bytes(virtual.read(asked))

    lines = PointLines(read)
    assert [lines.of(record, name) for name in ("other", "s7", "s299", "s300")] == [
        2,
        10,
        302,
        None,
    ]
    assert len(reads) == 1
