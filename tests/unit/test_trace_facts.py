"""Facts of runs become a trace: whose file it is, what it is called, and what counts as use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from slim.config.settings import Config
from slim.inventory.load import LoadedStack, load
from slim.inventory.locate import locate
from slim.model.context import RunContext
from slim.model.record import UNOWNED, Owner, OwnerKind
from slim.model.trace import INSTALL_RUN, RunKind, Trace, TraceSettings, Uses, Witness
from slim.model.trace_results import LackKind
from slim.tracing.check import check
from slim.tracing.facts import RunFacts, StackFacts
from slim.tracing.logs import Logged, Origin
from tests.support.published_stacks import SITE, STDLIB, small_stack
from tests.support.traces import LINUX

MATHS = Owner(kind=OwnerKind.DISTRIBUTION, name="maths", version="1.0")
PLOTS = Owner(kind=OwnerKind.DISTRIBUTION, name="plots", version="1.0")
IN_MATHS = f"framework-maths/{SITE}/maths"
RUN = frozenset({"t"})


@contextmanager
def opened(tmp_path: Path) -> Iterator[LoadedStack]:
    """The small stack, open."""
    (located,) = locate(small_stack(tmp_path / "stack"))
    (tmp_path / "spool").mkdir()
    with load(located, RunContext(spool_dir=tmp_path / "spool")) as loaded:
        yield loaded


def traced(
    loaded: LoadedStack,
    logged: Logged,
    accessed: frozenset[str] | None = None,
    kind: RunKind = RunKind.USE,
) -> Trace:
    """The trace of one run called ``t``."""
    name = INSTALL_RUN if kind is RunKind.INSTALL else "t"
    run = RunFacts(name=name, kind=kind, logged=logged, accessed=accessed, platform=LINUX)
    return StackFacts(loaded).trace([run])


def maths(trace: Trace) -> Uses:
    """Uses of the distribution maths."""
    uses = trace.of("framework-maths", MATHS)
    assert uses is not None
    return uses


def test_every_owner_is_listed_though_nothing_was_used(tmp_path: Path) -> None:
    with opened(tmp_path) as loaded:
        trace = traced(loaded, Logged())
    assert {(layer, owner.label) for layer, owner, _ in trace.all_uses()} == {
        ("app-main", "(unowned)"),
        ("app-main", "plots 1.0"),
        ("cpython3.13", "(unowned)"),
        ("cpython3.13", "cpython 3.13.0"),
        ("framework-maths", "(unowned)"),
        ("framework-maths", "maths 1.0"),
    }
    assert not maths(trace).modules
    assert trace.runs["t"].witnesses == {LINUX: frozenset({Witness.RECORDER})}


@pytest.mark.parametrize(
    ("path", "module"),
    [
        (f"{IN_MATHS}/core.py", "maths.core"),
        (f"{IN_MATHS}/__init__.py", "maths"),
        (f"{IN_MATHS}/__pycache__/core.cpython-313.pyc", "maths.core"),
        (f"app-main/../{IN_MATHS}/core.py", "maths.core"),
    ],
)
def test_a_module_is_named_by_its_file(tmp_path: Path, path: str, module: str) -> None:
    with opened(tmp_path) as loaded:
        trace = traced(loaded, Logged(modules={path: {Origin("", 0, "")}}))
    assert maths(trace).modules == {module: RUN}


def test_a_name_that_was_imported_counts_wherever_it_is(tmp_path: Path) -> None:
    with opened(tmp_path) as loaded:
        names = {"os": {Origin("", 0, "")}, "nowhere": {Origin("", 0, "")}}
        trace = traced(loaded, Logged(names=names))
    used = {name for _, _, uses in trace.all_uses() for name in uses.modules}
    assert used == {"os"}


def test_data_folders_and_sources_that_are_read(tmp_path: Path) -> None:
    logged = Logged(
        read={f"{IN_MATHS}/include/maths.h", f"{IN_MATHS}/core.py", "elsewhere/x", IN_MATHS},
        listed={f"{IN_MATHS}/stubs", f"framework-maths/{SITE}", "nowhere"},
    )
    with opened(tmp_path) as loaded:
        uses = maths(traced(loaded, logged))
    assert uses.read == {"maths/include/maths.h": RUN, "maths/core.py": RUN}
    assert uses.folders == {"maths": RUN, "maths/stubs": RUN}
    assert not uses.modules


def test_what_only_access_times_saw(tmp_path: Path) -> None:
    accessed = frozenset(
        {
            f"{IN_MATHS}/include/maths.h",
            f"{IN_MATHS}/__pycache__/core.cpython-313.pyc",
            f"app-main/{SITE}/main_app.py",
            "pyvenv.cfg",
        }
    )
    with opened(tmp_path) as loaded:
        trace = traced(loaded, Logged(read={f"app-main/{SITE}/main_app.py"}), accessed)
        install = traced(loaded, Logged(), accessed, RunKind.INSTALL)
    assert maths(trace).natives_on(LINUX) == {"maths/include/maths.h": RUN}
    assert maths(trace).modules == {"maths.core": RUN}
    own = trace.of("app-main", UNOWNED)
    assert own is not None
    assert own.read == {"main_app.py": RUN}
    assert not own.modules
    assert trace.runs["t"].witnesses == {LINUX: frozenset(Witness) - {Witness.CANARY}}
    assert not maths(install).modules
    assert maths(install).natives_on(LINUX)


def test_families_come_from_places_in_layers(tmp_path: Path) -> None:
    importer = f"{IN_MATHS}/__init__.py"
    computed = {
        "plots": {Origin(importer, 1, "import_module")},
        "maths.core": {Origin(f"cpython3.13/{STDLIB}/os.py", 1, "import_module")},
        "nowhere": {Origin(importer, 1, "import_module")},
    }
    modules = {f"{IN_MATHS}/core.py": {Origin(importer, 1, "")}}
    with opened(tmp_path) as loaded:
        trace = traced(loaded, Logged(computed=computed, modules=modules))
    assert trace.families == {".": {"maths:1": {"plots": RUN}}}


def test_a_trace_of_the_same_stack_lacks_nothing_but_runs(tmp_path: Path) -> None:
    with opened(tmp_path) as loaded:
        trace = traced(loaded, Logged())
        verdict = check(trace, [loaded], Config(), ("t", "s"))
        listed = check(trace, [loaded], Config(trace=TraceSettings(runs=("t",))), ("t", "s"))
        other = check(trace, [loaded], Config(trace=TraceSettings(runs=("u",))), ("t", "s"))
    assert [lack.kind for lack in verdict.lacks] == [LackKind.INSTALL]
    assert [lack.kind for lack in listed.lacks] == [LackKind.INSTALL]
    assert {(lack.kind, lack.name) for lack in other.lacks} == {
        (LackKind.INSTALL, INSTALL_RUN),
        (LackKind.RUN, "u"),
        (LackKind.VANISHED, "t"),
    }
    assert verdict.checked[LackKind.VERSION] == 3
