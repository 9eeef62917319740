"""Files that only tools read, and what of their own distribution names them after all."""

from __future__ import annotations

import marshal

import pytest

from slim.analysis.named_files import NamedFiles
from tests.support.virtual_stacks import SITE, Contents, make_stack

FILES: dict[str, Contents] = {
    "$site/pkg-1.dist-info/METADATA": "Name: pkg\nVersion: 1\n",
    "$site/pkg/__init__.py": "",
    "$site/pkg/mod.pyi": "x",
    "$site/pkg/k.pyx": "x",
    "$site/pkg/web/package-lock.json": "{}",
}
STUB, SOURCE, LOCK = "mod.pyi", "k.pyx", "package-lock.json"
NAMED: dict[str, tuple[str, Contents, set[str]]] = {
    "nothing": ("core.py", "x = 1", set()),
    "the name": ("core.py", "open('k.pyx')", {SOURCE}),
    "a suffix": ("core.py", "p.with_suffix('.pyx')", {SOURCE}),
    "a suffix behind a placeholder": ("core.py", "help('take <name>.pyx')", set()),
    "a suffix in pieces": ("core.py", "open(name + '.' + 'pyx')", {SOURCE}),
    "a suffix of a variable": ("core.py", "END = 'pyi'\nopen(f'{name}.{END}')", {STUB}),
    "a suffix that joins": ("core.py", "open('.'.join([name, 'pyx']))", {SOURCE}),
    "a suffix in settings": ("a.json", '{"ends": ".pyi"}', {STUB}),
    "a pattern in settings": ("a.toml", 'take = ["*.pyx"]', {SOURCE}),
    "a suffix in a text": ("a.txt", "take *.pyx", set()),
    "XML": ("a.plist", "<string>k.pyx</string>", {SOURCE}),
    "a table": ("a.csv", "k.pyx,1\n", {SOURCE}),
    "a file without a suffix": ("INDEX", "k.pyx\n", {SOURCE}),
    "another language": ("a.R", "source('k.pyx')", {SOURCE}),
    "UTF-16": ("a.ini", "[x]\r\nsource=k.pyx\r\n".encode("utf-16"), {SOURCE}),
    "a database": ("a.db", b"SQLite\0\0k.pyx\0", {SOURCE}),
    "a pickle": ("a.pkl", b"\x80\x04\x8c\x05k.pyx\x94.", {SOURCE}),
    "bytecode alone": ("a.pyc", b"\xe3\xda\x05k.pyx\xda", {SOURCE}),
    "bytecode of a source": ("__pycache__/a.cpython-313.pyc", b"\xe3\xda\x05k.pyx\xda", set()),
    "a compiled module": ("a.so", b"\x7fELF\0k.pyx\0", set()),
    "a document": ("a.md", "See k.pyx.", set()),
    "an installation": ("core.py", "run(['npm', 'ci'])", {LOCK}),
    "one of several commands": ("core.py", "run('cd web && npm ci')", {LOCK}),
    "in a script": ("web/run.sh", "cd web\nnpm ci\n", {LOCK}),
    "in a Dockerfile": ("web/Dockerfile", "FROM node\nRUN npm ci\n", {LOCK}),
    "in a package's scripts": ("web/package.json", '{"x": "npm install && y"}', {LOCK}),
    "another command": ("web/run.sh", "npm start\n", set()),
}


def held(path: str, content: Contents) -> set[str]:
    virtual = make_stack({"app-x": {**FILES, f"$site/pkg/{path}": content}})
    candidates = [
        record for record in virtual.inventory if record.path.endswith((STUB, SOURCE, LOCK))
    ]
    search = NamedFiles(virtual.inventory, virtual.read)
    found = search.among(candidates, {record.key for record in candidates})
    return {key[1].rpartition("/")[2] for key in found}


@pytest.mark.parametrize("case", NAMED)
def test_files_stay_that_code_or_text_of_their_distribution_names(case: str) -> None:
    path, content, expected = NAMED[case]
    assert held(path, content) == expected


OPENS = "import pkg, os\nx = open(os.path.join(os.path.dirname(pkg.__file__), 'mod.pyi'))"
EXEC = "#!/bin/sh\n'''exec' '/a b/python3.13' \"$0\" \"$@\"\n' '''\n"
OTHERS: dict[str, tuple[str, Contents, bool]] = {
    "a script": ("bin/tool", f"#!/usr/bin/env python3\n{OPENS}", True),
    "a script with a long path": ("bin/tool", EXEC + OPENS, True),
    "a script of a shell": ("bin/tool", f"#!/bin/sh\n# python\n{OPENS}", False),
    "bytecode": ("$site/o.pyc", bytes(16) + marshal.dumps(compile(OPENS, "o", "exec")), True),
    "bytecode about another": (
        "$site/o.pyc",
        bytes(16) + marshal.dumps(compile(OPENS.replace("pkg", "gone"), "o", "exec")),
        False,
    ),
}


