"""Programs that use what slim took in every way we know: each ends in time, and told why.

They run in an environment of Python that reads ``.pth`` files when it starts, as layers do. With
the rest pack unpacked each works.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from slim.cli import main
from tests.support.published_stacks import SITE
from tests.support.runnable_stacks import FRAMEWORK, fault, running_stack

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="the small stacks have names of POSIX systems"
)

SHOP = {
    "used.py": "def twice(x):\n    return 2 * x\n",
    "gone.py": (
        "import logging\nvalue = 7\n\ndef twice(x):\n    return 2 * x\n\nclass Thing:\n    pass\n\n"
        "class Handler(logging.NullHandler):\n    pass\n\ndef main():\n    print('works')\n\n"
        "if __name__ == '__main__':\n    main()\n"
    ),
    "__main__.py": "print('works')\n",
    "fast.py": "value = 9\n",
    "theme/__init__.py": "",
    "theme/style.css": "a {}\n",
    "lazy/__init__.py": (
        "from importlib import import_module\n\ndef __getattr__(name):\n"
        "    try:\n        return import_module('maths.lazy.' + name)\n"
        "    except ImportError:\n        return getattr(import_module('maths.lazy'), name)\n"
    ),
    "lazy/one.py": "y = 2\n",
}
GONE = ("gone.py", "__main__.py", "fast.py", "theme/__init__.py", "lazy/one.py")
CALLS = "import importlib, sys\n"
SPAWN = (
    "import concurrent.futures, multiprocessing, pkgutil\n"
    "if __name__ == '__main__':\n"
    "    spawn = multiprocessing.get_context('spawn')\n"
    "    with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as pool:\n"
    "        print(pool.submit(pkgutil.resolve_name, 'maths.gone:value').result(timeout=50))\n"
)
LOGGING = (
    "import logging.config\nhandlers = {'h': {'class': 'maths.gone.Handler'}}\n"
    "logging.config.dictConfig({'version': 1, 'handlers': handlers})\n"
)
ENTRY = (
    "import importlib.metadata as m\n"
    "m.EntryPoint(name='a', value='maths.gone:main', group='maths.plugs').load()()\n"
)
INNER = (
    "try:\n    import _interpreters as inner\nexcept ImportError:\n"
    "    import _xxsubinterpreters as inner\n"
    "one = inner.create()\n"
    "failed = inner.run_string(one, 'import maths.gone')\n"
    "assert failed is None, failed\n"
)
THREADS = (
    "import threading\nfailed = []\n"
    "def work():\n    try:\n        import maths.gone, maths.lazy.one\n"
    "    except ImportError as error:\n        failed.append(error)\n"
    "threads = [threading.Thread(target=work) for _ in range(12)]\n"
    "[t.start() for t in threads]\n[t.join(40) for t in threads]\n"
    "assert not any(t.is_alive() for t in threads)\n"
    "assert len(failed) in (0, 12)\nif failed:\n    raise failed[0]\n"
)
LATE = (
    "import sys\n"
    "class Late:\n    find_spec = staticmethod(lambda name, path=None, target=None: None)\n"
    "sys.meta_path.append(Late)\nimport maths.gone\n"
)
STRANGERS = {
    "a module": ["-c", "import maths.gone"],
    "by name": ["-c", CALLS + "importlib.import_module('maths.gone')"],
    "by a relative name": ["-c", CALLS + "importlib.import_module('.gone', 'maths')"],
    "by exec": ["-c", "exec('from maths.gone import value')"],
    "isolated": ["-I", "-c", "import maths.gone"],
    "without environment": ["-E", "-s", "-c", "import maths.gone"],
    "as a program": ["-m", "maths.gone"],
    "as a program, by its package": ["-m", "maths"],
    "run by runpy": ["-c", "import runpy; runpy.run_module('maths.gone', run_name='__main__')"],
    "in a program that is started": [
        "-c",
        "import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'maths.gone'], check=True)",
    ],
    "a pickle": ["-c", "import pickle; pickle.loads(b'cmaths.gone\\nThing\\n.')"],
    "logging's configuration": ["-c", LOGGING],
    "an entry point": ["-c", ENTRY],
    "by a name with a colon": ["-c", "import pkgutil; pkgutil.resolve_name('maths.gone:Thing')"],
    "mocked": [
        "-c",
        "from unittest import mock\nwith mock.patch('maths.gone.value', 8):\n    pass",
    ],
    "in threads": ["-c", THREADS],
    "with a finder behind": ["-c", LATE],
    "after a reload": [
        "-c",
        CALLS + "import maths.used\nimportlib.reload(maths.used)\nimportlib.reload(maths)\n"
        "from maths import gone",
    ],
    "without caches": [
        "-c",
        CALLS + "sys.path_importer_cache.clear()\nimportlib.invalidate_caches()\nimport maths.gone",
    ],
    "with odd entries of sys.path": [
        "-c",
        "import sys\nsys.path[:0] = [b'/nowhere', None, ['x']]\nsys.path_importer_cache.clear()\n"
        "import maths.gone",
    ],
    "by a list of names": ["-c", "import maths\nmaths.__all__ = ['gone']\nfrom maths import *"],
    "data of a package": [
        "-c",
        "from importlib import resources\n"
        "print(resources.files('maths.theme').joinpath('style.css').read_text())",
    ],
    "a loader that asks itself": ["-c", "from maths.lazy import one"],
    "an inner interpreter": ["-c", INNER],
    "a lazy module": [
        "-c",
        "import importlib.util as u\nspec = u.find_spec('maths.gone')\n"
        "if spec is None:\n    import maths.gone\n"
        "spec.loader = u.LazyLoader(spec.loader)\n"
        "module = u.module_from_spec(spec)\nspec.loader.exec_module(module)\n"
        "assert module.value == 7",
    ],
    "at the end": ["-c", "import atexit\natexit.register(lambda: __import__('maths.gone'))"],
    "in a coroutine's thread": [
        "-c",
        CALLS + "import asyncio\n"
        "asyncio.run(asyncio.to_thread(importlib.import_module, 'maths.gone'))",
    ],
    "from a script": ["script.py"],
    "from a zip": ["app.zip"],
    "in a spawned process": ["spawn.py"],
}
AS_EVER = {
    # What only asks is answered as if the module weren't there, and what can do without it, does.
    "a fallback": (
        "try:\n    from maths.fast import value\nexcept ImportError:\n    value = 1\nprint(value)",
        "1",
        "9",
    ),
    "a probe": (
        "import importlib.util as u; print(u.find_spec('maths.gone') is None)",
        "True",
        "False",
    ),
    "a probe of a folder": (
        "import importlib.util as u; print(u.find_spec('maths.theme') is None)",
        "True",
        "False",
    ),
    "a listing": (
        "import maths, pkgutil\n"
        "print('gone' in [module.name for module in pkgutil.iter_modules(maths.__path__)])",
        "False",
        "True",
    ),
    "data of a package that isn't there": (
        "import pkgutil; print(pkgutil.get_data('maths.theme', 'style.css'))",
        "None",
        "b'a {}\\n'",
    ),
    "what stays, and its source": (
        "import inspect, maths.used; print(inspect.getsource(maths.used.twice).split()[0])",
        "def",
        "def",
    ),
    "what never was": (
        "try:\n    import maths.never\nexcept ImportError as e:\n    print(e)",
        "No module named 'maths.never'",
        "No module named 'maths.never'",
    ),
}


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """Environments with the slimmed layer, and with its rest pack unpacked; a Python of each."""
    folder = tmp_path_factory.mktemp("strangers")
    before = Path.cwd()
    os.chdir(folder)
    try:
        running_stack(folder / "stack", maths=SHOP)
        fault(folder / "fault.toml", *(f"$site/maths/{name}" for name in GONE))
        options = ["--guard", "on", "--rest-pack", "all", "--report", "json=report.json"]
        assert main(["run", "stack", "-o", "out", "--pack", "fault.toml", "-q", *options]) == 0
    finally:
        os.chdir(before)
    report = json.loads((folder / "report.json").read_text())["runs"][0]
    (pack,) = next(layer for layer in report["layers"] if layer["name"] == FRAMEWORK)["rest_packs"]
    found = {}
    for name, archives in (
        ("slimmed", [f"{FRAMEWORK}.tar.xz"]),
        ("whole", [f"{FRAMEWORK}.tar.xz", pack["archive"]]),
    ):
        for archive in archives:
            with tarfile.open(folder / "out" / archive) as tar:
                tar.extractall(folder / name)
        command = [sys.executable, "-m", "venv", "--without-pip", str(folder / name / "env")]
        subprocess.run(command, check=True, timeout=120)
        (own,) = (folder / name / "env").glob("lib/python*/site-packages")
        site = folder / name / FRAMEWORK / SITE
        (own / "layers.pth").write_text(f"import site; site.addsitedir({str(site)!r})\n")
        found[name] = folder / name / "env/bin/python"
    yield found


def run(python: Path, folder: Path, words: list[str]) -> tuple[int, str]:
    """Run a program in a folder; return its exit code and all that it says. It has a minute."""
    done = subprocess.run(
        [str(python), *words],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("name", STRANGERS)
def test_what_was_taken_ends_in_time_and_told_why(
    name: str, layers: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "script.py").write_text("import maths.gone\n")
    (tmp_path / "spawn.py").write_text(SPAWN)
    with zipfile.ZipFile(tmp_path / "app.zip", "w") as archive:
        archive.writestr("__main__.py", "import inner\n")
        archive.writestr("inner.py", "from maths.gone import Thing\n")
    code, said = run(layers["slimmed"], tmp_path, STRANGERS[name])
    assert "slim removed " in said
    assert "keep = [" in said
    assert code != 0 or name == "at the end"
    code, said = run(layers["whole"], tmp_path, STRANGERS[name])
    assert (code, "slim removed " in said) == (0, False), said


@pytest.mark.parametrize("name", AS_EVER)
def test_what_only_asks_is_answered(name: str, layers: dict[str, Path], tmp_path: Path) -> None:
    source, slimmed, whole = AS_EVER[name]
    assert run(layers["slimmed"], tmp_path, ["-c", source]) == (0, f"{slimmed}\n")
    assert run(layers["whole"], tmp_path, ["-c", source]) == (0, f"{whole}\n")
