"""Words by which code lists folders: what makes a file worth parsing for its listings."""

from __future__ import annotations

import pytest

from slim.analysis.list_words import MayList, has_list_words, may_list_folders

LISTING = [
    "os.walk(here)",
    "here.rglob ('*')",
    "entries = sorted(\n    os.listdir\n    (here))",
    "f(g(h)(os.scandir(here)))",
    "shutil.copytree(a, b)",
    "zip_folder(here)",
    "push_all (here)",
    "client.put_directory(here)",
    "modal.Mount.from_local_dir(here)",
    "env.images.build(here)",
    'subprocess.run(["cp", "-r", here])',
    'os.system("tar cf x ." + here)',
    "Flask(__name__, static_folder=here)",
    "log_model(code_paths = [here])",
    'run(["rsync", here])',
    'ray.init(runtime_env={"a": here})',
    "deploy(py_modules=[here])",
    "archive.writepy(here)",
    "z.write(a, arcname=b)",
    "import tarfile",
    "import importlib.metadata",
    "from importlib_metadata import files",
    "from importlib import metadata",
]
NOT_LISTING = [
    "",
    "ast.walk(tree)",
    "for node in ast.walk(tree): pass\nwalk = 1",
    "open(here)",
    "def walker(): pass",
    "copy(a, b)",
    "listdir = 1\nx(1)",
    "from importlib import reload",
    "input(here)\n",
    "x(",
]


@pytest.mark.parametrize("code", LISTING)
def test_words_of_code_that_lists_folders(code: str) -> None:
    assert has_list_words(code.encode())
    assert may_list_folders(f"here = dirname(__file__)\n{code}\n".encode()) is not MayList.NONE


@pytest.mark.parametrize("code", NOT_LISTING)
def test_words_of_code_that_lists_none(code: str) -> None:
    assert not has_list_words(code.encode())
    assert may_list_folders(f"here = dirname(__file__)\n{code}\n".encode()) is MayList.NONE


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("os.walk(dirname(__file__))", MayList.OWN),
        ("os.walk(dirname(other.__file__))", MayList.ANY),
        ("os.walk(other.__path__[0])", MayList.ANY),
        ('files("other").iterdir(); glob(x)', MayList.ANY),
        ('open(f"{__file__}/{name}.py")', MayList.OWN),
        ('open(find_spec(name).origin + ".py")', MayList.ANY),
        ('open("x.py")', MayList.NONE),
    ],
)
def test_whose_folders_code_may_list(code: str, expected: MayList) -> None:
    assert may_list_folders(code.encode()) is expected
