"""The recorder keeps what happened, however a process ends and whatever it starts."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import pytest

from slim.tracing import recorder
from slim.tracing.logs import Logged, Origin, read_logs
from slim.tracing.record import place_recorder

posix = pytest.mark.skipif(sys.platform == "win32", reason="no fork and no signals there")

MODULES = {
    "first.py": "import second\n",
    "second.py": "",
    "third.py": "",
    "lazy/__init__.py": "",
    "lazy/one.py": "",
    "lazy/two.py": "",
    "kept.txt": "data",
    "loader.py": (
        "import importlib\n\n\ndef load(name):\n"
        "    return importlib.import_module(f'lazy.{name}')\n"
    ),
}


class Product:
    """A virtual environment ``app`` with a few modules, which the recorder watches."""

    def __init__(self, root: Path) -> None:
        self.root = root / "layers"
        self.logs = root / "logs"
        self.logs.mkdir()
        venv.create(self.root / "app", symlinks=sys.platform != "win32")
        windows = sys.platform == "win32"
        self.python = self.root / "app" / ("Scripts/python.exe" if windows else "bin/python")
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        lib = "Lib/site-packages" if windows else f"lib/{version}/site-packages"
        self.site = self.root / "app" / lib
        for name, text in MODULES.items():
            (self.site / name).parent.mkdir(exist_ok=True)
            (self.site / name).write_text(text, encoding="utf-8")
        place_recorder(self.site, self.logs, self.root)

    def run(self, code: str, *, fails: bool = False) -> Logged:
        """Run code in it, and read the logs."""
        (self.root / "main.py").write_text(code, encoding="utf-8")
        done = subprocess.run(
            [self.python, self.root / "main.py"], capture_output=True, text=True, timeout=120
        )
        assert fails or done.returncode == 0, done.stderr
        assert "slim" not in done.stderr
        return read_logs(self.logs)

    def seen(self, logged: Logged) -> set[str]:
        """Names of the modules that were loaded."""
        return {Path(path).name.partition(".")[0] for path in logged.modules}


@pytest.fixture
def product(tmp_path: Path) -> Product:
    return Product(tmp_path)


def test_modules_come_with_importer_and_line(product: Product) -> None:
    logged = product.run("import loader\n\nloader.load('one')\nimport first\n")
    site = product.site.relative_to(product.root).as_posix()
    origins = {Path(path).name.partition(".")[0]: at for path, at in logged.modules.items()}
    assert origins["second"] == {Origin(f"{site}/first.py", 1, "")}
    assert origins["one"] == {Origin(f"{site}/loader.py", 5, "import_module")}
    assert all(not Path(path).is_absolute() and ".." not in path for path in logged.modules)
    assert len(logged.platforms) == 1
    assert logged.lost == 0


def test_a_computed_import_of_what_is_loaded_is_noted(product: Product) -> None:
    logged = product.run("import lazy.one, loader\nloader.load('one')\nloader.load('two')\n")
    site = product.site.relative_to(product.root).as_posix()
    at = {Origin(f"{site}/loader.py", 5, "import_module")}
    assert logged.computed == {"lazy.one": at, "lazy.two": at}


def test_relative_names_of_computed_imports_are_resolved(product: Product) -> None:
    logged = product.run(
        "from importlib import import_module\nimport lazy.one\n"
        "import_module('.two', 'lazy')\nimport_module('..one', package='lazy.one')\n"
    )
    assert set(logged.computed) == {"lazy.two", "lazy.one"}


def test_data_and_folders_are_noted_and_writing_is_not(product: Product) -> None:
    logged = product.run(
        "import os, pathlib, first\nsite = pathlib.Path(first.__file__).parent\n"
        "(site / 'kept.txt').read_text()\n(site / 'new.txt').write_text('')\n"
        "os.listdir(site / 'lazy')\nopen(first.__file__).read()\n"
    )
    names = {Path(path).name for path in logged.read}
    assert {"kept.txt", "first.py"} <= names
    assert "new.txt" not in names
    assert {Path(path).name for path in logged.listed} == {"lazy"}


@pytest.mark.parametrize(
    "end",
    [
        "import os; os._exit(3)",
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
        "import ctypes; ctypes.string_at(0)",
        "raise SystemExit(2)",
        "1 / 0",
    ],
)
@posix
def test_no_end_of_a_process_loses_what_was(product: Product, end: str) -> None:
    logged = product.run(f"import first\n{end}\n", fails=True)
    assert {"first", "second"} <= product.seen(logged)


@posix
def test_children_by_fork_are_recorded(product: Product) -> None:
    logged = product.run(
        "import os\nif os.fork() == 0:\n    import first\n    os._exit(0)\nos.wait()\n"
        "import third\n"
    )
    assert {"first", "third"} <= product.seen(logged)


@posix
def test_a_daemon_that_closes_everything_writes_nowhere_else(product: Product) -> None:
    own = product.root.parent / "own.txt"
    logged = product.run(
        "import os\nif os.fork() == 0:\n    os.closerange(3, 256)\n"
        f"    own = [os.open({str(own)!r}, os.O_RDWR | os.O_CREAT) for _ in range(9)]\n"
        "    import first\n    os._exit(0)\nos.wait()\n"
    )
    assert own.read_bytes() == b""
    assert "first" in product.seen(logged)


@pytest.mark.parametrize(
    "how", ["spawn", *(["fork", "forkserver"] if sys.platform != "win32" else [])]
)
def test_children_of_multiprocessing_are_recorded(product: Product, how: str) -> None:
    logged = product.run(
        "import multiprocessing\n\n\ndef work(name):\n    __import__(name)\n\n\n"
        "if __name__ == '__main__':\n"
        f"    context = multiprocessing.get_context({how!r})\n"
        "    for name in ('first', 'third'):\n"
        "        child = context.Process(target=work, args=(name,))\n"
        "        child.start()\n        child.join()\n        assert child.exitcode == 0\n"
    )
    assert {"first", "second", "third"} <= product.seen(logged)


def test_programs_with_an_empty_environment_are_recorded(product: Product) -> None:
    logged = product.run(
        "import os, subprocess, sys\n"
        "kept = {name: os.environ[name] for name in ('SYSTEMROOT',) if name in os.environ}\n"
        "subprocess.run([sys.executable, '-I', '-c', 'import first'], env=kept, check=True)\n"
    )
    assert {"first", "second"} <= product.seen(logged)
    assert logged.processes == 2


def test_threads_are_recorded(product: Product) -> None:
    names = [f"t{number}" for number in range(40)]
    for name in names:
        (product.site / f"{name}.py").write_text("import second\n", encoding="utf-8")
    logged = product.run(
        "import threading\n"
        f"work = [threading.Thread(target=__import__, args=(name,)) for name in {names!r}]\n"
        "[one.start() for one in work]\n[one.join() for one in work]\n"
    )
    assert {*names, "second"} <= product.seen(logged)


def test_odd_names_come_back(product: Product) -> None:
    logged = product.run(
        "import os, first\nsite = os.path.dirname(first.__file__)\n"
        "for name in ('a\\tb', 'a\\\\nb', 'a\\nb', '\\udc80', 'é'):\n"
        "    try:\n        open(os.path.join(site, name)).close()\n"
        "    except (OSError, ValueError):\n        pass\n"
    )
    names = {path.rpartition("/")[2] for path in logged.read}
    if sys.platform != "win32":
        assert {"a\tb", "a\\nb", "a\nb", "\udc80", "é"} <= names


def test_what_hooks_must_never_do_is_to_fail(product: Product) -> None:
    product.run(
        "import os\n\n\nclass Odd:\n    def __fspath__(self):\n        raise RuntimeError\n\n\n"
        "for odd in (Odd(), None, -1, 2.5, '\\0'):\n    try:\n        open(odd)\n"
        "    except (OSError, TypeError, ValueError, RuntimeError):\n        pass\n"
        "exec('import first', {'__name__': ['unhashable']})\n"
    )


def test_it_waits_for_the_variable_where_a_product_carries_it(
    product: Product, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in product.site.glob("*slim_recorder*"):
        file.unlink()
    place_recorder(product.site)
    layer = product.root / "app" / "share/venv/metadata/venvstacks_layer.json"
    layer.parent.mkdir(parents=True)
    layer.write_text("{}", encoding="utf-8")
    monkeypatch.delenv(recorder.VARIABLE, raising=False)
    assert product.run("import first").processes == 0
    logs = tmp_path / "desk" / "logs"
    monkeypatch.setenv(recorder.VARIABLE, str(logs))
    product.run("import first")
    found = read_logs(logs)
    assert {"first", "second"} <= product.seen(found)
    assert {path.partition("/")[0] for path in found.modules} == {"app", "main.py"}


@posix
def test_lines_that_no_disk_took_are_told(product: Product) -> None:
    code = (
        "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))\nimport first\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))\nimport third\n"
    )
    (product.root / "main.py").write_text(code, encoding="utf-8")
    done = subprocess.run(
        [product.python, product.root / "main.py"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "slim recorder: lines are lost" in done.stderr
    logged = read_logs(product.logs)
    assert logged.lost > 0
    assert "third" in product.seen(logged)
