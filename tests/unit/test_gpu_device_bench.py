"""The part of bench/gpu_device.py that needs no device: copies, verdicts, the table."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from slim.model.gpu_target import parse_target
from tests.support.gpu_libraries import Library, code

ROOT = Path(__file__).parents[2]


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gpu_device", ROOT / "bench/gpu_device.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["gpu_device"] = module
    spec.loader.exec_module(module)
    return module


BENCH = load()
GOOD, OTHER = BENCH.Outcome(("a", "b"), "", 1.5), BENCH.Outcome(("a", "c"), "", 1.5)
FAILED = BENCH.Outcome((), "RuntimeError: no triton", 0.1)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (GOOD, GOOD, "equal"),
        (GOOD, OTHER, "DIFFERS: 1 of 2 results are equal"),
        (FAILED, FAILED, "fails alike: RuntimeError: no triton"),
        (GOOD, FAILED, "DIFFERS: RuntimeError: no triton; original: no error"),
        (FAILED, GOOD, "DIFFERS: no error; original: RuntimeError: no triton"),
        (GOOD, None, "not run: no time was left"),
        (None, GOOD, "not run: no time was left"),
        (BENCH.Outcome(), BENCH.Outcome(), "DIFFERS: 0 of 0 results are equal"),
    ],
)
def test_a_verdict(before: object, after: object, expected: str) -> None:
    assert BENCH.verdict(before, after) == expected


def results(**others: object) -> dict[str, dict[str, object]]:
    found = {way.name: dict.fromkeys(BENCH.PROGRAMS, GOOD) for way in BENCH.WAYS}
    found["slimmed, eager"].update(others)
    return found


@pytest.mark.parametrize(
    ("others", "negative", "good"),
    [
        ({}, "no kernel image is available", True),
        ({"fft": OTHER}, "no kernel image is available", False),
        ({"fft": None}, "no kernel image is available", False),
        ({}, "it ran", False),
    ],
)
def test_the_table_is_good_if_all_is(others: dict[str, object], negative: str, good: bool) -> None:
    lines, said = BENCH.table(results(**others), negative, "sm_75")
    assert said is good
    assert len(lines) == len(BENCH.PROGRAMS) + 3
    assert {line.count("|") for line in lines} == {5}
    assert (f"WRONG: {negative}" in lines[-1]) is (negative == "it ran")


def test_lines_of_the_worker_are_read() -> None:
    rows = [{"torch": "2.11", "context": 7}, {"program": "fft", "digests": ["x"], "seconds": 2.0}]
    printed = "\n".join(["a warning", *map(json.dumps, rows)])
    assert BENCH.read_lines(printed) == ({"fft": BENCH.Outcome(("x",), "", 2.0)}, 7)


@pytest.mark.parametrize(("card", "wrong"), [((9, 0), "sm_75"), ((7, 5), "sm_80")])
def test_the_wrong_architecture_is_one_that_the_card_cannot_run(
    card: tuple[int, int], wrong: str
) -> None:
    assert BENCH.wrong_for(card) == wrong


def test_a_copy_has_links_but_for_what_is_edited(tmp_path: Path) -> None:
    site = tmp_path / "site"
    data = Library(containers=[code(80, 90), code(75, 86, 90)]).build()
    for folder in ("torch", "nvidia"):
        (site / folder / "lib").mkdir(parents=True)
        (site / folder / "lib/x.so").write_bytes(data)
        (site / folder / "__init__.py").write_text("")
    new = tmp_path / "new"
    assert list(BENCH.edit_for(site, new, [parse_target("sm_90")])) == ["x.so"]
    assert (site / "torch/lib/x.so").read_bytes() == data, "the original is left alone"
    assert (new / "torch/lib/x.so").stat().st_size < len(data)
    if os.name == "posix":
        assert (new / "nvidia/lib/x.so").samefile(site / "nvidia/lib/x.so")


def install(site: Path, name: str, *needs: str) -> None:
    folder = site / f"{name}-1.0.dist-info"
    folder.mkdir(parents=True)
    (site / f"{name}.py").write_text(f"name = {name!r}\n")
    lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0", "Provides-Extra: cuda"]
    lines += [f"Requires-Dist: {need}" for need in needs]
    (folder / "METADATA").write_text("\n".join(lines) + "\n")
    rows = [f"{name}.py,,", f"{folder.name}/METADATA,,", f"../../bin/{name},,", "gone.py,,"]
    (folder / "RECORD").write_text("\n".join(rows) + "\n")


def test_what_is_required_is_laid_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the extras that are asked for, and only files of site-packages that are there."""
    site = tmp_path / "installed"
    install(site, "one", "two[cuda]", "six; extra == 'cuda'", "old; python_version < '3'")
    install(site, "two", "three; extra == 'cuda'", "one", "absent")
    for name in ("three", "six", "old"):
        install(site, name)
    monkeypatch.syspath_prepend(site)
    found = BENCH.required(["one", "absent"])
    assert sorted(one.metadata["Name"] for one in found) == ["one", "three", "two"]
    new = BENCH.lay_out(found, tmp_path / "new")
    assert new.parts[-3] == "lib"
    files = [path.relative_to(new).as_posix() for path in new.rglob("*") if path.is_file()]
    expected = [f"{name}{end}" for name in ("one", "three", "two")
                for end in ("-1.0.dist-info/METADATA", ".py")]  # fmt: skip
    assert sorted(files) == sorted(expected)


def test_without_a_device_it_says_so() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "bench/gpu_device.py")],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 2:
        pytest.skip("there is a device")
    assert "no CUDA device" in done.stderr
