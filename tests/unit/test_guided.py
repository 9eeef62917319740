"""The profile guided: what the traces let go, what they can't vouch for, and what imports hold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from slim.analysis.families import OpenFamily, starts_in
from slim.analysis.unused import Stays, Unused, judge, layer_uses
from slim.config.settings import Config
from slim.model.finding import Evidence
from slim.model.guided import Guidance
from slim.model.plan import Plan, Remove
from slim.model.progress import Silent
from slim.model.record import UNOWNED, Owner, OwnerKind
from slim.model.rule import Safety
from slim.model.trace import INSTALL_RUN, RunKind, Trace, TracedRun, Uses, Witness
from slim.passes import SCHEMAS
from slim.plan.planner import Planner
from slim.rules.loader import builtin_packs
from slim.verification.forgiven import forgiven
from tests.support.virtual_stacks import SITE, Contents, VirtualStack, make_stack

LAYER = "framework-a"
HERE = "linux_x86_64"
MATHS = Owner(kind=OwnerKind.DISTRIBUTION, name="maths", version="2.0")
CPYTHON = Owner(kind=OwnerKind.RUNTIME, name="cpython")
ONE = frozenset({"use"})
PACKS = builtin_packs(SCHEMAS)

FILES: dict[str, Contents] = {
    "$site/maths-2.0.dist-info/METADATA": "Name: maths\nVersion: 2.0\n\n",
    "$site/maths/__init__.py": "from maths import used\n",
    "$site/maths/used.py": "",
    "$site/maths/spare.py": "import json\n",
    "$site/maths/fast.cpython-313-x86_64-linux-gnu.so": b"\x7fELF",
    "$site/maths/table.bin": b"12",
    "$site/maths/kinds/__init__.py": "",
    "$site/maths/kinds/one.py": "",
    "$site/maths/kinds/two.py": "",
    "$site/maths/read/a.py": "",
    "$site/maths/read/b.py": "",
    "$site/own.py": "",
}


def trace(*, where: str = HERE, install: bool = True, times: bool = True, **more: object) -> Trace:
    witnesses = {where: frozenset({Witness.RECORDER, *([Witness.TIMES] if times else [])})}
    runs = {"use": TracedRun(name="use", kind=RunKind.USE, witnesses=witnesses)}
    if install:
        runs[INSTALL_RUN] = TracedRun(name=INSTALL_RUN, kind=RunKind.INSTALL, witnesses=witnesses)
    uses = Uses(
        modules=dict.fromkeys(("maths", "maths.used", "maths.kinds", "maths.kinds.one"), ONE)
    )
    return Trace(
        runs=runs,
        uses={
            (LAYER, MATHS): replace(uses, **more),  # type: ignore[arg-type]
            (LAYER, UNOWNED): Uses(),
            ("cpython3.13", CPYTHON): Uses(modules={"os": ONE}),
        },
    )


def verdict(
    path: str,
    told: Trace,
    *,
    closed: tuple[str, ...] = (),
    unstarted: frozenset[str] = frozenset(),
    static: dict[str, OpenFamily] | None = None,
    files: dict[str, Contents] = FILES,
) -> str:
    """``used``, ``unused``, or the reason why an unused file stays."""
    stack = make_stack({"cpython3.13": {}, LAYER: files})
    layer = stack.stack.layer(LAYER)
    record = stack.inventory.records[LAYER][path.replace("$site", SITE)]
    guidance = Guidance(trace=told, closed=closed, unstarted=unstarted)
    modules = stack.facts.module_index.modules.get(record.key, ())
    found = judge(record, modules, layer_uses(guidance, layer, static or {}))
    if isinstance(found, Stays):
        return found.reason.value
    return "unused" if isinstance(found, Unused) else "used"


SPARE = "$site/maths/spare.py"
FAST = "$site/maths/fast.cpython-313-x86_64-linux-gnu.so"
COMPUTES = Evidence(kind="family", text="computes it")
FAMILY = {"maths.kinds.": OpenFamily(evidence=COMPUTES)}
JUDGED = [
    ("$site/maths/used.py", trace(), {}, "used"),
    (SPARE, trace(), {}, "unused"),
    (SPARE, trace(read={"maths/spare.py": ONE}), {}, "used"),
    (SPARE, trace(natives={(HERE, "maths/spare.py"): ONE}), {}, "used"),
    (SPARE, trace(install=False), {}, "untraced"),
    (SPARE, trace(where="macos_aarch64"), {}, "untraced"),
    (SPARE, trace(), {"unstarted": frozenset({LAYER})}, "untraced"),
    (SPARE, trace(modules={}), {}, "whole-distribution"),
    ("$site/own.py", trace(), {}, "untraced"),
    (FAST, trace(), {}, "unused"),
    (FAST, trace(times=False), {}, "untraced"),
    (FAST, trace(natives={(HERE, FAST.replace("$site/", "")): ONE}), {}, "used"),
    ("$site/maths/table.bin", trace(), {}, "data"),
    ("$site/maths/table.bin", trace(read={"maths/table.bin": ONE}), {}, "used"),
    ("$site/maths/kinds/two.py", trace(), {}, "unused"),
    ("$site/maths/kinds/two.py", trace(), {"static": FAMILY}, "family"),
    (
        "$site/maths/kinds/two.py",
        trace(),
        {"static": FAMILY, "closed": ("maths.kinds.",)},
        "unused",
    ),
    ("$site/maths/kinds/two.py", trace(), {"static": FAMILY, "closed": ("maths.k.",)}, "family"),
    (SPARE, trace(), {"static": FAMILY}, "unused"),
    ("$site/maths/read/b.py", trace(folders={"maths/read": ONE}), {}, "unused"),
    (
        "$site/maths/read/b.py",
        trace(folders={"maths/read": ONE}, read={"maths/read/a.py": ONE}),
        {},
        "read",
    ),
    ("$site/maths/read/b.py", trace(read={"maths/read/a.py": ONE}), {}, "unused"),
    ("$site/maths-2.0.dist-info/METADATA", trace(), {}, "used"),
]


@pytest.mark.parametrize(("path", "told", "how", "expected"), JUDGED)
def test_a_file_is_judged_by_what_traces_tell(
    path: str, told: Trace, how: dict[str, object], expected: str
) -> None:
    assert verdict(path, told, **how) == expected  # type: ignore[arg-type]


def test_another_version_was_never_traced() -> None:
    newer = {path.replace("-2.0", "-2.1"): content for path, content in FILES.items()}
    assert verdict(SPARE, trace(), files=newer) == "untraced"


def test_families_of_traces_are_open() -> None:
    told = replace(trace(), families={"maths.kinds.": {"maths:3": {"maths.kinds.one": ONE}}})
    assert verdict("$site/maths/kinds/two.py", told) == "family"
    assert verdict("$site/maths/kinds/two.py", told, closed=("maths.",)) == "unused"


STARTS = [
    ('importlib.import_module(f"a.b.{kind}")', {("", "a.b.")}),
    ('name = "a.b." + kind\nimport_module(name)', {("", "a.b.")}),
    ('name = "a.b.%s" % kind\nimport_module(name)', {("", "a.b.")}),
    ('name = "a.b.{}.c".format(kind)\n__import__(name)', {("", "a.b.")}),
    ('import_module("." + kind, __name__)', {("__name__", ".")}),
    ('import_module(f".sub.{kind}", package="a")', {("", "a.sub.")}),
    ('import_module(f".{kind}", package)', {("__package__", ".")}),
    ('import_module(f"{__name__}.{kind}")', {("__name__", ".")}),
    ('import_module(__package__ + ".x." + kind)', {("__package__", ".x.")}),
    ('__import__(f"{__spec__.parent}.{kind}", globals(), locals(), [])', {("__package__", ".")}),
    ('import_module(__spec__.name + ".x." + kind)', {("__name__", ".x.")}),
    ('import_module("." + kind, __spec__.parent)', {("__package__", ".")}),
    ('import_module(f"{spec.parent}.{kind}")', set()),
    ('import_module(f"a.b._{kind}")', {("", "a.b.")}),
    ('import_module("._" + kind, __name__)', {("__name__", ".")}),
    ('import_module(f"{__package__}.x._{kind}")', {("__package__", ".x.")}),
    ('name = f".sub{kind}"\nimport_module(name, "a.b")', {("", "a.b.")}),
    ('self.x = ".s." + kind\nimport_module(self.x, __name__)', {("__name__", ".s.")}),
    ('name = f".sub{kind}"\nimport_module("a", "b")', set()),
    ('end = f".{kind}"\nimport_module(name)', set()),
    ('end = f".{kind}"\n__import__(name, globals())', set()),
    ('import_module("a.b.c")', set()),
    ("import_module(name)", set()),
    ('print(f"a.b.{kind}")', set()),
    ('import_module(f"see a.b. {kind}")', set()),
    ("import_module(", set()),
]


@pytest.mark.parametrize(("source", "expected"), STARTS)
def test_constant_starts_of_computed_names_are_found(
    source: str, expected: set[tuple[str, str]]
) -> None:
    assert {start[:2] for start in starts_in(source.encode())} == expected


def plan_of(
    stack: VirtualStack, told: Trace | None, *, closed: tuple[str, ...] = (), **settings: object
) -> Plan:
    guidance = None if told is None else Guidance(trace=told, closed=closed)
    config = Config(packs=PACKS, **settings)  # type: ignore[arg-type]
    return Planner(replace(stack.facts, guidance=guidance), config, Silent()).plan()


def taken(plan: Plan) -> set[str]:
    return {
        key[1].removeprefix(f"{SITE}/")
        for key, action in plan.actions.items()
        if isinstance(action, Remove) and action.rule == "never-used"
    }


HOLDS: list[tuple[dict[str, Contents], bool]] = [
    ({}, False),
    ({"$site/maths/used.py": "import maths.spare\n"}, True),
    ({"$site/maths/used.py": "def late():\n    from . import spare\n"}, True),
    ({"$site/maths/used.py": "try:\n    from . import spare\nexcept ImportError: pass\n"}, True),
    ({"$site/maths/used.py": "NAME = 'maths.spare'\n"}, False),
    ({"$site/maths/used.py": "if TYPE_CHECKING:\n    import maths.spare\n"}, False),
    ({"$site/maths/kinds/two.py": "import maths.spare\n"}, False),
    ({"$site/maths-2.0.dist-info/entry_points.txt": "[x]\na = maths.spare:f\n"}, True),
    ({"$site/maths/x.cpython-313-x86_64-linux-gnu.so": b"\x7fELF\0maths.spare\0"}, False),
    ({"$site/maths/used.py": "import_module(f'maths.{kind}')\n"}, True),
    ({"$site/maths/tests/test_a.py": "import_module(f'maths.{kind}')\ndef test(): pass\n"}, False),
]


@pytest.mark.parametrize(("more", "held"), HOLDS)
def test_imports_of_what_stays_hold(more: dict[str, Contents], held: bool) -> None:
    stack = make_stack({"cpython3.13": {}, LAYER: FILES | more})
    gone = taken(plan_of(stack, trace(), profile=Safety.GUIDED))
    assert ("maths/spare.py" in gone) is not held


PIP: dict[str, Contents] = {
    "$stdlib/os.py": "",
    "$stdlib/venv/__init__.py": "check_call([sys.executable, '-m', 'ensurepip'])\n",
    "$stdlib/ensurepip/__init__.py": "",
    "$stdlib/ensurepip/__main__.py": "import ensurepip\n",
    "$stdlib/ensurepip/_bundled/pip-26.0-py3-none-any.whl": b"PK",
}
WHOLE = {path.rpartition("ensurepip/")[2] for path in PIP if "ensurepip/" in path}


@pytest.mark.parametrize(
    ("profile", "used", "more", "expected"),
    [
        (Safety.GUIDED, (), {}, WHOLE),
        (Safety.GUIDED, ("ensurepip",), {}, {"__main__.py"}),
        (Safety.GUIDED, (), {"$site/maths/used.py": "import ensurepip\n"}, {"__main__.py"}),
        (Safety.STANDARD, (), {}, set()),
        (Safety.STANDARD, (), {"$stdlib/venv/__init__.py": ""}, WHOLE),
    ],
)
def test_a_unit_stands_or_falls_by_its_modules(
    profile: Safety, used: tuple[str, ...], more: dict[str, Contents], expected: set[str]
) -> None:
    files = {True: PIP.copy(), False: FILES.copy()}
    for path, content in more.items():
        files[path.startswith("$stdlib")][path] = content
    stack = make_stack({"cpython3.13": files[True], LAYER: files[False]})
    told = trace()
    runtime = Uses(modules=dict.fromkeys(("os", "venv", *used), ONE))
    told = replace(told, uses={**told.uses, ("cpython3.13", CPYTHON): runtime})
    plan = plan_of(stack, told, profile=profile)
    gone = {key[1].rpartition("ensurepip/")[2] for key in plan.actions if "ensurepip/" in key[1]}
    assert gone == expected
    texts = {
        piece.text
        for key, action in plan.actions.items()
        if key[1].endswith(".whl")
        for piece in action.evidence
    }
    guided = profile is Safety.GUIDED and expected == WHOLE
    assert any("stands or falls" in text for text in texts) is guided


@pytest.mark.parametrize(
    ("source", "data", "gone"),
    [
        ("", {"a.jpg": "1"}, False),
        (
            '"""Pictures."""\n# that scikit-learn reads by the name of their package\n',
            {"a.jpg": "1"},
            False,
        ),
        ("import os\n", {"a.jpg": "1"}, True),
        ("", {}, True),
        ("", {"deeper/a.jpg": "1"}, True),
    ],
)
def test_what_makes_a_folder_of_data_a_package_stays(
    source: str, data: dict[str, str], gone: bool
) -> None:
    files: dict[str, Contents] = {**FILES, "$site/maths/pictures/__init__.py": source}
    files |= {f"$site/maths/pictures/{name}": text for name, text in data.items()}
    plan = plan_of(make_stack({"cpython3.13": {}, LAYER: files}), trace(), profile=Safety.GUIDED)
    assert ("maths/pictures/__init__.py" in taken(plan)) is gone


def test_a_name_in_compiled_code_that_stays_holds() -> None:
    native = "maths/x.cpython-313-x86_64-linux-gnu.so"
    files = FILES | {f"$site/{native}": b"\x7fELF\0maths.spare\0"}
    stack = make_stack({"cpython3.13": {}, LAYER: files})
    told = trace(natives={(HERE, native): ONE})
    assert "maths/spare.py" not in taken(plan_of(stack, told, profile=Safety.GUIDED))


RUST = b"/rustc/1.80/library\0"
CYTHON = b"cython_runtime\0"
LEVEL = b"PyImport_ImportModuleLevel\0"
NAMED: list[tuple[str, bytes, str, bool]] = [
    ("other/x", b"maths.kinds.two\0", "maths/kinds/two.py", True),
    ("other/x", b"maths.kinds.two failed to import\0", "maths/kinds/two.py", True),
    ("other/x", b"maths.kinds.two.f\0", "maths/kinds/two.py", True),
    ("other/x", b"spare\0", "spare.py", True),
    ("other/x", b"spare.call\0", "spare.py", True),
    ("other/x", b"a spare.call there\0", "spare.py", False),
    ("other/x", RUST + b"aftermaths.kindstwo\0", "maths/kinds/two.py", False),
    ("other/x", RUST + b"aftermathstwo and kinds\0", "maths/kinds/two.py", False),
    ("other/x", RUST + b"aftermaths.kinds.two\0", "maths/kinds/two.py", True),
    ("other/x", RUST + b"aftermaths spares\0", "maths/spare.py", False),
    ("other/x", CYTHON + b"itmaths.kindstwo\0", "maths/kinds/two.py", True),
    ("other/x", CYTHON + b"kindstwomaths\0", "maths/kinds/two.py", False),
    ("maths/x", CYTHON + b"kindstwo\0", "maths/kinds/two.py", True),
    ("maths/x", CYTHON + b"two\0", "maths/kinds/two.py", False),
    ("maths/kinds/x", CYTHON + b"two\0", "maths/kinds/two.py", True),
    ("maths/x", LEVEL + b"spare\0", "maths/spare.py", True),
    ("maths/x", RUST + b"spare\0", "maths/spare.py", True),
]


def _record(paths: set[str]) -> str:
    return "".join(f"{path},,\n" for path in sorted(paths))


@pytest.mark.parametrize(("place", "content", "path", "held"), NAMED)
def test_compiled_code_holds_what_it_names_as_imports_do(
    place: str, content: bytes, path: str, held: bool
) -> None:
    native = f"{place}.cpython-313-x86_64-linux-gnu.so"
    files: dict[str, Contents] = FILES | {"$site/maths/__init__.py": "", "$site/spare.py": ""}
    owned = {path.removeprefix("$site/") for path in files if path != "$site/own.py"}
    others = {native} if place == "other/x" else set()
    files |= {
        f"$site/{native}": b"\x7fELF\0" + content,
        "$site/maths-2.0.dist-info/RECORD": _record(owned | {native} - others),
        "$site/other-1.0.dist-info/METADATA": "Name: other\nVersion: 1.0\n\n",
        "$site/other-1.0.dist-info/RECORD": _record(others),
    }
    stack = make_stack({"cpython3.13": {}, LAYER: files})
    told = trace(natives={(HERE, native): ONE})
    other = Owner(kind=OwnerKind.DISTRIBUTION, name="other", version="1.0")
    told = replace(told, uses={**told.uses, (LAYER, other): Uses(natives={(HERE, native): ONE})})
    gone = taken(plan_of(stack, told, profile=Safety.GUIDED))
    assert (path in gone) is not held


ELSEWHERE = [
    ("import sys\nif sys.platform == 'win32':\n    from maths import spare\n", False),
    ("import sys\nif sys.platform != 'win32':\n    from maths import spare\n", True),
    ("import os\nif os.name == 'nt':\n    pass\nelse:\n    from maths import spare\n", True),
    ("import sys\nWIN = sys.platform[:3] == 'win'\nif WIN:\n    from maths import spare\n", True),
    ("import os\nNT = os.name == 'nt'\ndef f():\n    if NT:\n        import maths.spare\n", False),
    (
        "import sys\nif sys.platform == 'win32': import maths.spare\n"
        "if sys.platform == 'linux': import maths.spare\n",
        True,
    ),
    ("import sys\nif sys.platform == 'win32' or x: import maths.spare\n", True),
    ("import sys\nif sys.platform == 'win32' and x: import maths.spare\n", False),
]


@pytest.mark.parametrize(("source", "held"), ELSEWHERE)
def test_imports_that_only_other_systems_run_hold_nothing(source: str, held: bool) -> None:
    stack = make_stack({"cpython3.13": {}, LAYER: FILES | {"$site/maths/used.py": source}})
    gone = taken(plan_of(stack, trace(), profile=Safety.GUIDED))
    assert ("maths/spare.py" in gone) is not held


def test_every_removal_says_why_and_what_would_keep_it() -> None:
    stack = make_stack({"cpython3.13": {}, LAYER: FILES})
    plan = plan_of(stack, trace(), profile=Safety.GUIDED)
    action = plan.actions[stack.key(f"{LAYER}/{SPARE}")]
    assert action.evidence[0].kind == "trace"
    assert "no traced run imported maths.spare" in action.evidence[0].text
    assert "a keep glob keeps it" in action.evidence[0].text


FORGIVEN: list[tuple[Safety, Trace | None, tuple[str, ...], dict[str, bool]]] = [
    (
        Safety.GUIDED,
        trace(),
        (),
        {"spare": True, "used": False, "tests/a": True, "kinds/two": True},
    ),
    (Safety.GUIDED, trace(read={"maths/spare.py": ONE}), (), {"spare": False, "tests/a": True}),
    (Safety.GUIDED, trace(install=False), (), {"spare": False, "tests/a": True}),
    (Safety.GUIDED, trace(modules={}), ("maths",), {"spare": True, "used": True}),
    (Safety.GUIDED, None, (), {"spare": False, "tests/a": True}),
    (Safety.STANDARD, trace(), (), {"spare": False, "used": False, "tests/a": True}),
]


@pytest.mark.parametrize(("profile", "told", "dropped", "expected"), FORGIVEN)
def test_verify_forgives_what_traces_let_go_and_nothing_else(
    profile: Safety, told: Trace | None, dropped: tuple[str, ...], expected: dict[str, bool]
) -> None:
    files = FILES | {
        "$site/maths/tests/a.py": "",
        "$site/maths/used.py": "import_module(f'maths.kinds.{kind}')\n",
    }
    stack = make_stack({"cpython3.13": {}, LAYER: files})
    keys = {name: stack.key(f"{LAYER}/$site/maths/{name}.py") for name in expected}
    records = map(stack.inventory.get, keys.values())
    plan = Plan(
        actions={
            record.key: Remove(record=record, pass_name="difference", rule="difference")
            for record in records
            if record is not None
        }
    )
    facts = replace(stack.facts, guidance=None if told is None else Guidance(trace=told))
    config = Config(packs=PACKS, profile=profile)
    found = set(forgiven(facts, plan, config, dropped))
    assert {name: key in found for name, key in keys.items()} == expected


@pytest.mark.parametrize("profile", [Safety.SAFE, Safety.STANDARD, Safety.AGGRESSIVE])
def test_other_profiles_take_no_notice_of_traces(profile: Safety) -> None:
    stack = make_stack({"cpython3.13": {}, LAYER: FILES})
    plans = [plan_of(stack, told, profile=profile) for told in (trace(), None)]
    assert plans[0].actions == plans[1].actions
    assert plans[0].skipped == plans[1].skipped


def test_guided_takes_what_standard_takes_and_nothing_of_aggressive() -> None:
    levels = [level for level in Safety if Safety.GUIDED.applies(level)]
    assert levels == [Safety.SAFE, Safety.STANDARD, Safety.GUIDED]
    assert [level for level in Safety if level.applies(Safety.GUIDED)] == [Safety.GUIDED]
    assert [level for level in Safety if Safety.AGGRESSIVE.applies(level)] == [*Safety][:3]
