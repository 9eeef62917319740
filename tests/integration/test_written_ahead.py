"""Native files are compressed while the plan is made, and no guess changes a byte of a result."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from slim.cli import main
from slim.formats.ahead import Ahead
from slim.formats.compression.xz import container
from slim.model.finding import EditSpec
from slim.model.plan import Plan
from slim.pipeline.guess import Guess
from slim.plan import planner
from slim.plan.likely import Likely
from slim.publish import publisher
from slim.publish.publisher import NewLayer
from tests.support.macho_files import LIBRARY, build
from tests.support.native_headers import macho
from tests.support.published_stacks import LayerSpec, distribution, publish


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published stack with one library that is edited and one that goes."""
    runtime = {"bin/python3.13": "#!/bin/sh\n", "lib/python3.13/os.py": ""}
    natives = {
        "natives/__init__.py": "",
        "natives/sample.so": build(LIBRARY),
        "natives/other.so": macho(strings=("other" * 2000,)),
        "natives/tests/test_sample.so": macho(strings=("test" * 2000,)),
    }
    layers = {
        "cpython3.13": LayerSpec("runtime", runtime),
        "framework-native": LayerSpec("framework", distribution("natives", natives)),
    }
    folder = tmp_path_factory.mktemp("source")
    publish(folder, layers, platform="macosx_arm64")
    return folder


@pytest.fixture(scope="module")
def wanted(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What comes of it where nothing is done ahead."""
    return slimmed(source, tmp_path_factory.mktemp("wanted") / "out", "--jobs", "1")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "LEAST_KNOWN", 1)
    monkeypatch.setattr(publisher, "_LEAST_AHEAD", 1)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Blocks that were begun and given; every one is finished before the plan is compared."""
    found: list[str] = []
    settled, take = Guess.settled, Ahead.take

    def late(guess: Guess, plan: Plan, layers: list[NewLayer]) -> Ahead:
        for thread in guess._ahead._threads:
            thread.join()
        return settled(guess, plan, layers)

    def noted(ahead: Ahead, key: str) -> object:
        future = take(ahead, key)
        found.extend([key] if future is not None else [])
        return future

    monkeypatch.setattr(Guess, "settled", late)
    monkeypatch.setattr(Ahead, "take", noted)
    return found


def slimmed(source: Path, output: Path, *more: str) -> dict[str, bytes]:
    arguments = ["run", str(source), "-o", str(output), "--no-config", "-q", *more]
    assert main(arguments) == 0
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]
    return {
        path.relative_to(output).as_posix(): path.read_bytes()
        for path in sorted(output.rglob("*"))
        if path.is_file()
    }


def test_native_blocks_are_taken_and_give_the_same_bytes(
    source: Path, wanted: dict[str, bytes], tmp_path: Path, given: list[str]
) -> None:
    assert slimmed(source, tmp_path / "two", "--jobs", "2") == wanted
    assert len(given) == 1
    assert slimmed(source, tmp_path / "eight", "--jobs", "8", "--no-cache") == wanted
    assert len(given) == 2


def _nothing_goes(likely: Likely) -> Likely:
    return replace(likely, gone=frozenset())


def _all_goes(likely: Likely) -> Likely:
    return replace(likely, gone=likely.gone | set(likely.edits))


def _no_edit(likely: Likely) -> Likely:
    return replace(likely, edits={})


def _another_size(likely: Likely) -> Likely:
    return replace(
        likely, edits={key: (spec, size - 1) for key, (spec, size) in likely.edits.items()}
    )


def _edit_that_fails(likely: Likely) -> Likely:
    spec = EditSpec(editor="elf-symbols", options={"level": "unneeded"})
    return replace(likely, edits={key: (spec, size) for key, (_, size) in likely.edits.items()})


@pytest.mark.parametrize(
    "wrong", [_nothing_goes, _all_goes, _no_edit, _another_size, _edit_that_fails]
)
def test_a_wrong_guess_changes_no_byte(
    source: Path,
    wanted: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: list[str],
    wrong: Callable[[Likely], Likely],
) -> None:
    guessed, asked = planner.likely, []

    def misled(*arguments: object) -> Likely:
        asked.append(arguments)
        likely = guessed(*arguments)  # type: ignore[arg-type]
        assert likely.edits, "there is something to be wrong about"
        return wrong(likely)

    monkeypatch.setattr(planner, "likely", misled)
    assert slimmed(source, tmp_path / "two", "--jobs", "2") == wanted
    assert asked and not given


def test_with_a_cache_of_results_known_blocks_are_not_compressed_again(
    source: Path, wanted: dict[str, bytes], tmp_path: Path, given: list[str]
) -> None:
    cache = str(tmp_path / "cache")
    assert slimmed(source, tmp_path / "one", "--jobs", "2", "--cache", cache) == wanted
    assert len(given) == 1
    for entry in (tmp_path / "cache" / "ac").iterdir():
        if json.loads(entry.read_bytes())["action"] != "block":
            entry.unlink()
    assert slimmed(source, tmp_path / "two", "--jobs", "2", "--cache", cache) == wanted
    assert len(given) == 1


@pytest.mark.parametrize(
    "arguments",
    [("--jobs", "1"), ("--memory", "900 MB"), ("--format", "zip"), ("--dry-run",)],
)
def test_nothing_is_begun_where_it_would_be_in_vain(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    begun: list[object] = []
    monkeypatch.setattr(Ahead, "begin", lambda _ahead, groups, threads: begun.append(groups))
    output = [] if arguments == ("--dry-run",) else ["-o", str(tmp_path / "out")]
    command = ["run", str(source), *output, "--no-config", "-q", "--jobs", "2", *arguments]
    assert main(command) == 0
    assert not any(begun)
