"""Cache of readings: the same answers with it, without it, and whatever happened to its file."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slim.analysis import readings, remembering
from slim.analysis.ahead import makers
from slim.analysis.forms import HINTS, SCAN, SUMMARY
from slim.analysis.imports.ast_scan import scan
from slim.analysis.imports.path_scan import PathUse
from slim.analysis.imports.scans import Import, Scan, StringName, UnresolvedCall
from slim.analysis.imports.text_scan import Hints, text_hints
from slim.analysis.list_words import MayList
from slim.analysis.readings import Readings
from slim.analysis.remembering import NAME, Form, Remembering, plain
from slim.analysis.section_words import SectionsRead
from slim.analysis.summary import Described, SourceSummary, summary_of
from slim.analysis.unimportable.lines import FileLines, ImportLine, Request
from slim.analysis.unimportable.names import Signals
from slim.config.load import load_config
from slim.model.finding import Strength
from slim.model.outcome import RunResult
from slim.model.progress import Silent
from slim.model.record import UNOWNED, EntryType, FileKind, FileRecord
from slim.passes import SCHEMAS
from slim.pipeline.stages import RunRequest, run
from slim.system.remembered import MAX_SIZE, UNUSED_DAYS, Remembered, cache_folder
from tests.support.elf_files import build
from tests.support.published_stacks import LayerSpec, Link, publish

LIBRARY = build("""
elf 64 little x86_64 shared
load 0x10000 align 0x1000
section .text progbits 200 alloc align 16
end
section .debug_info progbits 3000
section .symtab symtab 480 align 8 link .strtab
section .strtab strtab 900
""")
SOURCE = (
    b"""\
import os, json
from . import tests
try:
    from .data import *
except ImportError:
    pass
names = ["pkg.tests.a", "pkg.b"]
files = __import__("importlib.resources").files("pkg.tests") / "data" / "x.json"
open("tests/data/x.json")
__import__(names[0])
"""
    + b"# padding\n" * 40
)


DEPTHS = ((False, False), (True, False), (True, True))


def test_a_value_outlives_the_process_that_remembered_it(tmp_path: Path) -> None:
    with Remembered(tmp_path / "c", "x") as first:
        assert first.get(b"key") is None
        first.put(b"key", b"value")
        assert first.get(b"key") == b"value"
    with Remembered(tmp_path / "c", "x") as second:
        assert second.get(b"key") == b"value"
    with Remembered(tmp_path / "c", "y") as other:
        assert other.get(b"key") is None


def test_what_nobody_asked_for_is_forgotten_and_what_was_asked_for_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = 86_400.0
    now = 1_000 * day
    monkeypatch.setattr("slim.system.remembered.time.time", lambda: now)
    with Remembered(tmp_path, "x") as store:
        store.put(b"asked", b"1")
        store.put(b"forgotten", b"2")
    now += (UNUSED_DAYS - 1) * day
    with Remembered(tmp_path, "x") as store:
        assert store.get(b"asked") == b"1"
    now += 2 * day
    with Remembered(tmp_path, "x"):
        pass
    with Remembered(tmp_path, "x") as store:
        assert (store.get(b"asked"), store.get(b"forgotten")) == (b"1", None)


def test_what_is_old_is_looked_for_once_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cache of hundreds of megabytes is read from end to end for it."""
    now = 86_400.0 * 1_000
    monkeypatch.setattr("slim.system.remembered.time.time", lambda: now)

    def rows() -> list[tuple[bytes]]:
        with closing(sqlite3.connect(tmp_path / "x.sqlite")) as database, database:
            database.execute("UPDATE readings SET used = 0")
            return database.execute("SELECT key FROM readings").fetchall()

    with Remembered(tmp_path, "x") as store:
        store.put(b"key", b"value")
    assert rows() == [(b"key",)]
    Remembered(tmp_path, "x").close()
    assert rows() == [(b"key",)]
    now += 86_400
    Remembered(tmp_path, "x").close()
    assert rows() == []


def test_two_processes_may_write_at_a_time(tmp_path: Path) -> None:
    with Remembered(tmp_path, "x") as one, Remembered(tmp_path, "x") as other:
        one.put(b"a", b"1")
        other.put(b"b", b"2")
        one.save()
        other.save()
        assert (one.get(b"b"), other.get(b"a")) == (b"2", b"1")


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: (folder / "x.sqlite").write_bytes(b"no database at all" * 100),
        lambda folder: (folder / "x.sqlite").write_bytes(
            (folder / "x.sqlite").read_bytes()[:5000] + bytes(3000)
        ),
        lambda folder: (folder / "x.sqlite").unlink(),
        lambda folder: sqlite3.connect(folder / "x.sqlite").execute("DROP TABLE readings"),
        lambda folder: os.truncate(folder / "x.sqlite", MAX_SIZE + 1),
    ],
    ids=["other-bytes", "damaged", "gone", "other-table", "too-large"],
)
def test_a_file_that_is_no_cache_any_more_is_no_error(
    tmp_path: Path, harm: Callable[[Path], object]
) -> None:
    with Remembered(tmp_path, "x") as store:
        for number in range(500):
            store.put(b"%d" % number, b"v" * 50)
    harm(tmp_path)
    for _ in range(2):
        with Remembered(tmp_path, "x") as store:
            assert store.get(b"7") in (None, b"v" * 50)
            store.put(b"new", b"n")
    with Remembered(tmp_path, "x") as store:
        assert store.get(b"new") in (None, b"n")


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
def test_a_folder_that_others_may_write_to_is_not_used(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o777)
    with Remembered(folder, "x") as store:
        store.put(b"k", b"v")
    assert not list(folder.iterdir())


