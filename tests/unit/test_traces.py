"""Trace files: their text, what is refused with which line, and what a trace answers."""

from __future__ import annotations

from pathlib import Path
from posixpath import join, normpath

import pytest

from slim.errors import ConfigError, LimitError, UnsafeInputError
from slim.model.record import Owner, OwnerKind
from slim.model.stack import Layer, LayerKind, Platform
from slim.model.trace import (
    INSTALL_RUN,
    RunKind,
    Trace,
    TracedRun,
    Witness,
    layer_key,
    platform_key,
    traced_path,
)
from slim.traces import read
from slim.traces.merge import merge
from slim.traces.read import parse, read_trace
from slim.traces.write import render, write_trace
from tests.support.traces import BOTH, LINUX, MAC, NUMPY, small_trace

TEXT = """\
slim trace 1
run install (install)
  on linux_x86_64 recorder times
run use "a chat"
  on macos_aarch64 recorder
run use self-test
  on linux_x86_64 recorder times
  on macos_aarch64 recorder times
layer app
  distribution numpy 2.1.0
    module numpy "a chat" self-test
    read "numpy/data \\u00e9.txt" "a chat"
    folder numpy/plugins self-test
  unowned
    module server self-test
layer cpython3.13
  runtime cpython 3.13.0
    module json (install) self-test
    module json.decoder (install) self-test
    native linux_x86_64 ../lib-dynload/_ssl.so "a chat"
family numpy.plugins.
  at numpy:17
    member numpy.plugins.fast self-test
"""


def test_the_text_is_as_documented() -> None:
    assert render(small_trace()) == TEXT
    assert parse(TEXT, "t") == small_trace()
    page = (Path(__file__).parents[2] / "docs/trace.md").read_text(encoding="utf-8")
    assert TEXT in page


def test_a_file_is_written_and_read(tmp_path: Path) -> None:
    write_trace(tmp_path / "slim.trace", small_trace())
    assert read_trace(tmp_path / "slim.trace") == small_trace()


@pytest.mark.parametrize(
    ("old", "new", "place", "message"),
    [
        ("slim trace 1", "slim trace 2", "line 1", "a trace of version 2, and this slim reads 1"),
        ("slim trace 1", "# slim", "line 1", "not a trace"),
        ("run install", "run setup", "line 2", "no kind of run 'setup': install, use, canary"),
        ("times\nrun", "clock\nrun", "line 3", "no witness 'clock': recorder, times, canary"),
        ('  on linux_x86_64 recorder times\nrun use "a', 'run use "a', "line 2", "no line"),
        ('use "a chat"', 'use "a chat', "line 4", "not a line of a trace"),
        ('use "a chat"', 'use "chat"', "line 4", "not a line of a trace"),
        ('use "a chat"', "use other", "line 11", "the run 'a chat' isn't declared"),
        ("module server self-test", "module server", "line 15", "module needs a name"),
        ("    module server", "   module server", "line 15", "not a line of a trace"),
        ("    module server", "    modul server", "line 15", "'modul' doesn't belong here"),
        ("  unowned", "unowned", "line 14", "'unowned' doesn't belong here"),
        ("layer app\n", "", "line 9", "'distribution' doesn't belong here"),
        ("numpy.plugins.\n", "numpy.plugins\n", "line 21", "'family' doesn't belong here"),
        ("family numpy.plugins.\n", "", "line 21", "'at' doesn't belong here"),
        ("fast self-test\n", "fast self-test", "line 23", "ends within a line"),
        ("run use self-test\n", "run use (install)\n", "line 6", "'(install)' is install as well"),
        ("\nfamily", "\n\nfamily", "line 21", "not a line of a trace"),
    ],
)
def test_an_error_names_the_line(old: str, new: str, place: str, message: str) -> None:
    assert TEXT.count(old) >= 1
    with pytest.raises(UnsafeInputError) as caught:
        parse(TEXT.replace(old, new, 1), "slim.trace")
    assert caught.value.file == "slim.trace"
    assert caught.value.hint
    assert (caught.value.place, message in caught.value.message) == (place, True), caught.value


