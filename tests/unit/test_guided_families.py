"""Families of the profile guided: how deep they are, who opens them, and what they hold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from slim.analysis.families import OpenFamily, starts_in
from slim.analysis.unused import family_of, known_families
from slim.model.finding import Evidence
from slim.model.guided import Guidance
from slim.model.plan import SkipReason
from slim.model.rule import Safety
from slim.model.trace import Trace, Uses
from tests.support.virtual_stacks import SITE, Contents, make_stack
from tests.unit.test_guided import FILES, LAYER, MATHS, ONE, plan_of, taken, trace

IN_GETATTR = "import importlib\ndef __getattr__(name):\n    if name in X:\n        return "

SINGLE = [
    'import_module(f"a.{name}")',
    'importlib.import_module(f"a.b.{name}")',
    'import_module(f"a.b.p_{name}")',
    'import_module("a." + name)',
    'import_module("a.%s" % name)',
    'import_module("a.%s" % (name,))',
    'import_module("a.{}".format(name))',
    'import_module("." + name, __name__)',
    'import_module(f".{name}", __package__)',
    'import_module(f"{__name__}.{name}")',
    'import_module(__name__ + "." + name)',
    'import_module(f"{__spec__.name}.{name}")',
    'import_module(__spec__.parent + "." + name)',
    '__import__(f"a.{name}")',
]


@pytest.mark.parametrize("call", SINGLE)
def test_an_attribute_of_a_module_is_one_component(call: str) -> None:
    found = starts_in((IN_GETATTR + call).encode())
    assert found
    assert all(start.single for start in found)


DEEP = [
    # A public function is given what its callers like.
    'def load(name):\n    return import_module(f"a.{name}")\n',
    # A function of that name which isn't the module's.
    'def make(name):\n    def __getattr__(name):\n        return import_module(f"a.{name}")\n',
    'class A:\n    def __getattr__(self, name):\n        return import_module(f"a.{name}")\n',
    # Another variable, more after it, or a name that was put together first.
    IN_GETATTR + 'import_module(f"a.{other}")',
    IN_GETATTR + 'import_module(f"a.{name}.{other}")',
    IN_GETATTR + 'import_module(f"a.{name!r}")',
    IN_GETATTR + 'import_module(f"a.{name:>9}")',
    IN_GETATTR + 'import_module(f"a.{X[name]}")',
    IN_GETATTR + 'import_module("a.{}.{}".format(name))',
    IN_GETATTR + 'import_module("a.%s.%s" % name)',
    IN_GETATTR + 'import_module(f"a.{name}" + other)',
    'def __getattr__(name):\n    full = f"a.{name}"\n    return import_module(full + rest)\n',
    # Names to import from the module may be modules, and run_module runs one below it.
    IN_GETATTR + '__import__(f"a.{name}", fromlist=[other])',
    IN_GETATTR + '__import__(f"a.{name}", globals(), locals(), [other])',
    IN_GETATTR + 'run_module(f"a.{name}")',
    # The argument has another value by then.
    'def __getattr__(name):\n    name = X[name]\n    return import_module(f"a.{name}")\n',
    'def __getattr__(name):\n    if (name := X):\n        return import_module(f"a.{name}")\n',
    'def __getattr__(name):\n    for name in X:\n        import_module(f"a.{name}")\n',
    'def __getattr__(name):\n    return [import_module(f"a.{name}") for name in X]\n',
    'def __getattr__(name):\n    return lambda name: import_module(f"a.{name}")\n',
    'def __getattr__(name):\n    from x import name\n    return import_module(f"a.{name}")\n',
    "def __getattr__(name):\n    match X:\n        case [*name]:\n"
    '            return import_module(f"a.{name}")\n',
    # Somebody calls it with anything.
    'def __getattr__(name):\n    return import_module(f"a.{name}")\n__getattr__("b.c")\n',
    'def __getattr__():\n    return import_module(f"a.{name}")\n',
]


@pytest.mark.parametrize("source", DEEP)
def test_all_other_names_may_have_any_number_of_components(source: str) -> None:
    found = starts_in(source.encode())
    assert {(start.text, start.single) for start in found} == {("a.", False)}


ASK = "def is_available(name):\n    try:\n        import_module(f'a.{name}')\n"
ASKED = [
    (ASK + "    except ImportError:\n        return False\n    return True\n", False),
    (
        ASK + "    except ImportError:\n        return False\n    else:\n        return True\n",
        False,
    ),
    (ASK + "        return True\n    except Exception:\n        return False\n", False),
    (
        ASK
        + "        return True\n    except (ImportError, AttributeError):\n        return False\n",
        False,
    ),
    (
        "def _has_it(name):\n    'Whether.'\n    import importlib\n    try:\n"
        "        importlib.import_module('a.' + name)\n"
        "    except ModuleNotFoundError:\n        return False\n    return True\n",
        False,
    ),
    # It keeps the module, does more, or isn't called like a question.
    (
        ASK.replace("import_module", "found = import_module") + "    except ImportError: pass\n",
        True,
    ),
    (ASK + "        register(name)\n    except ImportError:\n        return False\n", True),
    (ASK + "    except ImportError:\n        return False\n    return sys.modules\n", True),
    (ASK + "    except ImportError:\n        raise\n    return True\n", True),
    (ASK + "    except OSError:\n        return False\n    return True\n", True),
    (ASK + "    except:\n        return False\n    return True\n", True),
    (ASK + "    finally:\n        return False\n    return True\n", True),
    *(
        (
            ASK.replace("is_available", name)
            + "    except ImportError:\n        return False\n    return True\n",
            opens,
        )
        for name, opens in (
            ("_module_is_available", False),
            ("can_import", False),
            ("load_plugin", True),
            ("import_if_available", True),
            ("ensure_is_available", True),
            ("visit_island", True),
        )
    ),
    # The module is used elsewhere in the file.
    (
        ASK + "    except ImportError:\n        return False\n    return True\n"
        "def get(name):\n    return sys.modules[f'a.{name}']\n",
        True,
    ),
]


@pytest.mark.parametrize(("source", "opens"), ASKED)
def test_asking_whether_a_module_is_there_opens_no_family(source: str, opens: bool) -> None:
    assert bool(starts_in(source.encode())) is opens


PLACE = Evidence(kind="family", text="computes it", file="x", line=3)
DIRECT = OpenFamily(evidence=PLACE, single=True, single_places=frozenset({"a:3"}))
EVERY = OpenFamily(evidence=PLACE)
MEANT = [
    ("a.b", {"a.": DIRECT}, (), True),
    ("a.b.c", {"a.": DIRECT}, (), False),
    ("a.b.c", {"a.": EVERY}, (), True),
    ("a.b.c", {"a.": EVERY, "a.b.": DIRECT}, (), True),
    ("a.b.c.d", {"a.": DIRECT, "a.b.": DIRECT}, (), False),
    ("a", {"a.": EVERY}, (), False),
    ("ab.c", {"a.": EVERY}, (), False),
    ("a.b", {"a.": EVERY}, ("a.",), False),
    ("a.b", {"a.": DIRECT}, ("a.c.",), True),
    # A name that the code lists.
    ("a.b", {"a.b": EVERY}, (), True),
    ("a.b.c", {"a.b": EVERY}, (), False),
    ("a.b", {"a.b": EVERY}, ("a.",), False),
]


@pytest.mark.parametrize(("name", "families", "closed", "meant"), MEANT)
def test_a_family_means_its_members(
    name: str, families: dict[str, OpenFamily], closed: tuple[str, ...], meant: bool
) -> None:
    assert (family_of([name], families, closed) is not None) is meant


@pytest.mark.parametrize(
    ("places", "static", "single"),
    [
        ({"a:3"}, {"a.": DIRECT}, True),
        ({"a:3", "a:9"}, {"a.": DIRECT}, False),
        ({"other:3"}, {"a.": DIRECT}, False),
        ({"a:3"}, {"a.": EVERY}, False),
        ({"a:3"}, {}, False),
        (set(), {"a.": DIRECT}, True),
    ],
)
def test_runs_are_believed_to_mean_one_component_only_where_the_code_says_so(
    places: set[str], static: dict[str, OpenFamily], single: bool
) -> None:
    told = Trace(families={"a.": {place: {"a.b": ONE} for place in sorted(places)}})
    assert known_families(Guidance(trace=told), static)["a."].single is single


LAZY = "def __getattr__(name):\n    return import_module(f'maths.{name}')\n"
OPENS = "import_module('maths.' + name)\n"
PROGRAM = "[console_scripts]\ntool = maths.opener:main\n"
BOTH = frozenset({"spare.py", "deep/__init__.py", "deep/er.py"})
"""Members of the family that no run used: two at the first depth, one at the second."""

HELD: list[tuple[dict[str, Contents], tuple[str, ...], frozenset[str]]] = [
    # Opened by what runs used: all of it stays, or what lies right below.
    ({"used.py": OPENS}, (), BOTH),
    ({"__init__.py": LAZY}, (), BOTH - {"deep/er.py"}),
    ({"__init__.py": LAZY, "deep/__init__.py": "from . import er\n"}, (), BOTH),
    # Opened by itself alone: nobody gets there.
    ({"opener.py": OPENS}, (), frozenset()),
    ({"opener.py": OPENS, "second.py": "import maths.opener\n"}, (), frozenset()),
    # Something that stays imports what opens it, at whatever remove.
    ({"opener.py": OPENS, "used.py": "import maths.opener\n"}, (), BOTH),
    ({"opener.py": OPENS, "used.py": "def f():\n    import maths.opener\n"}, (), BOTH),
    ({"opener.py": LAZY, "used.py": "import maths.opener\n"}, (), BOTH - {"deep/er.py"}),
    (
        {
            "opener.py": OPENS,
            "between.py": "from . import opener\n",
            "used.py": "from . import between",
        },
        (),
        BOTH,
    ),
    # One family opens the next.
    (
        {
            "opener.py": OPENS,
            "kinds/two.py": "import maths.opener\n",
            "used.py": "import_module('maths.kinds.' + x)\n",
        },
        (),
        BOTH,
    ),
    # An entry point, or a run.
    ({"opener.py": OPENS, "entry": "[plugins]\na = maths.opener:main\n"}, (), BOTH),
    # A program counts where a layer has it.
    ({"opener.py": OPENS, "entry": PROGRAM}, (), frozenset()),
    ({"opener.py": OPENS, "entry": PROGRAM, "$bin/tool": "#!python"}, (), BOTH),
    ({"opener.py": OPENS, "entry": PROGRAM, "$bin/tool-script.py": "#!python"}, (), BOTH),
    ({"opener.py": OPENS, "entry": PROGRAM, "$bin/other": "#!python"}, (), frozenset()),
    ({"opener.py": OPENS, "entry": PROGRAM, "Scripts/tool.exe": "MZ"}, (), BOTH),
    ({"opener.py": OPENS}, ("maths.opener",), BOTH),
]


@pytest.mark.parametrize(("more", "used", "held"), HELD)
def test_families_hold_through_what_stays_for_another_reason(
    more: dict[str, Contents], used: tuple[str, ...], held: frozenset[str]
) -> None:
    files = FILES | {"$site/maths/deep/__init__.py": "", "$site/maths/deep/er.py": ""}
    for path, content in more.items():
        if path == "entry":
            path = "$site/maths-2.0.dist-info/entry_points.txt"
        elif not path.startswith(("$bin", "Scripts")):
            path = f"$site/maths/{path}"
        files[path] = content
    modules = ("maths", "maths.used", "maths.kinds", "maths.kinds.one", *used)
    told = trace(modules=dict.fromkeys(modules, ONE))
    plan = plan_of(make_stack({"cpython3.13": {}, LAYER: files}), told, profile=Safety.GUIDED)
    gone = taken(plan)
    assert BOTH - {path.removeprefix("maths/") for path in gone} == held
    reasons = {
        skipped.record.path.removeprefix(f"{SITE}/maths/"): skipped.reason
        for skipped in plan.skipped
        if skipped.rule == "never-used"
    }
    assert reasons.get("spare.py") is (SkipReason.FAMILY if "spare.py" in held else None)


def test_the_launch_module_opens_families() -> None:
    app: dict[str, Contents] = {
        "$site/start-1.0.dist-info/METADATA": "Name: start\nVersion: 1.0\n\n",
        "$site/start-1.0.dist-info/RECORD": "start.py,,\nstart_other.py,,\n",
        "$site/start.py": OPENS,
        "$site/start_other.py": "",
    }
    stack = make_stack({"cpython3.13": {}, LAYER: FILES, "app-x": app})
    for module, held in (("start", True), (None, False)):
        layers = tuple(
            replace(layer, launch_module=module if layer.name == "app-x" else None)
            for layer in stack.stack
        )
        changed = replace(stack, stack=replace(stack.stack, layers=layers))
        owner = replace(MATHS, name="start", version="1.0")
        other = Uses(modules={"start_other": ONE})
        told = replace(trace(), uses={**trace().uses, ("app-x", owner): other})
        gone = taken(plan_of(changed, told, profile=Safety.GUIDED))
        assert ("maths/spare.py" not in gone) is held
        assert ("start.py" not in gone) is held