def test_the_place_of_the_cache_is_the_users_or_the_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIM_CACHE_DIR", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("SLIM_CACHE_DIR")
    assert cache_folder().is_absolute() and "venvstacks-slim" in cache_folder().parts
    assert (
        load_config(SCHEMAS, overrides={"cache": False}).context(tmp_path, Silent()).cache is None
    )


def read(made: Readings, source: bytes) -> tuple[object, ...]:
    """Everything that is read off a source, in each way."""
    return (
        *(made.scan(source, expressions=e, paths=p) for e, p in DEPTHS),
        *(made.hints(source, undotted=undotted) for undotted in (False, True)),
        made.summary(record_of(source), lambda: source),
    )


def record_of(content: bytes) -> FileRecord:
    return FileRecord(
        layer="app",
        path="a.py",
        type=EntryType.FILE,
        kind=FileKind.PYTHON,
        owner=UNOWNED,
        size=len(content),
        mode=0o644,
        sha256=hashlib.sha256(content).hexdigest(),
    )


def direct(source: bytes) -> tuple[object, ...]:
    return (
        *(scan(source, expressions=bool(e), paths=bool(p)) for e, p in DEPTHS),
        *(text_hints(source, undotted=undotted) for undotted in (False, True)),
        summary_of(source),
    )


@given(st.lists(st.sampled_from([SOURCE, b"\xff", b"def f(:\n", b"'a.tests'\n", b"\r", b"\0"])))
def test_readings_are_the_same_new_and_remembered(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes]
) -> None:
    folder = tmp_path_factory.mktemp("cache")
    source = b"".join(parts)
    for _ in range(2):
        with Readings(folder) as made:
            assert read(made, source) == direct(source)
    with Readings() as made:
        assert read(made, source) == direct(source)


def test_a_reading_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Readings(tmp_path) as made:
        first = read(made, SOURCE)
    for module, name in ((makers, "scan"), (makers, "text_hints"), (readings, "summary_of")):
        monkeypatch.delattr(module, name)
    with Readings(tmp_path) as made:
        assert read(made, SOURCE) == first
        with pytest.raises(NameError):
            read(made, SOURCE + b"\n")  # other content is another reading


def test_other_code_of_slim_reads_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Readings(tmp_path) as made:
        read(made, SOURCE)
    monkeypatch.setattr(remembering, "_version", lambda: b"another")
    monkeypatch.delattr(makers, "scan")
    with Readings(tmp_path) as made, pytest.raises(NameError):
        read(made, SOURCE)
    monkeypatch.setattr(remembering, "_version", lambda: None)  # code that can't be read
    monkeypatch.setattr(makers, "scan", scan, raising=False)
    with Readings(tmp_path / "none") as made:
        assert read(made, SOURCE) == direct(SOURCE)
    assert not (tmp_path / "none").exists()


def test_a_value_from_elsewhere_is_no_reading(tmp_path: Path) -> None:
    key = b"k" * 32
    good = remembering._sealed(key, ["x"])
    assert remembering._content(key, good) == ["x"]
    for other, stored in ((b"o" * 32, good), (key, good[:-1]), (key, b""), (key, b"x" * 16)):
        with pytest.raises(ValueError):
            remembering._content(other, stored)
    foreign: list[object] = [None, 1, "x", [], {}, [1] * 11, [[1]] * 10, [["a"], 1, 2, 3, 4]]
    with Readings(tmp_path) as made:
        read(made, SOURCE)
    for value in foreign:  # sealed as it should be, but another shape
        with Remembered(tmp_path, NAME) as store:
            keys = sqlite3.connect(tmp_path / f"{NAME}.sqlite").execute("SELECT key FROM readings")
            for (each,) in keys:
                store.put(each, remembering._sealed(each, value))
        with Readings(tmp_path) as made:
            assert read(made, SOURCE) == direct(SOURCE)


def test_a_reading_of_one_type_is_of_that_type(tmp_path: Path) -> None:
    form, other = plain("x", str), plain("x", bool)
    with Remembering(tmp_path) as made:
        assert made.of_bytes(form, "0" * 64, 300, lambda: "text") == "text"
        assert made.of_bytes(other, "0" * 64, 300, lambda: True) is True
        assert made.of_bytes(form, "", 300, lambda: "without a digest") == "without a digest"
        assert made.of_bytes(form, "", 300, lambda: "made again") == "made again"