def test_what_is_no_text_of_a_trace_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "slim.trace"
    file.write_bytes(b"slim trace 1\nrun use \xc3\xa9\n")
    with pytest.raises(UnsafeInputError, match="line 2: not ASCII"):
        read_trace(file)
    monkeypatch.setattr(read, "MAX_TRACE", 10)
    with pytest.raises(LimitError):
        read_trace(file)


def test_lines_in_another_order_or_twice_say_the_same() -> None:
    lines = TEXT.splitlines()
    mixed = [lines[0], *lines[20:], *lines[8:20], *lines[1:8], *lines[8:12]]
    assert parse("\n".join([*mixed, ""]), "t") == small_trace()


def test_a_run_has_the_witnesses_that_all_its_recordings_had() -> None:
    def recorded(platform: str, *witnesses: Witness) -> Trace:
        run = TracedRun(name="t", kind=RunKind.USE, witnesses={platform: frozenset(witnesses)})
        return Trace(runs={"t": run})

    merged = merge(
        [recorded(LINUX, *BOTH), recorded(LINUX, Witness.RECORDER), recorded(MAC, *BOTH)]
    )
    assert merged.runs["t"].witnesses == {LINUX: frozenset({Witness.RECORDER}), MAC: BOTH}


def test_a_name_stands_for_one_kind_of_run() -> None:
    one, other = (
        Trace(runs={"t": TracedRun(name="t", kind=kind, witnesses={LINUX: BOTH})})
        for kind in (RunKind.USE, RunKind.CANARY)
    )
    with pytest.raises(ConfigError, match="'t' is canary in one trace and use in another"):
        merge([one, other])


def test_two_versions_of_a_distribution_stay_two() -> None:
    newer = Owner(kind=OwnerKind.DISTRIBUTION, name="numpy", version="2.2.0")
    trace = small_trace()
    uses = {("app", newer): trace.uses["app", NUMPY]}
    merged = merge([trace, Trace(runs=trace.runs, uses=uses)])
    assert merged.of("app", NUMPY) == merged.of("app", newer)
    assert trace.of("app", newer) is None


@pytest.mark.parametrize(
    ("runs", "known"),
    [
        ({INSTALL_RUN: (RunKind.INSTALL, BOTH), "t": (RunKind.USE, BOTH)}, True),
        ({"t": (RunKind.USE, BOTH)}, False),
        ({INSTALL_RUN: (RunKind.INSTALL, BOTH)}, False),
        (
            {
                INSTALL_RUN: (RunKind.INSTALL, BOTH),
                "t": (RunKind.USE, BOTH),
                "u": (RunKind.USE, frozenset({Witness.RECORDER})),
            },
            False,
        ),
        (
            {
                INSTALL_RUN: (RunKind.INSTALL, BOTH),
                "t": (RunKind.USE, BOTH),
                "c": (RunKind.CANARY, frozenset({Witness.CANARY})),
            },
            True,
        ),
    ],
)
def test_natives_are_known_where_every_run_had_access_times(
    runs: dict[str, tuple[RunKind, frozenset[Witness]]], known: bool
) -> None:
    trace = Trace(
        runs={
            name: TracedRun(name=name, kind=kind, witnesses={LINUX: witnesses})
            for name, (kind, witnesses) in runs.items()
        }
    )
    assert trace.natives_known(LINUX) is known
    assert not trace.natives_known(MAC)


def test_places_are_named_alike_on_every_system() -> None:
    def layer(*sites: str) -> Layer:
        platform = Platform.parse("win_amd64")
        return Layer(
            name="app@3", layer_name="app", kind=LayerKind.PLAIN, platform=platform, site_dirs=sites
        )

    posix, windows = layer("lib/python3.13/site-packages"), layer("Lib/site-packages")
    assert layer_key(posix) == "app"
    for path in ("numpy/data.txt", "../../../bin/tool", "../json/x"):
        assert traced_path(posix, normpath(join(posix.site_dirs[0], path))) == path
    assert traced_path(windows, "Lib/site-packages/a.txt") == "a.txt"
    assert traced_path(windows, "Scripts/tool.exe") == "../../Scripts/tool.exe"
    assert traced_path(layer(), "a.txt") == "a.txt"
    assert platform_key(Platform.parse("win_amd64")) == "windows_x86_64"
    assert platform_key(Platform.parse("macosx_arm64")) == MAC
