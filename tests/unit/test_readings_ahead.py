"""Readings that other processes make: the same as one's own, whatever happens to a process."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import pytest

import slim
from slim.analysis import readings as readings_module
from slim.analysis.ahead import crew as crew_module
from slim.analysis.ahead import worker
from slim.analysis.ahead.crew import Crew, Wanted
from slim.analysis.ahead.makers import MAKERS, hints_variant, scan_variant
from slim.analysis.code_paths.reading import listings_variant
from slim.analysis.imports.native_names import native_variant
from slim.analysis.imports.proof import ImportProof
from slim.analysis.readings import Readings
from slim.model.stack import Platform
from slim.system.worker import NoAnswer
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


def test_processes_make_what_one_would_make_oneself() -> None:
    asked = [
        wanted(source, form, variant)
        for source in SOURCES
        for form, variants in VARIANTS.items()
        for variant in variants
    ]
    assert {each.form for each in asked} == set(MAKERS)
    mine: list[Wanted] = []
    made: list[tuple[Wanted, str]] = []
    with Crew(1) as crew:
        crew.share(asked, mine.append, lambda each, text: made.append((each, text)))
    assert sorted(each.key for each in (*mine, *(each for each, _ in made))) == sorted(
        each.key for each in asked
    )
    assert made  # a child took its share
    for each, text in made:
        maker = MAKERS[each.form]
        assert maker.form.unpack(json.loads(text)) == maker.make(each.read(), each.variant)


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
    first, second, third = worker.answer({"files": files}, b"".join(sources))["readings"]
    assert (bool(first), second, bool(third)) == (True, "", True)
    with Readings(children=1) as readings:
        readings._take(wanted(sources[1], "hints", "0"), second)
        assert readings.hints(sources[1], undotted=False) == Readings().hints(
            sources[1], undotted=False
        )


def test_what_a_child_fails_to_make_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew_module, "MODULE", "slim.no_such_module")
    asked = [wanted(source, "hints", "0") for source in SOURCES]
    mine: list[Wanted] = []
    others: list[Wanted] = []
    with Crew(2) as crew:
        crew.share(asked, mine.append, lambda each, _text: others.append(each))
        assert others == []
        for _ in range(crew_module._MAX_ACCIDENTS):
            crew.share(asked, mine.append, lambda each, _text: others.append(each))
        assert not crew.works
    assert others == []
    assert mine


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
        assert len(helped._made) > len(SOURCES)
        for source in SOURCES:
            scans = (each.scan(source, expressions=True, paths=True) for each in (helped, plain))
            assert next(scans) == next(scans)
            assert helped.hints(source, undotted=False) == plain.hints(source, undotted=False)
        assert helped._made == {}
        helped.rest()
        assert not helped.has_help


def test_little_or_unknown_work_and_large_files_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def share(*_arguments: object) -> None:
        raise AssertionError("nothing was to be shared")

    monkeypatch.setattr(Crew, "share", share)
    with Readings(children=1) as helped:
        helped.ahead([wanted(source, "hints", "0") for source in SOURCES])  # too little
        monkeypatch.setattr(readings_module, "_LEAST_WORK", 1)
        large = b"x" * (MAKERS["hints"].max_size + 1)
        helped.ahead([wanted(large, "hints", "0"), wanted(b"", "hints", "0")])
        helped.ahead([wanted(SOURCES[0], "hints", "0")._replace(sha256="")])


def test_little_work_is_shared_with_children_that_run(monkeypatch: pytest.MonkeyPatch) -> None:
    shared: list[int] = []
    monkeypatch.setattr(Crew, "share", lambda _self, wanted, *_: shared.append(len(list(wanted))))
    source = b"x = 1\n" * 1000
    asked = [wanted(source + b"#" * number, "hints", "0") for number in range(100)]
    with Readings(children=1) as helped:
        helped.ahead(asked)
        assert shared == []
        helped._crew.started = True
        helped.ahead(asked[:5])
        helped.ahead(asked)
    assert shared == [100]


def test_batches_are_small_enough_for_all_to_end_together(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []

    def ask(_self: Crew, batch: list[Wanted], _data: object) -> tuple[str, ...]:
        sent.append(sum(each.size for each in batch))
        return ()

    monkeypatch.setattr(Crew, "_ask", ask)
    source = b"x = 1\n" * 1000
    with Crew(1) as crew:
        assert crew._has_room(0, 0)
        assert not crew._has_room(0, crew_module._HELD)  # few large files are enough
        assert not crew._has_room(crew_module._QUEUED, 0)
        few = [wanted(source + b"#" * number, "hints", "0") for number in range(50)]
        crew.share(few, lambda _: None, lambda *_: None)
        assert 0 < max(sent) <= crew_module._LEAST_BATCH
        many = [each._replace(size=each.size * 1000) for each in few]
        crew.share(many, lambda _: None, lambda *_: None)
        assert max(sent) > crew_module._LEAST_BATCH


def test_what_is_remembered_is_not_made_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readings_module, "_LEAST_WORK", 1)
    with Readings(tmp_path) as first:
        for source in SOURCES:
            first.hints(source, undotted=True)
    with Readings(tmp_path, children=1) as second:
        second.ahead([wanted(source, "hints", "1") for source in SOURCES])
        assert second._made == {}
        second.ahead([wanted(source, "hints", "0") for source in SOURCES[:2]])
        assert len(second._made) == 2


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

    monkeypatch.setattr(crew_module.Worker, "ask", nonsense)
    others: list[Wanted] = []
    with Crew(1) as crew:
        crew.share(
            [wanted(source, "hints", "0") for source in SOURCES[:4]],
            lambda _each: None,
            lambda each, _text: others.append(each),
        )
    assert others == []


def test_what_ends_the_sharing_ends_the_children(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_each: Wanted) -> None:
        raise KeyboardInterrupt

    closed: list[bool] = []
    monkeypatch.setattr(crew_module, "_BATCH", 1)
    with Crew(1) as crew:
        close = crew.close
        monkeypatch.setattr(crew, "close", lambda: (close(), closed.append(True)))
        with pytest.raises(KeyboardInterrupt):
            crew.share(
                [wanted(source, "scan", "11") for source in SOURCES],
                interrupt,
                lambda _each, _text: None,
            )
        assert closed
        with pytest.raises(NoAnswer):
            crew._workers[0].start()


def test_parts_keep_the_order_and_are_not_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = make_stack({"app-x": {f"$site/m{n:02}.py": "x" * n for n in range(20)}})
    records = list(stack.inventory)
    monkeypatch.setattr(crew_module, "_SLICE", 40)
    parts = list(crew_module.slices(records))
    assert [record for part in parts for record in part] == records
    assert len(parts) > 2
    assert all(sum(record.size for record in part[:-1]) < 40 for part in parts)
