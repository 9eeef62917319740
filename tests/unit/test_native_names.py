"""Names in compiled files: read at once or part by part, remembered or not, they are the same."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slim.analysis.imports import native_names
from slim.analysis.imports.native_names import NATIVE_NAMES, NativeFile, NativeNames
from slim.analysis.imports.proof import ImportProof
from slim.analysis.linkage.dynamics import DYNAMIC
from slim.analysis.readings import Readings
from slim.analysis.remembering import NAME, _sealed
from slim.binaries import read_any_dynamic
from slim.binaries.elf.dynamic import ElfDynamic
from slim.binaries.macho.dynamic import MachoDynamic
from slim.binaries.pe.dynamic import PeDynamic
from slim.system.remembered import Remembered
from tests.support.virtual_stacks import Contents, make_stack

SITE = "lib/python3.13/site-packages"
TABLE = zlib.compress(b"pkg.inner.deep" + b"pkgtests" * 40)
PIECES = st.sampled_from(
    [
        *(b"\0", b"pkg.inner\0", b"\0pkg.inner\0", b"'pkg.a.b'", b"xpkg.inner.deep", b"\0pkg\0"),
        *(b"cython_runtime", b"/rustc/", TABLE, b" ", b"\xff", b".tests", b"n" * 210 + b".pkg"),
    ]
)


def contents(text: bytes) -> dict[str, dict[str, Contents]]:
    return {
        "app-x": {
            f"{SITE}/pkg/__init__.py": "",
            f"{SITE}/pkg/core.cpython-313-x86_64-linux-gnu.so": b"\x7fELF" + text + b"\0" * 300,
            f"{SITE}/pkg/inner/__init__.py": "",
            f"{SITE}/pkg/inner/deep.py": "",
            f"{SITE}/pkg/a/b.py": "",
            f"{SITE}/pkg/tests/__init__.py": "",
        }
    }


@pytest.mark.parametrize("most", [native_names.MOST, 5])
@settings(max_examples=25)
@given(text=st.lists(PIECES, max_size=12).map(b"".join))
def test_what_compiled_code_names_is_the_same_with_a_cache(
    tmp_path_factory: pytest.TempPathFactory, most: int, text: bytes
) -> None:
    folder = tmp_path_factory.mktemp("cache")
    made = make_stack(contents(text))
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native_names, "MOST", most)
        for place in (None, folder, folder):
            with Readings(place) as readings:
                proof = ImportProof(made.stack, made.inventory, made.read, readings=readings)
                found.append(proof.importers_of_each([record.key for record in made.inventory]))
    assert found[0] == found[1] == found[2]


@given(st.lists(PIECES, max_size=12).map(b"".join), st.booleans(), st.booleans())
def test_names_are_stored_as_they_are(text: bytes, bytecode: bool, module: bool) -> None:
    names = NativeFile(memoryview(text), bytecode=bytecode, module=module).names()
    assert NATIVE_NAMES.unpack(NATIVE_NAMES.pack(names)) == names


def test_a_file_with_too_many_names_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    file = NativeFile(memoryview(b"\0pkg.inner\0" + b"/rustc/"), bytecode=False, module=True)
    assert isinstance(file.names(), NativeNames)
    monkeypatch.setattr(native_names, "MOST", 3)
    assert file.names() is None
    assert NATIVE_NAMES.unpack(NATIVE_NAMES.pack(None)) is None


@pytest.mark.parametrize("value", [1, "x", [], [[1, 2, 3], []], [["eA==", "eA==", "eA=="], []], {}])
def test_stored_names_of_another_shape_are_read_anew(tmp_path: Path, value: object) -> None:
    made = make_stack(contents(b"\0pkg.inner.deep\0"))
    keys = [record.key for record in made.inventory]

    def importers(place: Path | None) -> object:
        with Readings(place) as readings:
            proof = ImportProof(made.stack, made.inventory, made.read, readings=readings)
            return proof.importers_of_each(keys)

    expected = importers(None)
    assert importers(tmp_path) == expected
    with Remembered(tmp_path, NAME) as store:
        assert store._database is not None
        for (key,) in store._database.execute("SELECT key FROM readings").fetchall():
            store.put(key, _sealed(key, value))
    assert importers(tmp_path) == expected


@pytest.mark.parametrize(
    "dynamic",
    [
        None,
        ElfDynamic(
            soname="libx.so.1",
            needed=("b.so", "a.so"),
            rpath=(),
            runpath=("$ORIGIN\udcff",),
            interpreter=None,
            machine="x86_64",
            bits=64,
            little=True,
            kind="shared",
            python_inits=frozenset({"PyInit_x"}),
        ),
        MachoDynamic(
            install_name=None,
            needed=("@rpath/a.dylib",),
            weak=frozenset({"@rpath/a.dylib"}),
            rpaths=("@loader_path",),
            machines=("x86_64", "aarch64"),
            kind="shared",
            python_inits=frozenset(),
        ),
        PeDynamic(
            needed=("a.dll", "b.dll"),
            delayed=frozenset({"b.dll"}),
            machine="x86_64",
            bits=64,
            kind="executable",
            python_inits=frozenset(),
            signed=False,
        ),
    ],
    ids=lambda dynamic: type(dynamic).__name__,
)
def test_requests_to_a_loader_are_stored_as_they_are(
    tmp_path: Path, dynamic: ElfDynamic | MachoDynamic | PeDynamic | None
) -> None:
    for _ in range(2):
        with Readings(tmp_path) as made:
            found = made.of_bytes(DYNAMIC, "0" * 64, 300, lambda: dynamic)
        assert found == dynamic and type(found) is type(dynamic)
    assert read_any_dynamic(b"no such file") is None
