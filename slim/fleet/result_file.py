"""Reading back what fleets write: results of tasks, and whole reports."""

from __future__ import annotations

from slim.model.fleet import (
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
from slim.model.report import FLEET_REPORT
from slim.system.json_cursor import JsonCursor, JsonSource

_HINT = "write one with slim fleet run --report json=FILE"


def parse_result(text: bytes, source: object) -> FleetResult:
    """Read the JSON report of a fleet. Raises UnsafeInputError for anything else."""
    top = JsonSource(file=source, hint=_HINT).parse(text)
    schema = top.get("schema") if isinstance(top.value, dict) else None
    if schema is None or schema.text() != FLEET_REPORT:
        raise top.wrong("not a report of slim fleet, version 1")
    fleet = top["fleet"]
    return FleetResult(
        name=fleet["name"].text(),
        release=fleet["release"].text(),
        dry_run=fleet["dry_run"].flag(),
        tasks=tuple(parse_task(task) for task in top["tasks"].items()),
        slim_version=top["slim"]["version"].text(),
        warnings=_texts(top["warnings"]),
    )


def parse_task(node: JsonCursor) -> TaskResult:
    """Read one task. Raises UnsafeInputError."""
    run = node["run"]
    output = run.name("output") if run.get("output") is not None else ""
    error = node.get("error")
    return TaskResult(
        stack=node["stack"].text(),
        platform=node["platform"].text(),
        source=run.name("source"),
        output=output,
        status=node["status"].choice(TaskStatus),
        error=None if error is None else parse_error(error),
        earlier=tuple(parse_error(item) for item in run["earlier_errors"].items()),
        size=node["input_bytes"].number(),
        layers=tuple(_layer(layer) for layer in node["layers"].items()),
        rules=tuple(
            RuleSum(
                rule=row["rule"].text(),
                saved=row["saved"].integer(),
                files=row["files"].number(),
            )
            for row in node["rules"].items()
        ),
        refusals=tuple(_refusal(row) for row in node["refusals"].items()),
        deltas=tuple(
            FleetDelta(
                since=row["since"].text(),
                download=row["download"].number(),
                full=row["full"].number(),
            )
            for row in node["deltas"].items()
        ),
        warnings=_texts(node["warnings"]),
        cost=TaskCost(
            elapsed=_seconds(run["elapsed_seconds"]),
            cpu_seconds=_seconds(run["cpu_seconds"]),
            peak_memory=run["peak_memory"].number(),
            tries=run["tries"].number(),
            resumed=run["resumed"].flag(),
            cached_layers=run["cached_layers"].number(),
            cached_run=run["cached_run"].flag(),
        ),
    )


def parse_error(node: JsonCursor) -> TaskError:
    """Read an error. Raises UnsafeInputError."""
    return TaskError(
        exit_code=node["exit_code"].integer(),
        label=node["label"].text(),
        message=node["message"].text(),
        where=node["where"].text(),
        hint=node["hint"].text(),
    )


def _refusal(row: JsonCursor) -> RefusalSum:
    return RefusalSum(
        rule=row["rule"].text(),
        reason=row["reason"].text(),
        held=row["held"].number(),
        files=row["files"].number(),
        example=row["example"].text(),
    )


def _layer(node: JsonCursor) -> FleetLayer:
    def digest(key: str) -> str:
        found = node.get(key)
        return "" if found is None else found.sha256()

    since = node.get("since_previous")
    return FleetLayer(
        name=node.name("name"),
        kind=node["kind"].text(),
        before=_footprint(node["before"]),
        after=_footprint(node["after"]),
        sha256_before=digest("archive_sha256_before"),
        sha256_after=digest("archive_sha256_after"),
        since="" if since is None else since.text(),
    )


def _footprint(node: JsonCursor) -> Footprint:
    return Footprint(
        archive=node["archive"].number(),
        unpacked=node["unpacked"].number(),
        bytecode=node["bytecode"].number(),
        files=node["files"].number(),
    )


def _texts(node: JsonCursor) -> tuple[str, ...]:
    return tuple(item.text() for item in node.items())


def _seconds(node: JsonCursor) -> float:
    if isinstance(node.value, bool) or not isinstance(node.value, int | float) or node.value < 0:
        raise node.wrong("must be a number of seconds")
    return float(node.value)
