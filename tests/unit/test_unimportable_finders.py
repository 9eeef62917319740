"""Names that a finder may answer to: those that its class, and what it refers to, state."""

from __future__ import annotations

import pytest

from slim.analysis.unimportable.finders import may_have_finder, names_of_finders

FIND = "    def find_spec(self, name, path=None, target=None):\n        "
FILES = {
    "in the method": (f"class F:\n{FIND}if name == 'torch': return spec\n", True),
    "in the class": (f"class F:\n    START = 'torch.nn'\n{FIND}pass\n", True),
    "in its docstring": (f"class F:\n    'Not for torch.'\n{FIND}pass\n", False),
    "of a base class": ("class F(importlib.abc.MetaPathFinder):\n    START = 'torch.'\n", True),
    "in a table": (f"NAMES = {{'torch': x}}\nclass F:\n{FIND}return NAMES[name]\n", True),
    "in words": (f"NAMES = 'jax torch'.split()\nclass F:\n{FIND}return name in NAMES\n", True),
    "a table is filled": (
        f"NAMES = []\nNAMES.append('torch')\nclass F:\n{FIND}return name in NAMES\n",
        True,
    ),
    "an entry is set": (f"NAMES = {{}}\nNAMES['torch'] = x\nclass F:\n{FIND}NAMES[name]\n", True),
    "a function is asked": (
        f"def knows(n):\n    return n in T\nT = ['torch']\nclass F:\n{FIND}return knows(name)\n",
        True,
    ),
    "it is given": (f"class F:\n{FIND}return self.x\nFINDER = F('torch')\n", True),
    "it is given by a function": (
        f"class F:\n{FIND}return self.x\nX = 'torch'\ndef install():\n    return F(X)\n",
        True,
    ),
    "made in a function": (f"def make():\n    n = 'torch'\n    class F:\n    {FIND}pass\n", True),
    "a table of something else": (f"NEEDS = ['torch']\nclass F:\n{FIND}return None\n", False),
    "a check of something else": (
        f"class F:\n{FIND}return None\ndef has():\n    return find_spec('torch')\n",
        False,
    ),
    "no class to be seen": ("X = make(MetaPathFinder)\nY = 'torch'\n", True),
    "another language": (f"print 'torch'\nclass F:\n{FIND}pass\n", True),
}


@pytest.mark.parametrize("case", FILES)
def test_a_finder_may_answer_to_what_it_states(case: str) -> None:
    text, names = FILES[case]
    assert may_have_finder(text.encode())
    assert ("torch" in names_of_finders(text.encode())) is names
