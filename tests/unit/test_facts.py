"""Facts of a stack: analyses that were let go are made again, and tell the same."""

from __future__ import annotations

from slim.analysis import facts as facts_module
from slim.analysis.facts import Facts
from slim.config.load import load_config
from slim.model.progress import Silent
from slim.passes import SCHEMAS
from slim.plan.planner import Planner
from tests.support.virtual_stacks import make_stack

STACK = make_stack(
    {
        "app-server": {
            "$site/server/__init__.py": "from server import core\nimport box.tests.helper\n",
            "$site/server/core.py": "import importlib\nimportlib.import_module('box.tests')\n",
            "$site/box/__init__.py": "",
            "$site/box/tests/__init__.py": "",
            "$site/box/tests/helper.py": "",
            "$site/box/tests/test_box.py": "import box\n",
            "$site/box-1.0.dist-info/METADATA": "Name: box\nVersion: 1.0\n",
        }
    }
)


def test_what_was_let_go_is_made_again_and_tells_the_same() -> None:
    facts = STACK.facts
    first = Planner(facts, load_config(SCHEMAS), Silent()).plan()
    held = {name for name in facts_module._ASKED_BY_PLANS if name in vars(facts)}
    assert {"imports", "listed_files", "unimportable"} <= held
    libraries, index = facts.libraries, facts.module_index
    facts.let_go()
    assert not held & set(vars(facts))
    assert facts.libraries is libraries
    assert facts.module_index is index
    assert Planner(facts, load_config(SCHEMAS), Silent()).plan() == first


def test_every_analysis_that_is_let_go_is_a_fact() -> None:
    assert set(facts_module._ASKED_BY_PLANS) <= set(vars(Facts))