SCAN_WITH_ALL = Scan(
    imports=(
        Import(
            module="a.b",
            line=3,
            text="x",
            level=2,
            names=("c",),
            anchor="__name__",
            strength=Strength.WEAK,
            kind="string",
            note="n",
            runs=True,
            whole=True,
        ),
    ),
    strings=(("s", 1),),
    listed=(("l", 2),),
    exported=frozenset({"e"}),
    bound=frozenset({"b"}),
    named=(StringName("n", 4, True),),
    opened=frozenset({"o"}),
    paths=(PathUse(("tests", "x"), 5, True, ("pkg",), True),),
    unresolved=(UnresolvedCall("f()", 6, True, True, "etc"),),
    problem="p",
)
SOME = frozenset({b"a", b""})
HINTS_WITH_ALL = Hints(
    words=SOME,
    quoted=SOME,
    dotted=SOME,
    tails=SOME,
    started=SOME,
    relative=True,
    star=True,
    dynamic=True,
    opaque=True,
    listing=True,
    paths=True,
    lists_itself=True,
    attaches_stub=True,
)
SUMMARY_WITH_ALL = SourceSummary(
    lines=FileLines((ImportLine(Request(1, "m", ("n",)), 2, 3),), frozenset({"t"})),
    signals=Signals(True, frozenset({"m"}), frozenset({"h"}), True, True, True),
    builds=True,
    named=(("a.py", 7),),
    described=Described.EVERY,
    lists=MayList.ANY,
    sections=SectionsRead.DEBUGGING,
)


@pytest.mark.parametrize(
    ("form", "value"),
    [(SCAN, SCAN_WITH_ALL), (HINTS, HINTS_WITH_ALL), (SUMMARY, SUMMARY_WITH_ALL)],
    ids=lambda value: getattr(value, "name", ""),
)
def test_every_field_of_a_reading_is_stored(form: Form[object], value: object) -> None:
    assert not list(defaults_in(value)), "give the value above every field that there is"
    stored = json.loads(json.dumps(form.pack(value)))
    assert form.unpack(stored) == value


def defaults_in(value: object) -> Iterator[str]:
    """Fields that have their defaults, in a value and in what it holds."""
    if is_dataclass(value):
        for each in fields(value):
            inner = getattr(value, each.name)
            if inner == each.default:
                yield f"{type(value).__name__}.{each.name}"
            yield from defaults_in(inner)
    elif isinstance(value, tuple):
        defaults = getattr(value, "_field_defaults", {})
        yield from (name for name in defaults if getattr(value, name) == defaults[name])
        for inner in value:
            yield from defaults_in(inner)


def slimmed(tmp_path: Path, name: str, cache: bool) -> tuple[RunResult, dict[str, bytes]]:
    config = load_config(SCHEMAS, overrides={"cache": cache, "format": "tar"})
    output = tmp_path / name
    (result,) = run(RunRequest(source=tmp_path / "in", output=output, config=config), Silent())
    files = {
        path.relative_to(output).as_posix(): path.read_bytes()
        for path in sorted(output.rglob("*"))
        if path.is_file()
    }
    return result, files


def test_no_byte_of_a_result_depends_on_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIM_CACHE_DIR", str(tmp_path / "cache"))
    site = "lib/python3.13/site-packages"
    padding = "# padding\n" * 40
    files: dict[str, str | bytes | Link] = {
        f"{site}/pkg/__init__.py": "from pkg import tests\n" + padding,
        f"{site}/pkg/tests/__init__.py": "from .test_a import f\n" + padding,
        f"{site}/pkg/tests/test_a.py": "def f(): pass\n" + padding,
        f"{site}/pkg/tests/test_b.py": "import absent\n" + "x = 1\n" * 400,
        f"{site}/pkg/broken.py": "import absent\n" + "x = 1\n" * 400,
        f"{site}/pkg/pack.py": "import shutil, os\nHERE = os.path.dirname(__file__)\n"
        "shutil.copytree(HERE + '/listed', 'there')\n" + padding,
        f"{site}/pkg/old.py": "print 'x', __file__, os.walk('.')\n" + padding,
        f"{site}/pkg/listed/tests/test_c.py": "def f(): pass\n" + padding,
        f"{site}/pkg/core.cpython-313-x86_64-linux-gnu.so": LIBRARY,
        f"{site}/pkg/stated.so": LIBRARY + b"another",
        f"{site}/pkg/sums.txt": hashlib.md5(LIBRARY + b"another").hexdigest() + padding,
    }
    stack = {
        "cpython3.13": LayerSpec("runtime", {"lib/python3.13/os.py": ""}),
        "app": LayerSpec("application", files),
    }
    publish(tmp_path / "in", stack, suffix=".tar")
    off = slimmed(tmp_path, "off", cache=False)
    assert not (tmp_path / "cache").exists()
    assert any(action.record.native for action in off[0].plan.actions.values())
    cold = slimmed(tmp_path, "cold", cache=True)
    assert (tmp_path / "cache").exists()
    warm = slimmed(tmp_path, "warm", cache=True)
    assert off[1] == cold[1] == warm[1]
    assert off[0].plan.actions
    for result, _ in (cold, warm):
        assert result.plan.actions == off[0].plan.actions
        assert replace(result.plan, actions={}).skipped == off[0].plan.skipped
