"""Facts of a stack: analyses that were let go are made again, and tell the same."""

from __future__ import annotations

import pytest

from slim.analysis import facts as facts_module
from slim.analysis.facts import Facts
from slim.config.load import load_config
from slim.model.progress import Silent
from slim.passes import SCHEMAS
from slim.plan.planner import Planner
from tests.support.native_headers import macho
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


ROOT = "import hashlib\nfrom pathlib import Path\nROOT = Path(__file__).parent\n"
COMPARES = "    assert hashlib.sha256(found.read_bytes()).hexdigest() == known[found.name][::-1]\n"
CHECKS: dict[str, tuple[str, str, bool]] = {
    "all files": ("p/check.py", f"for found in ROOT.rglob('*'):\n{COMPARES}", True),
    "libraries": ("p/check.py", f"for found in ROOT.glob('*.so'):\n{COMPARES}", True),
    "all together": (
        "p/check.py",
        "whole = b''.join(found.read_bytes() for found in sorted(ROOT.iterdir()))\n"
        "ok = hashlib.sha256(whole).hexdigest() == TOTAL\n",
        True,
    ),
    "modules": ("p/check.py", f"for found in ROOT.glob('*.py'):\n{COMPARES}", False),
    "nothing": ("p/check.py", "for found in ROOT.glob('*.so'):\n    load(found)\n", False),
    "a key": (
        "p/check.py",
        "for found in ROOT.glob('*.so'):\n    key += hashlib.sha256(found.read_bytes()).digest()\n",
        False,
    ),
    "its own folder": ("other/check.py", f"for found in ROOT.rglob('*'):\n{COMPARES}", False),
    "another package": (
        "other/check.py",
        f"import p\nfor found in Path(p.__file__).parent.rglob('*'):\n{COMPARES}",
        True,
    ),
}


@pytest.mark.parametrize("case", CHECKS)
def test_native_files_that_code_lists_and_compares_digests_of(case: str) -> None:
    path, code, is_held = CHECKS[case]
    files = {"$site/p/__init__.py": "", "$site/p/core.so": macho(), f"$site/{path}": ROOT + code}
    made = make_stack({"app-x": files})
    assert bool(made.facts.checked_natives) is is_held
