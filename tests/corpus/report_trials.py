"""Trials of reports as baselines, and of the limits of the configuration."""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterator
from typing import Any

import zstandard

from slim.errors import LimitError, SlimError, UnsafeInputError
from tests.corpus.metadata_trials import INFO
from tests.corpus.scene import SITE, Line, Scene, put_archive
from tests.corpus.trials import Expected, Trial, refusal
from tests.support.raw_archives import entry, folder, pax, record, tar

REPORT = "report.json"

_SIZES = {"archive": 1, "unpacked": 1, "bytecode": 0, "deployed": 1, "files": 1}
_LAYER = {"name": "app", "layer_name": "app", "kind": "application", "sizes": _SIZES}
_CELL = {"layer": "app", "owner": {"name": "x", "version": "1"}, "category": "metadata", **_SIZES}


def _document(**changes: Any) -> str:
    """A report of ``slim check``, of which some keys are different."""
    measured = {
        "source": "x",
        "kind": "published",
        "platform": "linux_x86_64",
        "archive_known": True,
        "totals": _SIZES,
        "layers": [_LAYER],
        "cells": [_CELL],
        **changes,
    }
    return json.dumps({"schema": "urn:slim:check:v1", "measured": [measured]})


def _sized(number: str) -> str:
    return _document(cells=[{**_CELL, "unpacked": "@"}]).replace('"@"', number)


REPORTS: list[tuple[str, str, str]] = [
    ("400 digits", _sized("1" + "0" * 400), "measured[0].cells[0].unpacked"),
    ("5,000 digits", _sized("1" * 5000), "digits"),
    ("negative", _sized("-1"), "measured[0].cells[0].unpacked"),
    ("a fraction", _sized("1.5"), "measured[0].cells[0].unpacked"),
    ("out of range", _sized("1e999"), "too large"),
    ("NaN", _sized("NaN"), "NaN is not JSON"),
    ("text", _sized('"1"'), "measured[0].cells[0].unpacked"),
    ("duplicate keys", _document().replace('"kind"', '"kind": 1, "kind"', 1), "stands twice"),
    ("a lone surrogate", _document(source="\ud800"), "not valid Unicode"),
    ("200,000 brackets", _document().replace("[", "[" * 200_000, 1), "nested too deeply"),
    ("cut", _document()[:-5], "not valid JSON"),
    ("a missing key", _document().replace('"cells"', '"sells"'), "'cells' is missing"),
    ("no list", _document(layers={}), "must be an array"),
    ("bad base64", _document(layers=[{**_LAYER, "name_base64": "*"}]), "base64"),
    (
        "a later version",
        '{"schema": "urn:slim:check:v9", "x": "urn:slim:check:v1"}',
        "not a report",
    ),
]

BASELINE: dict[str, Line] = {
    "diff": lambda made: ["diff", made.work / REPORT, made.good],
    "check": lambda made: [
        "check",
        made.good,
        "--budget",
        made.budget,
        "--baseline",
        made.work / REPORT,
    ],
}


def report_trials() -> Iterator[Trial]:
    """Reports that slim didn't write, and one with names that would do harm on a terminal."""
    for name, text, says in REPORTS:
        refused = refusal(UnsafeInputError, REPORT, says)
        yield _baseline("report", name, text, {"diff": refused, "check": refused})
    harmful = _document(
        cells=[{**_CELL, "owner": {"name": "\x1b[2J\u202eevil\n", "version": "\x07"}}]
    )
    fine = Expected(0)
    yield _baseline(
        "report, accepted", "control characters", harmful, {"diff": fine, "check": fine}
    )


def _baseline(group: str, name: str, text: str, expected: dict[str, Expected]) -> Trial:
    def prepare(made: Scene) -> None:
        (made.work / REPORT).write_text(text)

    return Trial(group=group, name=name, prepare=prepare, expected=expected, lines=BASELINE)


# Limits


def _wide(data: bytes) -> bytes:
    """A Zstandard frame with a window of 1 MiB: in one piece its size would be the window."""
    parameters = zstandard.ZstdCompressionParameters(window_log=20, write_content_size=False)
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return stream.compress(data) + stream.flush()


_MEMBERS = tar(folder("app"), *(entry(f"app/{number}") for number in range(10)))
_ZEROS = tar(folder("app"), entry("app/zeros", bytes(100_000)))
_DEEP = tar(folder("app"), entry("app/" + "d/" * 9 + "f"))
_LONG = tar(folder("app"), pax(record("path", "app/" + "n" * 200)) + entry("x"))
_METADATA = tar(
    folder("app"),
    pax(record("path", f"app/{INFO}/METADATA")) + entry("x", b"Name: lib\n" + b"x" * 2000),
    pax(record("path", f"app/{SITE}/lib.py")) + entry("x"),
)

LIMITS: list[tuple[str, str, str, bytes, str, type[SlimError]]] = [
    # the limits, the archive and what is said
    ("members", "members = 9", "layer.tar", _MEMBERS, "more than 9 members", LimitError),
    (
        "total",
        "total = '50 KiB'",
        "layer.tar.xz",
        lzma.compress(_ZEROS),
        "more than 51200 bytes",
        LimitError,
    ),
    (
        "ratio",
        "ratio = 20\nratio_floor = '10 KiB'",
        "layer.tar.xz",
        lzma.compress(_ZEROS),
        "more than 20 times its size",
        LimitError,
    ),
    (
        "xz_memory",
        "xz_memory = '1 MiB'",
        "layer.tar.xz",
        lzma.compress(_ZEROS),
        "more than 1048576 bytes",
        LimitError,
    ),
    (
        "zstd_window",
        "zstd_window = '64 KiB'",
        "layer.tar.zst",
        _wide(_ZEROS),
        "exceeds 65536",
        LimitError,
    ),
    (
        "path_depth",
        "path_depth = 5",
        "layer.tar",
        _DEEP,
        "more than 5 components",
        UnsafeInputError,
    ),
    (
        "name_length",
        "name_length = 100",
        "layer.tar",
        _LONG,
        "longer than 100 bytes",
        UnsafeInputError,
    ),
    (
        "metadata_file",
        "metadata_file = '1 KiB'",
        "layer.tar",
        _METADATA,
        "more than 1024",
        LimitError,
    ),
]


def limit_trials() -> Iterator[Trial]:
    """Each limit of the configuration, lowered: the same archive is read without it."""
    for name, text, file, data, says, error in LIMITS:
        refused = refusal(error, says, file)
        expected = dict.fromkeys(("run", "audit", "check"), refused)
        yield _limited("limits", name, f"schema = 1\n[limits]\n{text}\n", file, data, expected)
        fine = dict.fromkeys(expected, Expected(0))
        yield _limited("limits, accepted", name, "schema = 1\n", file, data, fine)


def _limited(
    group: str, name: str, text: str, file: str, data: bytes, expected: dict[str, Expected]
) -> Trial:
    def prepare(made: Scene) -> None:
        (made.work / "limits.toml").write_text(text)
        put_archive(made, file, data)

    more = dict.fromkeys(expected, ("--config", "limits.toml"))
    return Trial(group=group, name=name, prepare=prepare, expected=expected, more=more)
