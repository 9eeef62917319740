"""The judgements of the dynamic checks, without running anything."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from slim.model.stack import UNKNOWN_PLATFORM, Layer, LayerKind, Stack, StackKind
from slim.model.verify import Command, Ready, Request, Subject
from slim.verification.dynamic import imports, launch, links, metadata, probes
from slim.verification.dynamic.imports import Imported
from slim.verification.dynamic.launch import Launched
from slim.verification.dynamic.links import Linked
from slim.verification.dynamic.opened import Opened
from slim.verification.dynamic.probes import Answer
from slim.verification.dynamic.sandbox import Isolation


@pytest.mark.parametrize(
    ("name", "public"),
    [
        ("numpy", True),
        ("numpy.testing", True),
        ("_ssl", True),
        ("numpy._core", False),
        ("numpy.tests.test_x", False),
        ("test.support", False),
        ("pkg.conftest", False),
        ("pkg.test_utils", False),
        ("pkg.contest", True),
        ("pkg.__main__", False),
        ("__main__", False),
        ("sitecustomize", False),
        ("pkg.not-a-name", False),
    ],
)
def test_what_is_public(name: str, public: bool) -> None:
    assert imports.is_public(name) is public


def test_modules_that_may_go_take_what_is_in_them_along() -> None:
    assert imports.may_go("a.b.c", ["a.b"])
    assert imports.may_go("a.b", ["a.*"])
    assert not imports.may_go("a.bc", ["a.b"])


def subject(layer: str, name: str) -> Subject:
    return Subject(check="imports", layer=layer, name=name)


def test_batches_hold_one_layer_and_everything_once() -> None:
    subjects = [
        subject(layer, f"{top}.m{n}")
        for layer in ("x", "y")
        for top in ("a", "b", "c")
        for n in range(50)
    ]
    found = imports.batches(subjects, 20)
    assert sorted(one for part in found for one in part) == sorted(subjects)
    assert all(len({one.layer for one in part}) == 1 for part in found)
    assert max(map(len, found)) <= 40


def test_what_memory_ended_is_tried_again_with_nothing_beside_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both = threading.Barrier(2, timeout=30)
    alone: list[str] = []

    def worker(deployment: object, subjects: list[Subject], timeout: float) -> list[Imported]:
        name = subjects[0].name
        if name in alone or name == "small":
            return [Imported(ok=True)]
        alone.append(name)
        both.wait()  # the other one runs, too
        return [Imported(ok=False, fatal=True, text="ended by signal 9", starved=True)]

    monkeypatch.setattr(imports, "_worker", worker)
    subjects = [Subject(check="imports", layer=name, name=name) for name in ("a", "b", "small")]
    there: Any = {"before": None}
    seen = imports.observe(there, subjects, timeout=1.0, workers=2, alone=True)
    assert {one.name: found.ok for one, found in seen["before"].items()} == {
        "a": True,
        "b": True,
        "small": True,
    }


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        (Imported(ok=True), Imported(ok=True), ""),
        (Imported(ok=False), Imported(ok=False), ""),
        (Imported(ok=True), Imported(ok=False, text="ImportError: x"), "ImportError: x"),
        (Imported(ok=True), Imported(ok=True, whole=False), "nothing is left of it but a folder"),
        (Imported(ok=True, whole=False), Imported(ok=True, whole=False), ""),
    ],
)
def test_a_lost_module(before: Imported, after: Imported, text: str) -> None:
    assert imports.lost(before, after) == text


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        (Linked(libraries={"a": "x/a"}), Linked(libraries={"a": "x/a"}), []),
        (Linked(libraries={"a": None}), Linked(libraries={"a": None}), []),
        (Linked(libraries={"a": "x/a"}), Linked(libraries={"a": None}), ["a isn't found"]),
        (Linked(libraries={"a": "x/a"}), Linked(libraries={"a": "y/a"}), []),
        (Linked(libraries={"a": "x/a"}), Linked(libraries={}), []),  # the edge isn't there any more
        (
            Linked(libraries={"a": "x/a"}),
            Linked(libraries={"a": "/usr/lib/a"}),
            ["a isn't found in the stack any more, only as /usr/lib/a"],
        ),
        (Linked(libraries={"a": "/usr/lib/a"}), Linked(libraries={"a": "/lib/a"}), []),
        (Linked(libraries={"a": "x/a"}), Linked(error="not page-aligned"), ["not page-aligned"]),
        (Linked(error="x"), Linked(error="y"), []),
    ],
)
def test_a_lost_library(before: Linked, after: Linked, found: list[str]) -> None:
    assert list(links.lost(before, after)) == found


DISTRIBUTIONS = {
    "app": {
        "version": "1.0",
        "entry_points": [],
        "requires": ["Lib_A>=2", "absent; extra == 'x'", "gone", "bad req!!"],
    },
    "lib-a": {
        "version": "1.5",
        "entry_points": [],
        "requires": ["app>=1.0.dev0; python_version >= '3'"],
    },
    "pre": {"version": "2.0rc1", "entry_points": [], "requires": []},
    "user": {"version": "1", "entry_points": [], "requires": ["pre>=1"]},
}


def test_unmet_requirements_are_those_of_pip_check() -> None:
    environment = {"python_version": "3.13", "sys_platform": "linux"}
    assert list(metadata.unmet(DISTRIBUTIONS, environment)) == [
        "app requires Lib_A>=2, there is 1.5",
        "app requires gone, which isn't installed",
    ]


def described(*facts: str, problems: tuple[str, ...] = (), error: str = "") -> metadata.Described:
    return metadata.Described(facts=frozenset(facts), problems=frozenset(problems), error=error)


def test_metadata_that_differs() -> None:
    before = described("a 1", "b 1", "b: entry point x", problems=("old",))
    after = described("a 2", problems=("old", "c requires b, which isn't installed"))
    assert list(metadata.lost(before, after)) == [
        "a 1 is missing",
        "b 1 is missing",
        "b: entry point x is missing",
        "a 2 is new",
        "c requires b, which isn't installed",
    ]
    assert list(metadata.lost(before, after, ["b"])) == ["a 1 is missing", "a 2 is new"]
    assert list(metadata.lost(described(), described(error="no interpreter"))) == ["no interpreter"]


COMMAND = Command(
    name="c",
    layer="app",
    argv=("python",),
    same_output=True,
    output=("ok",),
    files=("f",),
    timeout=5,
)


@pytest.mark.parametrize(
    ("seen", "texts"),
    [
        (Launched(code=0, stdout=b"ok", files={"f": b""}), []),
        (
            Launched(code=2, stdout=b"ok", stderr=b"a\nb\n", files={"f": b""}),
            ["exit code 2 instead of 0: b"],
        ),
        (Launched(code=-11, stdout=b"ok", files={"f": b""}), ["signal 11: no error output"]),
        (Launched(code=None, stdout=b"ok", files={"f": b""}), ["didn't end within 5 seconds"]),
        (
            Launched(code=0, stdout=b"", files={"f": None}),
            ["its output has nothing that matches 'ok'", "it didn't write f"],
        ),
    ],
)
def test_what_a_command_did_wrong(seen: Launched, texts: list[str]) -> None:
    assert list(launch.wrong(COMMAND, seen)) == texts


SERVER = Command(
    name="s",
    layer="app",
    argv=("python",),
    ready=Ready(port=1),
    timeout=5,
    requests=(Request(url="u", body="hi", same=True),),
)


@pytest.mark.parametrize(
    ("seen", "text"),
    [
        (Launched(code=0, ready=True, ended="when asked to", answers=((200, b"hi", ""),)), None),
        (Launched(code=-15, ready=True, ended="when asked to", answers=((200, b"hi", ""),)), None),
        (
            Launched(code=1, ready=False, ended="by itself", stderr=b"boom"),
            "the server ended with 1: boom",
        ),
        (
            Launched(code=0, ready=False, ended="when asked to"),
            "the server wasn't ready in 5 seconds: no error output",
        ),
        (
            Launched(code=0, ready=True, ended="when asked to", answers=((500, b"hi", ""),)),
            "u: status 500 instead of 200",
        ),
        (
            Launched(code=0, ready=True, ended="when asked to", answers=((0, b"", "refused"),)),
            "u: refused",
        ),
        (
            Launched(
                code=None,
                ready=True,
                ended="killed: it didn't stop when asked to",
                answers=((200, b"hi", ""),),
            ),
            "the server was killed: it didn't stop when asked to",
        ),
        (
            Launched(code=9, ready=True, ended="when asked to", answers=((200, b"hi", ""),)),
            "the server ended with 9 when asked to stop",
        ),
    ],
)
def test_what_a_server_did_wrong(seen: Launched, text: str | None) -> None:
    assert list(launch.wrong(SERVER, seen)) == ([text] if text else [])


def test_outputs_are_compared_but_for_what_is_ignored() -> None:
    before = Launched(code=0, stdout=b"a\nb 1\n", files={"f": b"x"})
    after = Launched(code=0, stdout=b"a\nb 2\n", files={"f": b"y"})
    assert list(launch.different(COMMAND, before, after)) == [
        "it prints something else: line 2 was 'b 1', now 'b 2'",
        "f has other content: line 1 was 'x', now 'y'",
    ]
    lenient = Command(name="c", layer="app", argv=("python",), same_output=True, ignore=("[0-9]",))
    assert list(launch.different(lenient, before, after)) == []
    answers = (
        Launched(code=0, answers=((200, b"one", ""),)),
        Launched(code=0, answers=((200, b"two", ""),)),
    )
    assert list(launch.different(SERVER, *answers)) == [
        "u: another answer: line 1 was 'one', now 'two'"
    ]


def test_what_the_sandbox_lacks_is_said() -> None:
    whole = Isolation(
        network=True, processes=True, files=True, proc=True, syscalls=True, memory=True
    )
    assert whole.missing == ""
    assert replace(whole, network=False).missing == (
        "this host doesn't let programs run without a network. "
        "They could: reach other machines and services of this one"
    )
    for text in ("connect to sockets", "command lines", "keyrings", "leave some behind"):
        assert text in Isolation().missing


def test_what_a_library_or_program_lost() -> None:
    good, bad = Answer(ok=True, output=b"1.2\n"), Answer(ok=False, text="exit code 1: no")
    assert probes.lost(good, good) == probes.lost(bad, good) == probes.lost(bad, bad) == ""
    assert probes.lost(good, bad) == "exit code 1: no"
    other = Answer(ok=True, output=b"1.3\n")
    assert probes.lost(good, other) == "--version was '1.2\\n', now '1.3\\n'"


def layers(*names: str) -> Stack:
    kinds = {"app": LayerKind.APPLICATION, "framework": LayerKind.FRAMEWORK}
    return Stack(
        kind=StackKind.FOLDER,
        source=".",
        platform=UNKNOWN_PLATFORM,
        layers=tuple(
            Layer(
                name=name,
                layer_name=name,
                kind=kinds[name.partition("-")[0]],
                platform=UNKNOWN_PLATFORM,
                requires=("framework-a",) if name == "app-x" else (),
            )
            for name in names
        ),
    )


def test_what_no_command_starts_is_said() -> None:
    stack = layers("framework-a", "framework-b", "app-x", "app-y")
    command = Command(name="c", layer="app-x", argv=("python",))
    assert list(launch.untried([command], stack)) == [
        "app-y wasn't started: no [[verify.command]] is for it",
        "no application uses framework-b: its modules were imported, and nothing more",
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="inotify")
def test_what_is_opened_is_seen_whoever_opens_it(tmp_path: Path) -> None:
    (tmp_path / "layer/lib").mkdir(parents=True)
    for name in ("layer/a", "layer/lib/b", "layer/lib/c", "layer/lib/d"):
        (tmp_path / name).write_text("x")
    seen = Opened()
    (tmp_path / "layer/lib/d").read_text()
    with seen.observe(tmp_path):
        (tmp_path / "layer/a").read_text()
        subprocess.run(["cat", tmp_path / "layer/lib/b"], check=True, capture_output=True)
        list((tmp_path / "layer/lib").iterdir())
        (tmp_path / "layer/lib/c").stat()
    assert (seen.files, seen.gap) == ({("layer", "a"), ("layer", "lib/b")}, "")


def test_where_nobody_tells_what_is_opened_that_is_a_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    seen = Opened()
    with seen.observe(tmp_path):
        pass
    assert "doesn't tell which files programs open" in seen.gap