@pytest.mark.parametrize("case", OTHERS)
def test_files_stay_that_code_of_others_names_whatever_it_is_called(case: str) -> None:
    path, content, stays = OTHERS[case]
    virtual = make_stack({"framework-y": FILES, "app-x": {path: content}})
    (stub,) = (record for record in virtual.inventory if record.path.endswith(STUB))
    found = NamedFiles(virtual.inventory, virtual.read).among([stub], {stub.key})
    assert bool(found) is stays


@pytest.mark.parametrize(
    ("text", "stays"),
    [
        ("cat share/man/man1/pkg.1", True),
        ("cat share\\man\\man1\\pkg.1", True),
        ("cat share/man/man1/other.1", False),
    ],
)
def test_a_manual_page_stays_whose_whole_path_a_text_has(text: str, stays: bool) -> None:
    page = "share/man/man1/pkg.1"
    layer: dict[str, Contents] = {"$site/user/data.txt": text, page: "x", f"{SITE}/u.py": ""}
    virtual = make_stack({"app-x": layer})
    (record,) = (record for record in virtual.inventory if record.path == page)
    found = NamedFiles(virtual.inventory, virtual.read).among([record], {record.key})
    assert bool(found) is stays


@pytest.mark.parametrize(
    ("code", "owner", "stays"),
    [
        ("MAN = 'man'\ndef show(name): subprocess.run([MAN, '1', name])", "pkg", True),
        ("os.system('man pkg')", "pkg", True),
        ("asyncio.create_subprocess_exec('info', 'pkg')", "pkg", False),
        ("'man pkg'\nsubprocess.run(['ls'])", "pkg", False),
        ("LANGUAGES = ['lit', 'man', 'mar']", "pkg", False),
        ("subprocess.run(['man', 'ls'])", "other", False),
    ],
)
def test_manual_pages_stay_of_a_distribution_that_shows_them(
    code: str, owner: str, stays: bool
) -> None:
    page = "share/man/man1/pkg.1"
    layer: dict[str, Contents] = {
        "$site/pkg-1.dist-info/METADATA": "Name: pkg\nVersion: 1\n",
        "$site/pkg-1.dist-info/RECORD": f"../../../{page},,\npkg/__init__.py,,\n",
        "$site/pkg/__init__.py": "",
        f"$site/{owner}/__init__.py": code,
        page: "x",
    }
    virtual = make_stack({"app-x": layer})
    (record,) = (record for record in virtual.inventory if record.path == page)
    found = NamedFiles(virtual.inventory, virtual.read).among([record], {record.key})
    assert bool(found) is stays


@pytest.mark.parametrize(
    ("code", "stay"),
    [
        ("x = os.path.join(sys.prefix, 'share', 'doc', 'pkg', 'index.html')", {"index.html"}),
        ("x = Path(sys.prefix) / 'share/doc' / 'pkg'", {"index.html"}),
        ("x = page('share/man', 'man1', 'pkg.1')", {"pkg.1"}),
        ("x = open('/usr/share/doc/other/index.html')", set()),
        ("x = Path(sys.prefix) / 'share' / 'man' / 'man1'", set()),
        ("'See share, doc and pkg.'\nx = 'share/doc'", set()),
    ],
)
def test_shared_documentation_stays_to_which_anybody_has_a_path(code: str, stay: set[str]) -> None:
    up = "../../../share/"
    layer: dict[str, Contents] = {
        "$site/pkg-1.dist-info/METADATA": "Name: pkg\nVersion: 1\n",
        "$site/pkg-1.dist-info/RECORD": f"{up}doc/pkg/index.html,,\n{up}man/man1/pkg.1,,\n",
        "$site/other-1.dist-info/METADATA": "Name: other\nVersion: 1\n",
        "$site/other/__init__.py": code,
        "share/doc/pkg/index.html": "x",
        "share/man/man1/pkg.1": "x",
    }
    virtual = make_stack({"app-x": layer})
    records = [record for record in virtual.inventory if record.path.startswith("share/")]
    found = NamedFiles(virtual.inventory, virtual.read).among(records, {one.key for one in records})
    assert {key[1].rpartition("/")[2] for key in found} == stay
