"""Traces for tests: a small one, and any."""

from __future__ import annotations

from hypothesis import strategies as st

from slim.model.record import UNOWNED, Owner, OwnerKind
from slim.model.trace import INSTALL_RUN, RunKind, Trace, TracedRun, Uses, Witness

NUMPY = Owner(kind=OwnerKind.DISTRIBUTION, name="numpy", version="2.1.0")
CPYTHON = Owner(kind=OwnerKind.RUNTIME, name="cpython", version="3.13.0")
BOTH = frozenset({Witness.RECORDER, Witness.TIMES})
LINUX, MAC = "linux_x86_64", "macos_aarch64"


def small_trace() -> Trace:
    """The install step and two commands, of a runtime and one distribution."""
    test, chat = frozenset({"self-test"}), frozenset({"a chat"})
    install = frozenset({INSTALL_RUN})
    return Trace(
        runs={
            INSTALL_RUN: TracedRun(name=INSTALL_RUN, kind=RunKind.INSTALL, witnesses={LINUX: BOTH}),
            "self-test": TracedRun(
                name="self-test", kind=RunKind.USE, witnesses={LINUX: BOTH, MAC: BOTH}
            ),
            "a chat": TracedRun(
                name="a chat", kind=RunKind.USE, witnesses={MAC: frozenset({Witness.RECORDER})}
            ),
        },
        uses={
            ("cpython3.13", CPYTHON): Uses(
                modules={"json": test | install, "json.decoder": test | install},
                natives={(LINUX, "../lib-dynload/_ssl.so"): chat},
            ),
            ("app", NUMPY): Uses(
                modules={"numpy": test | chat},
                read={"numpy/data é.txt": chat},
                folders={"numpy/plugins": test},
            ),
            ("app", UNOWNED): Uses(modules={"server": test}),
        },
        families={"numpy.plugins.": {"numpy:17": {"numpy.plugins.fast": test}}},
    )


_NAMES = st.text(min_size=1, max_size=6) | st.sampled_from(["a", "b.c", "x y", 'q"', "\udc80"])
_RUNS = st.sampled_from(["self-test", "a chat", "use \u00e9", INSTALL_RUN, "canary"])
_KINDS = {INSTALL_RUN: RunKind.INSTALL, "canary": RunKind.CANARY}
_PLATFORMS = st.sampled_from([LINUX, MAC])
_OWNERS = st.sampled_from([NUMPY, CPYTHON, UNOWNED]) | st.builds(
    Owner, kind=st.just(OwnerKind.DISTRIBUTION), name=_NAMES, version=st.text(max_size=4)
)
_USED_BY = st.frozensets(_RUNS, min_size=1)
_FACTS = st.dictionaries(_NAMES, _USED_BY, max_size=3)
_USES = st.builds(
    Uses,
    modules=_FACTS,
    read=_FACTS,
    folders=_FACTS,
    natives=st.dictionaries(st.tuples(_PLATFORMS, _NAMES), _USED_BY, max_size=2),
)
_WITNESSES = st.frozensets(st.sampled_from(Witness), min_size=1)


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    """Any trace; runs with the same name are of the same kind in all of them."""
    uses = draw(st.dictionaries(st.tuples(_NAMES, _OWNERS), _USES, max_size=3))
    places = st.dictionaries(_NAMES, st.dictionaries(_NAMES, _USED_BY, min_size=1, max_size=2))
    families = draw(st.dictionaries(_NAMES.map(lambda name: f"{name}."), places, max_size=2))
    runs = {
        name: TracedRun(
            name=name,
            kind=_KINDS.get(name, RunKind.USE),
            witnesses=draw(st.dictionaries(_PLATFORMS, _WITNESSES, min_size=1)),
        )
        for name in ("self-test", "a chat", "use \u00e9", INSTALL_RUN, "canary")
    }
    return Trace(runs=runs, uses=uses, families=families)
