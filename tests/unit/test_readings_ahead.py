"""Readings that other processes make: the same as one's own, whatever happens to a process."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

import slim
from slim.analysis import readings as readings_module
from slim.analysis.ahead import crew as crew_module
from slim.analysis.ahead import worker
from slim.analysis.ahead.crew import Crew, Key, Packed, Queue, Wanted
from slim.analysis.ahead.makers import MAKERS, hints_variant, scan_variant
from slim.analysis.code_paths.reading import listings_variant
from slim.analysis.imports.native_names import native_variant
from slim.analysis.imports.proof import ImportProof
from slim.analysis.readings import Readings
from slim.errors import StorageError
from slim.model.stack import Platform
from tests.support.virtual_stacks import make_stack

VARIANTS = {
    "scan": ("00", "10", "11"),
    "hints": ("0", "1"),
    "summary": ("",),
    "listings": tuple(
        listings_variant(Platform.parse("win_amd64"), sources=sources) for sources in (False, True)
    ),
    "stated-digests": ("", "bytecode"),
    "native-names": (native_variant(bytecode=False, module=True),),
}
SOURCES = [
    path.read_bytes()
    for folder in ("analysis/imports", "analysis/unimportable", "verification/dynamic")
    for path in sorted((Path(slim.__file__).parent / folder).glob("*.py"))
    if path.stat().st_size >= 256  # smaller ones aren't remembered
]


def wanted(source: bytes, form: str, variant: str) -> Wanted:
    sha256 = hashlib.sha256(source).hexdigest()
    return Wanted(form, variant, sha256, len(source), lambda: source)


def results(crew: Crew, asked: Iterable[Wanted]) -> dict[Key, object]:
    return {each.key: crew.result(each.key) for each in asked}


def children_alone(_each: Wanted) -> object:
    raise AssertionError("this process was to make nothing")


class ByChildren(Crew):
    """Children make everything, since this process waits for them."""

    def result(self, key: Key) -> object:
        while not self.has_made(key):
            time.sleep(0.001)
        return super().result(key)

    def has_made(self, key: Key) -> bool:
        with self._changed:
            return key in self._made or not self.has_begun(key)


def test_processes_make_what_one_would_make_oneself() -> None:
    asked = [
        wanted(source, form, variant)
        for source in SOURCES
        for form, variants in VARIANTS.items()
        for variant in variants
    ]
    assert {each.form for each in asked} == set(MAKERS)
    with ByChildren(1, children_alone) as crew:
        crew.begin(asked)
        made = results(crew, asked)
        assert not any(crew.has_begun(each.key) for each in asked)
    for each in asked:
        maker, packed = MAKERS[each.form], made[each.key]
        assert isinstance(packed, Packed)
        assert maker.form.unpack(json.loads(packed.text)) == maker.make(each.read(), each.variant)


def test_who_waits_makes_others_from_the_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew_module, "_QUEUED", 1)
    monkeypatch.setattr(crew_module, "_LEAST_BATCH", 1)
    mine: list[Wanted] = []
    sent = Event()
    at_last = Event()

    def ask(_self: Crew, batch: list[Wanted]) -> list[str]:
        sent.set()
        at_last.wait()
        return [f'"{each.variant}"' for each in batch]

    def own(each: Wanted) -> object:
        mine.append(each)
        if len(mine) == 2:
            at_last.set()
        return each.variant

    monkeypatch.setattr(Crew, "_ask", ask)
    asked = [wanted(b"x", "hints", str(number)) for number in range(5)]
    with Crew(1, own) as crew:
        crew.begin(asked[:4])
        crew.foresee(iter(asked[4:]))
        crew.begin(asked)  # they are begun
        sent.wait()
        assert crew.result(asked[0].key) == Packed('"0"')
        # One that is to come later isn't made before those that are to come soon.
        assert mine[:2] == [asked[3], asked[2]]
        assert crew.result(asked[3].key) == "3"
        assert not crew.has_begun(asked[3].key)


def test_what_nobody_has_sent_is_left_to_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew_module, "_HELD", 0)  # nothing may be sent
    asked = [wanted(source, "hints", "0") for source in SOURCES]
    with Crew(1, children_alone) as crew:
        crew.begin(asked)
        assert set(results(crew, asked).values()) == {None}
        assert not any(crew.has_begun(each.key) for each in asked)


def test_what_nobody_asks_for_is_not_made_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = 1000
    monkeypatch.setattr(crew_module, "_UNASKED", 10 * weight)
    monkeypatch.setattr(crew_module, "_LEAST_BATCH", 1)
    made: list[Wanted] = []

    def ask(_self: Crew, batch: list[Wanted]) -> list[str]:
        made.extend(batch)
        return ["1"] * len(batch)

    monkeypatch.setattr(Crew, "_ask", ask)
    source = b"x" * weight
    asked = [wanted(source, "hints", str(number)) for number in range(200)]
    with ByChildren(1, children_alone) as crew:
        crew.foresee(iter(asked[:100]))
        assert crew.result(asked[0].key) == Packed("1")
        time.sleep(0.05)
        few = len(made)
        assert few < 15
        crew.begin(asked[100:])  # what is wanted before them is made still
        assert crew.result(asked[100].key) == Packed("1")
        time.sleep(0.05)
        assert few < len(made) < 30
        for each in (*asked[101:], *asked[1:100]):
            assert crew.result(each.key) == Packed("1")


@pytest.mark.parametrize("form", VARIANTS)
def test_a_child_answers_each_file_of_a_question(form: str) -> None:
    sources = SOURCES[:3]
    variant = VARIANTS[form][-1]
    files = [[form, variant, len(source)] for source in sources]
    answered = worker.answer({"files": files}, b"".join(sources))["readings"]
    maker = MAKERS[form]
    assert isinstance(answered, list)
    assert [maker.form.unpack(json.loads(text)) for text in answered] == [
        maker.make(source, variant) for source in sources
    ]


def test_a_reading_too_long_for_an_answer_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_LONGEST", 2000)
    sources = [b"import a\n", b"import " + b", ".join(b"m%d" % at for at in range(500)), b"x = 1\n"]
    files = [["hints", "0", len(source)] for source in sources]
    answered: Any = worker.answer({"files": files}, b"".join(sources))["readings"]
    assert [bool(text) for text in answered] == [True, False, True]
    monkeypatch.setattr(Crew, "_ask", lambda *_: answered[1:2])
    with ByChildren(1, children_alone) as crew:
        too_long = wanted(sources[1], "hints", "0")
        crew.begin([too_long])
        assert crew.result(too_long.key) is None


def test_what_a_child_fails_to_make_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew_module, "MODULE", "slim.no_such_module")
    asked = [wanted(source, "hints", "0") for source in SOURCES]
    with Crew(2, lambda _each: "mine") as crew:
        crew.begin(asked)
        assert {*results(crew, asked).values()} <= {"mine", None}
        while crew.works:
            crew.begin(asked[:1])
            crew.result(asked[0].key)
        crew.begin(asked)
        assert not crew.has_begun(asked[0].key)


def test_a_file_that_can_no_longer_be_read_is_left_to_who_asks() -> None:
    def gone() -> bytes:
        raise StorageError("it is gone")

    asked = wanted(b"x = 1", "hints", "0")._replace(read=gone)
    with ByChildren(1, children_alone) as crew:
        crew.begin([asked])
        assert crew.result(asked.key) is None
        assert crew.works


def test_what_is_made_ahead_is_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings_module, "_LEAST_WORK", 1)
    monkeypatch.setattr(readings_module, "_LEAST_SHARED", 1)
    plain = Readings()
    with Readings(children=1) as helped:
        assert helped.has_help
        for source in SOURCES:
            helped.ahead(
                [
                    wanted(source, "scan", scan_variant(expressions=True, paths=True)),
                    wanted(source, "hints", hints_variant(undotted=False)),
                ]
            )
        assert helped.has_begun(wanted(SOURCES[-1], "hints", "0"))
        for source in SOURCES:
            scans = (each.scan(source, expressions=True, paths=True) for each in (helped, plain))
            assert next(scans) == next(scans)
            assert helped.hints(source, undotted=False) == plain.hints(source, undotted=False)
        assert not helped._crew._made
        helped.rest()
        assert not helped.has_help


def test_what_is_foreseen_is_told_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew_module, "_FORESEEN", 10)
    monkeypatch.setattr(crew_module, "_HELD", 0)  # nothing may be sent
    told: list[Wanted] = []

    def tell() -> Iterator[Wanted]:
        for each in asked:
            told.append(each)
            yield each

    asked = [wanted(b"x", "hints", str(number)) for number in range(100)]
    with Crew(1, children_alone) as crew:
        crew.foresee(tell())
        assert len(told) == 5
        for at, each in enumerate(asked):
            assert crew.result(each.key) is None
            assert len(told) <= at + 10
        assert told == asked


def test_summaries_are_foreseen_where_any_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readings_module, "_LEAST_WORK", 1)
    sources = {f"$site/m{at}.py": source.decode() for at, source in enumerate(SOURCES)}
    stack = make_stack({"app-x": sources})
    records = [record for record in stack.inventory if record.path.endswith(".py")]
    with Readings(tmp_path, children=1) as first:
        first.foresee_summaries(records, stack.read)
        assert first._crew.has_begun(("summary", "", records[0].sha256))
        first.rest()
        for record in records:
            first.summary(record, partial(lambda each: bytes(stack.read(each)), record))
    with Readings(tmp_path, children=1) as second:
        second.foresee_summaries(records, stack.read)
        assert not second._crew.started


def test_little_or_unknown_work_and_large_files_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def begin(*_arguments: object) -> None:
        raise AssertionError("nothing was to be shared")

    monkeypatch.setattr(Crew, "begin", begin)
    with Readings(children=1) as helped:
        helped.ahead([wanted(source, "hints", "0") for source in SOURCES])  # too little
        monkeypatch.setattr(readings_module, "_LEAST_WORK", 1)
        large = b"x" * (MAKERS["hints"].max_size + 1)
        helped.ahead([wanted(large, "hints", "0"), wanted(b"", "hints", "0")])
        helped.ahead([wanted(SOURCES[0], "hints", "0")._replace(sha256="")])


def test_little_work_is_shared_with_children_that_run(monkeypatch: pytest.MonkeyPatch) -> None:
    shared: list[int] = []
    monkeypatch.setattr(Crew, "begin", lambda _self, wanted: shared.append(len(list(wanted))))
    source = b"x = 1\n" * 1000
    asked = [wanted(source + b"#" * number, "hints", "0") for number in range(100)]
    with Readings(children=1) as helped:
        helped.ahead(asked)
        assert shared == []
        monkeypatch.setattr(Crew, "started", True)
        helped.ahead(asked[:5])
        helped.ahead(asked)
    assert shared == [100]


def test_batches_are_small_enough_for_all_to_end_together() -> None:
    source = b"x = 1\n" * 1000
    few = [wanted(source + b"#" * number, "hints", "0") for number in range(50)]
    many = [each._replace(size=each.size * 100) for each in few]
    for asked in (few, many):
        queue = Queue()
        for each in asked:
            queue.add(each)
        batches = list(iter(queue.batch, []))
        assert [each for batch in batches for each in batch] == asked
        assert len(batches) > 5
        assert len(batches[0]) >= len(batches[-1])
        assert sum(each.size for each in batches[0]) < crew_module._BATCH * 2


def test_what_is_remembered_is_not_made_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readings_module, "_LEAST_WORK", 1)
    with Readings(tmp_path) as first:
        for source in SOURCES:
            first.hints(source, undotted=True)
    with Readings(tmp_path, children=1) as second:
        second.ahead([wanted(source, "hints", "1") for source in SOURCES])
        assert not second._crew.started
        second.ahead([wanted(source, "hints", "0") for source in SOURCES[:2]])
        assert all(second.has_begun(wanted(source, "hints", "0")) for source in SOURCES[:2])


def test_a_proof_with_help_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings_module, "_LEAST_WORK", 1)
    stack = make_stack(
        {
            "app-x": {
                "$site/pkg/__init__.py": "from . import used\n",
                "$site/pkg/used.py": "import importlib as i\ni.import_module('pkg.tests.helper')\n",
                "$site/pkg/other.py": "HERE = __file__ + '/../tests/data.csv'\n",
                "$site/pkg/tests/__init__.py": "",
                "$site/pkg/tests/helper.py": "from pkg.tests.deep import more\n",
                "$site/pkg/tests/deep.py": "more = 1\n",
                "$site/pkg/tests/test_it.py": "def test_it(): pass\n",
            }
        }
    )
    removals = stack.keys_below("app-x/$site/pkg/tests")
    shared: list[Wanted] = []
    ahead = Readings.ahead

    def spy(self: Readings, wanted: Iterable[Wanted]) -> None:
        asked = list(wanted)
        shared.extend(asked)
        ahead(self, asked)

    monkeypatch.setattr(Readings, "ahead", spy)
    proofs = []
    for children in (0, 1):
        with Readings(children=children) as readings:
            proof = ImportProof(stack.stack, stack.inventory, stack.read, readings=readings)
            proofs.append(proof.prove(removals, weak_counts=lambda _key: True, by_name=removals))
    assert proofs[0] == proofs[1]
    assert {"hints", "scan"} == {each.form for each in shared}
    assert {path.rpartition("/")[2] for _, path in proofs[0].refused} >= {"helper.py", "deep.py"}


def test_an_answer_that_makes_no_sense_is_no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def nonsense(*_arguments: object, **_options: object) -> dict[str, object]:
        return {"readings": "none"}

    monkeypatch.setattr("slim.system.worker.Worker.ask", nonsense)
    asked = [wanted(source, "hints", "0") for source in SOURCES[:4]]
    with ByChildren(1, children_alone) as crew:
        crew.begin(asked)
        assert set(results(crew, asked).values()) == {None}


def test_what_ends_the_run_ends_the_children() -> None:
    asked = [wanted(source, "scan", "11") for source in SOURCES]
    turn = sys.getswitchinterval()

    threads: list[Thread] = []

    def ends() -> None:
        with Crew(2, children_alone) as crew:
            crew.begin(asked)
            threads.extend(crew._threads)
            assert sys.getswitchinterval() < turn
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ends()
    assert len(threads) > 1
    assert not any(thread.is_alive() for thread in threads)
    assert sys.getswitchinterval() == turn


def test_parts_keep_the_order_and_are_not_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = make_stack({"app-x": {f"$site/m{n:02}.py": "x" * n for n in range(20)}})
    records = list(stack.inventory)
    monkeypatch.setattr(crew_module, "_SLICE", 40)
    parts = list(crew_module.slices(records))
    assert [record for part in parts for record in part] == records
    assert len(parts) > 2
    assert all(sum(record.size for record in part[:-1]) < 40 for part in parts)
