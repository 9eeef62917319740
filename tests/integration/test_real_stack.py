"""Stacks that venvstacks built: smaller than promised, and every application says what it said.

``SLIM_LAB_STACKS`` names a folder with ``assistant`` and ``science``, each as
``bench/make_stack.sh`` leaves it. They take several minutes to build and need a package index, so
without the variable these tests are skipped.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from slim.config.load import load_config
from slim.model.outcome import RunResult
from slim.passes import SCHEMAS
from slim.pipeline.stages import RunRequest, run
from tests.support.deployed_stacks import archived_size, deploy, entries, launch, tree_size

VARIABLE = "SLIM_LAB_STACKS"
MB = 1_000_000
MIB = 1 << 20

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        VARIABLE not in os.environ, reason=f"{VARIABLE} names no folder with built stacks"
    ),
    pytest.mark.skipif(
        shutil.which("tar") is None or shutil.which("xz") is None, reason="needs tar and xz"
    ),
    pytest.mark.xdist_group("real-stack"),
]


@dataclass(frozen=True)
class Target:
    """What a stack may weigh: archives in bytes, and deployed as ``du`` counts."""

    name: str
    archives: float
    deployed: float
    arguments: tuple[str, ...] = ()


TARGETS = (
    Target(name="assistant", archives=33.5 * MB, deployed=320 * MIB, arguments=("--selftest",)),
    Target(name="science", archives=84 * MB, deployed=450 * MIB),
)


@dataclass(frozen=True)
class Slimmed:
    """One stack after a run."""

    target: Target
    published: Path
    output: Path
    deployed: Path
    result: RunResult
    work: Path


def slim(source: Path, output: Path) -> RunResult:
    (result,) = run(RunRequest(source=source, output=output, config=load_config(SCHEMAS)))
    return result


@pytest.fixture(scope="module", params=TARGETS, ids=lambda target: target.name)
def slimmed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Slimmed:
    target: Target = request.param
    published = Path(os.environ[VARIABLE], target.name, "_artifacts")
    if not (published / "__venvstacks__").is_dir():
        pytest.skip(
            f"{published} isn't there: bench/make_stack.sh fixtures/stacks/{target.name} builds it"
        )
    work = tmp_path_factory.mktemp(target.name)
    result = slim(published, work / "out")
    deployed = deploy(work / "out", work / "deployed")
    return Slimmed(
        target=target,
        published=published,
        output=work / "out",
        deployed=deployed,
        result=result,
        work=work,
    )


def test_sizes_keep_the_promise(slimmed: Slimmed) -> None:
    assert archived_size(slimmed.output) <= slimmed.target.archives
    assert tree_size(slimmed.deployed) <= slimmed.target.deployed


def test_every_application_says_the_same(slimmed: Slimmed) -> None:
    original = deploy(slimmed.published, slimmed.work / "original")
    applications = [entry for entry in entries(slimmed.published) if "app_launch_module" in entry]
    assert applications
    for entry in applications:
        layer, module = entry["install_target"], entry["app_launch_module"]
        before = launch(original, layer, module, *slimmed.target.arguments)
        assert json.loads(before)
        assert launch(slimmed.deployed, layer, module, *slimmed.target.arguments) == before
    shutil.rmtree(original)


def test_slimming_again_changes_nothing(slimmed: Slimmed) -> None:
    again = slimmed.work / "again"
    slim(slimmed.output, again)
    names = sorted(
        path.relative_to(slimmed.output) for path in slimmed.output.rglob("*") if path.is_file()
    )
    assert names == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    assert [
        str(name)
        for name in names
        if (slimmed.output / name).read_bytes() != (again / name).read_bytes()
    ] == []
