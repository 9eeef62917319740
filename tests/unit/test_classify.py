"""Categories."""

from __future__ import annotations

import pytest

from slim.inventory.bytecode import estimate
from slim.inventory.classify import classify
from slim.model.record import FileKind, NativeFormat

SITE = "lib/python3.13/site-packages"
ELF = NativeFormat.ELF


@pytest.mark.parametrize(
    ("path", "native", "exports", "kind"),
    [
        (f"{SITE}/a/b.py", None, False, FileKind.PYTHON),
        (f"{SITE}/a/tests/data.csv", None, False, FileKind.TESTS),
        (f"{SITE}/a/test_b.py", None, False, FileKind.TESTS),
        (f"{SITE}/a/contest_b.py", None, False, FileKind.PYTHON),
        (f"{SITE}/a/x.cpython-313-x86_64-linux-gnu.so", ELF, False, FileKind.EXTENSION),
        (f"{SITE}/a/x.abi3.so", ELF, False, FileKind.EXTENSION),
        (f"{SITE}/a/x.so", ELF, True, FileKind.EXTENSION),
        (f"{SITE}/a.libs/libx-1.so.5", ELF, False, FileKind.LIBRARY),
        (f"{SITE}/a/libx.so", ELF, False, FileKind.LIBRARY),
        ("bin/python3.13", ELF, False, FileKind.EXECUTABLE),
        (f"{SITE}/a/index.so.parquet", None, False, FileKind.DATA),
        (f"{SITE}/a/libx.so", None, False, FileKind.DATA),
        ("lib/libx.a", NativeFormat.ARCHIVE, False, FileKind.STATIC),
        (f"{SITE}/a-1.dist-info/METADATA", None, False, FileKind.METADATA),
        (f"{SITE}/a-1.dist-info/licenses/LICENSE", None, False, FileKind.LICENCE),
        ("share/venv/metadata/venvstacks_layer.json", None, False, FileKind.METADATA),
        (f"{SITE}/a/__pycache__/b.cpython-313.pyc", None, False, FileKind.BYTECODE),
        (f"{SITE}/a/b.pyi", None, False, FileKind.STUBS),
        (f"{SITE}/a/locale/de/x.bin", None, False, FileKind.LOCALE),
        ("share/man/man1/python.1", None, False, FileKind.DOCS),
        (f"{SITE}/a/x.pdb", None, False, FileKind.DEBUG),
    ],
)
def test_category(path: str, native: NativeFormat | None, exports: bool, kind: FileKind) -> None:
    assert classify(path, native=native, exports_module=exports) is kind


def test_bytecode_estimate_is_near_what_the_interpreter_compiles() -> None:
    """Over the standard library that runs this test, in sum; single files may be far off."""
    import email
    import marshal
    from pathlib import Path

    sources = [path.read_bytes() for path in sorted(Path(email.__file__).parent.glob("*.py"))]
    real = sum(
        16 + len(marshal.dumps(compile(source, "x", "exec", dont_inherit=True)))
        for source in sources
    )
    assert sum(map(estimate, sources)) == pytest.approx(real, rel=0.2)
