"""Data in a package's own test suite that its helpers, which stay, open by a path."""

from __future__ import annotations

import pytest

from slim.analysis.own_data import opened_by_path
from tests.support.virtual_stacks import Contents, make_stack

OPENED: dict[str, tuple[str, str, bool]] = {
    "joined": (
        "testing.py",
        "open(os.path.join(os.path.dirname(__file__), 'test', 'a.crt'))",
        True,
    ),
    "a variable of the folder": (
        "testing.py",
        "def f():\n    d = dirname(__file__)\n    return {'c': os.path.join(d, 'test', 'a.crt')}",
        True,
    ),
    "a path": ("testing.py", "HERE = Path(__file__).parent\nx = HERE / 'test' / 'a.crt'", True),
    "without spaces": ("testing.py", "x=Path(__file__).parent/'test'/'a.crt'", True),
    "far along a line": (
        "testing.py",
        f"x = [{'1, ' * 200}Path(__file__).parent / 'test' / 'a.crt', ''{', 2' * 200}]",
        True,
    ),
    "in one piece": ("testing.py", "x = Path(__file__).parent / 'test/a.crt'", True),
    "from further in": ("sub/mod.py", "x = Path(__file__).parents[1] / 'test' / 'a.crt'", True),
    "its package's files": ("testing.py", "files(__package__).joinpath('test', 'a.crt')", True),
    "the folder": ("testing.py", "x = Path(__file__).parent / 'test'", False),
    "the name alone": ("testing.py", "x = 'a.crt', __file__", False),
    "a name of another": ("testing.py", "x = Path(__file__).parent / 'other' / 'a.crt'", False),
    "another start": ("testing.py", "x = os.path.join(root, 'test', 'a.crt'), __file__", False),
    "documentation": ("testing.py", "'''Path(__file__).parent / 'test' / 'a.crt' '''", False),
    "code of a later Python": ("testing.py", "def f[T](): __file__, 'test/a.crt'", False),
    "another distribution": ("../other/mod.py", "Path(__file__).parent / 'test' / 'a.crt'", False),
}


@pytest.mark.parametrize("case", OPENED)
def test_data_that_code_opens_from_its_own_place(case: str) -> None:
    path, code, expected = OPENED[case]
    files: dict[str, Contents] = {
        "$site/pkg-1.dist-info/METADATA": "Name: pkg\nVersion: 1\n",
        "$site/pkg/test/a.crt": "x",
        "$site/pkg/test/other.crt": "x",
        "$site/pkg/test/pem.py": "x = 1",
        f"$site/pkg/{path}": code,
    }
    if path.startswith(".."):
        files["$site/other-1.dist-info/METADATA"] = "Name: other\nVersion: 1\n"
        files["$site/other/mod.py"] = files.pop(f"$site/pkg/{path}")
    virtual = make_stack({"app-x": files})
    suite = [record for record in virtual.inventory if "/test/" in record.path]
    gone = {record.key for record in suite}
    found = opened_by_path(suite, gone, virtual.inventory, virtual.read)
    names = {key[1].rpartition("/pkg/")[2]: evidence.file for key, evidence in found.items()}
    assert set(names) == ({"test/a.crt"} if expected else set())
    for file in names.values():
        assert file is not None and file.endswith(path)


def test_code_that_goes_holds_nothing() -> None:
    files: dict[str, Contents] = {
        "$site/pkg-1.dist-info/METADATA": "Name: pkg\nVersion: 1\n",
        "$site/pkg/test/a.crt": "x",
        "$site/pkg/test/web_test.py": "open(os.path.join(os.path.dirname(__file__), 'a.crt'))",
    }
    virtual = make_stack({"app-x": files})
    suite = [record for record in virtual.inventory if "/test/" in record.path]
    gone = {record.key for record in suite}
    assert opened_by_path(suite, gone, virtual.inventory, virtual.read) == {}
    stays = {key for key in gone if not key[1].endswith(".py")}
    assert len(opened_by_path(suite, stays, virtual.inventory, virtual.read)) == 1
