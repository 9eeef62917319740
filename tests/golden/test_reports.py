"""Every report, word for word."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest

from slim.model.outcome import RunResult
from slim.model.record import Owner, OwnerKind
from slim.model.stack import LayerKind
from slim.reports.common.style import TerminalStyle
from slim.reports.reporter import Reporter
from slim.reports.rules import terminal as rules
from slim.reports.rules.page import rule_page
from slim.reports.run import RUN_REPORTERS, explain, explain_json, json_v1, markdown, terminal
from tests.golden import samples

Golden = Callable[[str, str], None]
SAMPLES = {
    "finished": samples.finished,
    "relocked": samples.relocked,
    "dry": samples.dry,
    "failed": samples.failed,
    "unverified": samples.unverified,
    "folder": samples.folder,
    "hostile": samples.hostile,
}


@pytest.mark.parametrize("width", [60, 80, 100])
@pytest.mark.parametrize("name", SAMPLES)
def test_terminal(golden: Golden, name: str, width: int) -> None:
    text = terminal.render([SAMPLES[name]()], TerminalStyle(width=width))
    assert max(map(len, text.splitlines())) <= width
    golden(f"terminal-{name}-{width}.txt", text)


def test_terminal_verbose(golden: Golden) -> None:
    golden(
        "terminal-finished-verbose.txt",
        terminal.render([samples.finished()], TerminalStyle(width=100), verbosity=1),
    )


@pytest.mark.parametrize("name", ["finished", "failed"])
def test_terminal_without_unicode(golden: Golden, name: str) -> None:
    text = terminal.render([SAMPLES[name]()], TerminalStyle(width=80, unicode=False))
    assert text.isascii()
    golden(f"terminal-{name}-ascii.txt", text)


def test_terminal_several(golden: Golden) -> None:
    golden(
        "terminal-several.txt",
        terminal.render([samples.finished(), samples.dry()], TerminalStyle(width=100)),
    )


def test_terminal_in_colour_says_the_same() -> None:
    from rich.text import Text

    coloured = terminal.render([samples.finished()], TerminalStyle(width=100, color=True))
    plain = terminal.render([samples.finished()], TerminalStyle(width=100))
    assert "\x1b[" in coloured and "\x1b" not in plain
    stripped = Text.from_ansi(coloured).plain.rstrip("\n")
    assert [line.rstrip() for line in stripped.splitlines()] == plain.splitlines()


@pytest.mark.parametrize("name", SAMPLES)
def test_markdown(golden: Golden, name: str) -> None:
    golden(f"markdown-{name}.md", markdown.render([SAMPLES[name]()]))


@pytest.mark.parametrize("name", SAMPLES)
def test_json(golden: Golden, name: str) -> None:
    golden(f"json-{name}.json", json_v1.render([SAMPLES[name]()]))


@pytest.mark.parametrize("name", ["finished", "dry"])
def test_only_the_run_key_depends_on_the_machine(name: str) -> None:
    from dataclasses import replace

    def moved(result: RunResult) -> RunResult:
        stack = replace(result.stack, source="/elsewhere/_artifacts")
        return replace(
            result, stack=stack, output="/mnt/out" if result.output else None, elapsed=99.0
        )

    first = json_v1.document([SAMPLES[name]()])
    second = json_v1.document([moved(SAMPLES[name]())])
    assert first.pop("run") != second.pop("run")
    assert first == second


def test_explain(golden: Golden) -> None:
    golden("explain.txt", explain.render(samples.explanations(), TerminalStyle(width=100)))


def test_explain_json(golden: Golden) -> None:
    golden("explain.json", explain_json.render(samples.explanations()))


@pytest.mark.parametrize("width", [80, 100])
def test_rule_table(golden: Golden, width: int) -> None:
    golden(
        f"rules-list-{width}.txt",
        rules.render(list(samples.RULES.values()), TerminalStyle(width=width)),
    )


@pytest.mark.parametrize("name", ["tests-site", "debug-elf", "own-samples"])
def test_rule_page(golden: Golden, name: str) -> None:
    golden(f"rules-show-{name}.md", rule_page(samples.RULES[name]))


@pytest.mark.parametrize("reporter", RUN_REPORTERS.values(), ids=RUN_REPORTERS)
@pytest.mark.parametrize("name", SAMPLES)
def test_no_report_lets_a_name_reach_the_terminal(
    name: str, reporter: Reporter[Sequence[RunResult]]
) -> None:
    text = reporter.render([SAMPLES[name]()])
    text.encode("utf-8")
    assert not {"\x1b", "\x9b", "\x07", "\u202e", "\u2066"} & set(text)
    assert text.endswith("\n")


def test_json_is_ascii_and_lossless() -> None:
    import base64

    text = json_v1.render([samples.hostile()])
    assert text.isascii()
    (removed,) = json.loads(text)["runs"][0]["actions"]
    assert base64.b64decode(removed["path_base64"]) == samples.HOSTILE.encode(
        "utf-8", "surrogateescape"
    )
    kept = [
        item for item in json.loads(text)["runs"][0]["skipped"] if item["path"].endswith(".bin")
    ]
    assert [item["path"] for item in kept] == ["数据/模型.bin"]
    assert "path_base64" not in kept[0]


def _crowd() -> RunResult:
    """So many owners and refusals that people are shown the largest only."""
    rows = []
    for index in range(40):
        owner = Owner(kind=OwnerKind.DISTRIBUTION, name=f"package-{index}", version="1")
        path = f"{samples.SITE}/package_{index}"
        removed = samples.Row(
            layer="app", path=f"{path}/a", size=index, owner=owner, removed_by="tests-site"
        )
        held = samples.Row(
            layer="app", path=f"{path}/b", size=index, owner=owner, refused_by="numpy-testing"
        )
        rows += [removed, held]
    return samples.result(rows, [(samples.layer("app", LayerKind.PLAIN), 0)])


def test_a_crowd_is_summed_up_and_nothing_is_lost(golden: Golden) -> None:
    text = markdown.render([_crowd()])
    golden("markdown-crowd.md", text)
    golden("terminal-crowd.txt", terminal.render([_crowd()], TerminalStyle(width=80)))
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert tables
    for table in tables:
        assert len({line.count("|") for line in table}) == 1


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_long_names_of_layers_are_never_broken(width: int) -> None:
    from dataclasses import replace

    result = samples.finished()
    names = (
        "cpython3.13",
        "framework-arrays",
        "framework-machine-learning",
        "app-fit",
        "app-with-a-long-name",
    )
    layers = tuple(
        replace(result.layers[index % 2], layer=replace(result.layers[index % 2].layer, name=name))
        for index, name in enumerate(names)
    )
    lines = terminal.render(
        [replace(result, layers=layers)], TerminalStyle(width=width)
    ).splitlines()
    assert all(any(line.split()[:1] == [name] for line in lines) for name in names)
    assert max(map(len, lines)) <= width
