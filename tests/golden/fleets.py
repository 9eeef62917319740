"""A fleet's results for the golden tests: what was done, a failure, a shard that is missing."""

from __future__ import annotations

from dataclasses import replace

from slim.model.fleet import (
    KILLED,
    FleetDelta,
    FleetLayer,
    FleetResult,
    RefusalSum,
    RuleSum,
    TaskCost,
    TaskError,
    TaskResult,
    TaskStatus,
)
from slim.model.footprint import Footprint

MB = 1_000_000
RUNTIME = FleetLayer(
    name="cpython3.13",
    kind="runtime",
    before=Footprint(archive=34 * MB, unpacked=165 * MB, bytecode=47 * MB, files=4000),
    after=Footprint(archive=6 * MB, unpacked=23 * MB, bytecode=11 * MB, files=1200),
    sha256_before="a" * 64,
    sha256_after="b" * 64,
    since="unchanged",
)
KILL = TaskError(exit_code=KILLED, label="killed", message="the worker of the task died")


def _application(name: str, megabytes: int, digest: str) -> FleetLayer:
    size = Footprint(archive=megabytes * MB // 3, unpacked=megabytes * MB, files=10 * megabytes)
    slim = Footprint(archive=megabytes * MB // 4, unpacked=megabytes * MB * 3 // 4, files=megabytes)
    return FleetLayer(
        name=f"app-{name}",
        kind="application",
        before=size,
        after=slim,
        sha256_before=digest * 64,
        sha256_after=digest.upper().translate(str.maketrans("CDEF", "0123")) * 64,
        since="changed",
    )


def task(name: str, megabytes: int, digest: str, platform: str = "linux_x86_64") -> TaskResult:
    return TaskResult(
        stack=name,
        platform=platform,
        source=f"stacks/{name}/_artifacts",
        output=f"slimmed/2026-11-28/{name}",
        size=34 * MB + megabytes * MB // 3,
        layers=(RUNTIME, _application(name, megabytes, digest)),
        rules=(
            RuleSum(rule="runtime-tests", saved=61 * MB, files=1800),
            RuleSum(rule="tests-folders", saved=megabytes * MB // 4, files=90),
        ),
        refusals=(
            RefusalSum(
                rule="tests-folders",
                reason="imported",
                held=megabytes * 1000,
                files=3,
                example=f"app-{name}/lib/x/tests/helpers.py: import x.tests.helpers",
            ),
        ),
        deltas=(FleetDelta(since="2026-11-27", download=2 * MB, full=20 * MB),),
        cost=TaskCost(elapsed=12.25, cpu_seconds=20.5, peak_memory=310 * MB, tries=1),
    )


def finished() -> FleetResult:
    editor = task("editor", 90, "c")
    return FleetResult(
        name="nightly",
        release="2026-11-28",
        slim_version="0.1.0",
        tasks=(
            task("assistant", 200, "d"),
            replace(
                editor,
                earlier=(KILL,),
                cost=replace(editor.cost, tries=2, cached_layers=1),
                warnings=("RECORD of x is missing",),
            ),
            task("editor", 95, "e", "macosx_arm64"),
        ),
    )


def failed() -> FleetResult:
    result = finished()
    broken = TaskResult(
        stack="notes\x1b[31m<b>",
        platform="linux_x86_64",
        source="stacks/notes",
        status=TaskStatus.FAILED,
        error=TaskError(
            exit_code=3,
            label="unsafe or malformed input",
            message="leaves its folder",
            where="a.tar.xz: ../x",
            hint="publish it again",
        ),
        size=5 * MB,
        cost=TaskCost(tries=1),
    )
    missing = TaskResult(
        stack="search",
        platform="win_amd64",
        source="stacks/search",
        status=TaskStatus.MISSING,
        error=TaskError(exit_code=0, label="missing", message="no run of the fleet has done it"),
        size=7 * MB,
    )
    return replace(
        result,
        tasks=(*result.tasks, broken, missing),
        warnings=("shards planned different tasks: their inputs weren't the same",),
    )


def audited() -> FleetResult:
    result = finished()
    tasks = tuple(
        replace(
            one,
            output="",
            deltas=(),
            layers=tuple(
                replace(
                    layer,
                    sha256_after="",
                    since="",
                    after=replace(layer.after, archive=layer.before.archive),
                )
                for layer in one.layers
            ),
        )
        for one in result.tasks
    )
    return replace(result, tasks=tasks, dry_run=True)


SAMPLES = {"finished": finished, "failed": failed, "audit": audited}
