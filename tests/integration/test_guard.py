"""Layers that lost modules: what their guard tells, and the rest packs that bring them back."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from slim.cli import main
from slim.formats.base import ReadOptions
from slim.formats.digests import digests_of, tree_digest
from slim.formats.directory import read_directory
from tests.support.backup_runs import entries, entry
from tests.support.published_stacks import SITE
from tests.support.runnable_stacks import FRAMEWORK, fault, running_stack

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="the small stacks have names of POSIX systems"
)

MATHS = {
    "core.py": "x = 1\n",
    "lazy/__init__.py": (
        "import importlib\n\n"
        "def __getattr__(name):\n"
        "    try:\n"
        "        return importlib.import_module('maths.lazy.' + name)\n"
        "    except ImportError:\n"
        "        return getattr(importlib.import_module('maths.lazy'), name)\n"
    ),
    "lazy/one.py": "y = 2\n" * 300,
    "folder/inner.py": "z = 3\n",
    "bold.py": "b = 4\n" * 100,
}
KEEP_ONE = f'keep = ["{SITE}/maths/lazy/one.py"]'


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    running_stack(tmp_path / "stack", maths=MATHS)
    fault(tmp_path / "fault.toml", "$site/maths/lazy/one.py", "$site/maths/folder/**")
    return tmp_path


def run(*arguments: str, source: str = "stack", output: str = "out") -> dict[str, Any]:
    """``slim run`` with a rule that takes two modules; returns the one result of the report."""
    options = ["--pack", "fault.toml", "-q", "--report", "json=report.json"]
    target = ["--dry-run"] if "--dry-run" in arguments else ["-o", output]
    rest = [argument for argument in arguments if argument != "--dry-run"]
    assert main(["run", source, *target, *options, *rest]) == 0
    result: dict[str, Any] = json.loads(Path("report.json").read_text())["runs"][0]
    return result


def deploy(output: str = "out") -> Path:
    """Unpack all layers; return the framework's folder of packages."""
    shutil.rmtree("deployed", ignore_errors=True)
    for archive in Path(output).glob("*.tar.xz"):
        with tarfile.open(archive) as tar:
            tar.extractall("deployed")
    return Path("deployed", FRAMEWORK, SITE).absolute()


def python(code: str, *, more: Mapping[str, str] | None = None) -> str:
    """Run code in a Python that has the deployed framework; it has a minute."""
    site = Path("deployed", FRAMEWORK, SITE).absolute()
    done = subprocess.run(
        [sys.executable, "-c", f"import site; site.addsitedir({str(site)!r})\n{code}"],
        env={"PATH": "/usr/bin:/bin", **(more or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def caught(statement: str) -> str:
    return (
        f"try:\n    {statement}\nexcept ImportError as e:\n    print(type(e).__name__, e.name, e)\n"
    )


def layer_of(result: dict[str, Any], name: str = FRAMEWORK) -> dict[str, Any]:
    return next(layer for layer in result["layers"] if layer["name"] == name)


def tree_sha256(folder: Path, tmp_path: Path) -> str:
    """Tree digest of a deployed layer, of which nothing was compiled."""
    with read_directory(folder, ReadOptions(spool_dir=tmp_path, anywhere=True)) as tree:
        return tree_digest(tree.members.values(), digests_of(tree))


@pytest.mark.parametrize(
    ("statement", "beginning", "rest"),
    [
        (
            "import maths.lazy.one",
            "ModuleNotFoundError maths.lazy.one No module named 'maths.lazy.one': ",
            KEEP_ONE,
        ),
        (
            "from maths.lazy.one import y",
            "ModuleNotFoundError maths.lazy.one No module named 'maths.lazy.one': ",
            KEEP_ONE,
        ),
        (
            "import importlib; importlib.import_module('.one', 'maths.lazy')",
            "ModuleNotFoundError maths.lazy.one No module named 'maths.lazy.one': ",
            KEEP_ONE,
        ),
        (
            "import maths.folder.inner",
            "ModuleNotFoundError maths.folder No module named 'maths.folder': ",
            f'keep = ["{SITE}/maths/folder/**"]',
        ),
        (
            "from maths import folder",
            "ImportError maths cannot import name 'folder' from 'maths' (",
            f'keep = ["{SITE}/maths/folder/**"]',
        ),
        (
            "import runpy; runpy.run_module('maths.lazy.one')",
            "ImportError None Error while finding module specification for 'maths.lazy.one' "
            "(ModuleNotFoundError: No module named 'maths.lazy.one': ",
            KEEP_ONE,
        ),
    ],
)
def test_an_import_fails_as_it_would_and_names_slim_rule_and_line(
    statement: str, beginning: str, rest: str
) -> None:
    run("--guard", "on")
    deploy()
    told = python(caught(statement))
    assert told.startswith(beginning)
    assert "slim removed " in told
    assert f"from layer {FRAMEWORK} (rule fault)" in told
    assert rest in told


def test_a_start_of_python_reads_no_table_and_imports_one_module() -> None:
    run("--guard", "on")
    site = deploy()
    watched = (
        "import sys, site\nbefore, opened = set(sys.modules), []\n"
        "sys.addaudithook(lambda event, words: opened.append(words[0]) if event == 'open' else 0)\n"
        f"site.addsitedir({str(site)!r})\nimport maths.core\n"
        "print(sorted(set(sys.modules) - before))\n"
        "print([name for name in opened if 'removed-' in str(name)])\n"
        "try:\n    import nowhere\nexcept ImportError:\n    pass\n"
        "print(len([name for name in opened if 'removed-1' in str(name)]) > 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", watched], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines() == ["['maths', 'maths.core', 'slim_guard']", "[]", "True"]


def test_what_slim_did_not_remove_fails_as_ever() -> None:
    run("--guard", "on")
    deploy()
    told = python(caught("import maths.nowhere") + caught("import nowhere"))
    assert told.splitlines() == [
        "ModuleNotFoundError maths.nowhere No module named 'maths.nowhere'",
        "ModuleNotFoundError nowhere No module named 'nowhere'",
    ]


def test_probes_see_what_they_would_see() -> None:
    run("--guard", "on")
    deploy()
    told = python(
        "import importlib.util, pkgutil, maths\n"
        "find = importlib.util.find_spec\n"
        "print(find('maths.lazy.one'), find('maths.folder'))\n"
        "print(sorted(found.name for found in pkgutil.iter_modules(maths.__path__)))\n"
        "print(__import__('maths', fromlist=['folder']).__name__)\n"
    )
    assert told.splitlines() == ["None None", "['bold', 'core', 'lazy']", "maths"]


def test_misses_are_written_as_they_happen_swallowed_ones_too(tmp_path: Path) -> None:
    run("--guard", "on")
    deploy()
    code = (
        "import importlib.util, os\n"
        "for _ in range(3):\n"
        "    try:\n"
        "        import maths.lazy.one\n"
        "    except ImportError:\n"
        "        pass\n"
        "importlib.util.find_spec('maths.folder')\n"
        "os._exit(0)\n"
    )
    python(code, more={"SLIM_MISSES": str(tmp_path / "misses")})
    assert (tmp_path / "misses").read_text().splitlines() == [
        f"import\tmaths.lazy.one\t{FRAMEWORK}\tfault\t__main__\t5",
        f"probe\tmaths.folder\t{FRAMEWORK}\tfault\t__main__\t8",
    ]
    python(caught("import maths.folder"), more={"SLIM_MISSES": "/nowhere/at/all"})


SWALLOWED = "try:\n    import maths.lazy.one\nexcept ImportError:\n    pass\n"
ENDS = [
    # Told below the traceback: the error that ends the program says nothing of the guard's.
    (SWALLOWED + "{}['one']\n", "KeyError: 'one'", 1),
    (SWALLOWED * 2 + "import maths.nowhere\n", "No module named 'maths.nowhere'", 1),
    (SWALLOWED.replace("pass", "raise ValueError('no') from None"), "ValueError: no", 1),
    (
        SWALLOWED.replace("import maths.lazy.one", "from maths import folder") + "raise ValueError",
        "ValueError",
        1,
    ),
    # Lists of names mean attributes as well, so nothing was raised for them.
    ("import maths\nmaths.__all__ = ['folder']\nfrom maths import *\n", "no attribute 'folder'", 1),
    ("getattr(__import__('maths', fromlist=['folder']), 'folder')\n", "no attribute 'folder'", 1),
    # Told already, in it or in its causes.
    ("import maths.lazy.one\n", "No module named 'maths.lazy.one': slim", 1),
    (SWALLOWED.replace("pass", "raise ValueError('no')"), "ValueError: no", 1),
    (SWALLOWED + "import maths.folder\n", "No module named 'maths.folder'", 1),
    # Nothing was missed, only probed, or the program didn't fail.
    ("{}['one']\n", "KeyError: 'one'", 0),
    (
        "import importlib.util\nimportlib.util.find_spec('maths.lazy.one')\n{}['one']\n",
        "KeyError: 'one'",
        0,
    ),
    (SWALLOWED + "raise SystemExit('so')\n", "so", 0),
    (SWALLOWED + "raise KeyboardInterrupt\n", "KeyboardInterrupt", 0),
    (SWALLOWED + "import sys\nsys.stderr.close()\n{}['one']\n", "", 0),
]


@pytest.mark.parametrize(("code", "error", "said"), ENDS)
def test_an_error_after_a_swallowed_one_is_told_what_may_be_why(
    code: str, error: str, said: int
) -> None:
    run("--guard", "on")
    site = deploy()
    done = subprocess.run(
        [sys.executable, "-c", f"import site; site.addsitedir({str(site)!r})\n{code}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert error in done.stderr
    assert done.stderr.count("slim removed ") == said
    if said and "may be why" in done.stderr:
        assert done.stderr.splitlines()[-1].startswith("slim removed maths.")


HOLLOW = [
    # (what is run, beginning of what it prints, what the message says to keep)
    (caught("import maths.hollow"), "ModuleNotFoundError maths.hollow ", "hollow/**"),
    (caught("import maths.hollow.one"), "ModuleNotFoundError maths.hollow ", "hollow/**"),
    (caught("from maths.hollow import name"), "ModuleNotFoundError maths.hollow ", "hollow/**"),
    (caught("from maths import hollow"), "ImportError maths ", "hollow/**"),
    (
        caught("import importlib.resources; importlib.resources.files('maths.hollow')"),
        "ModuleNotFoundError maths.hollow ",
        "hollow/**",
    ),
    (
        caught("import sys; sys.path_importer_cache.clear(); import maths.hollow"),
        "ModuleNotFoundError maths.hollow ",
        "hollow/**",
    ),
    (
        "import pickle\n" + caught("pickle.loads(b'cmaths.hollow\\nname\\n.')"),
        "ModuleNotFoundError maths.hollow ",
        "hollow/**",
    ),
    # Probes and listings see what they would see.
    ("import importlib.util; print(importlib.util.find_spec('maths.hollow'))", "None", None),
    (
        "import maths, pkgutil as p\nprint(sorted(m.name for m in p.iter_modules(maths.__path__)))",
        "['bold', 'core', 'lazy']",
        None,
    ),
    # Nothing was taken there, or it isn't the guard's.
    ("import maths.plain; print(list(maths.plain.__path__) != [])", "True", None),
    (caught("from maths.plain import name"), "ImportError maths.plain ", None),
    (caught("import maths.core.never"), "ModuleNotFoundError maths.core.never ", None),
]


@pytest.mark.parametrize(("code", "beginning", "keep"), HOLLOW)
def test_a_folder_with_data_alone_is_no_package_any_more(
    code: str, beginning: str, keep: str | None, tmp_path: Path
) -> None:
    """Python takes any folder for an empty package, and its attributes would be missed one by one.

    The guard's rest packs bring the package back.
    """
    more = {"hollow/__init__.py": "name = 1\n", "hollow/one.py": "", "hollow/notes.txt": "data"}
    running_stack(tmp_path / "stack", maths={**MATHS, **more, "plain/notes.txt": "data"})
    fault(tmp_path / "fault.toml", "$site/maths/hollow/*.py")
    run("--guard", "on", "--rest-pack", "all")
    site = deploy()
    told = python(code)
    assert told.startswith(beginning)
    assert told.count("slim removed ") == (keep is not None)
    assert keep is None or f'keep = ["{SITE}/maths/{keep}"]' in told
    with tarfile.open(PACK) as tar:
        tar.extractall(site.parents[len(Path(SITE).parts)])
    assert "slim removed " not in python(code)
    assert python("import maths.hollow.one; print(maths.hollow.name)") == "1\n"


def test_the_hook_of_errors_that_a_program_has_is_called_as_ever() -> None:
    run("--guard", "on")
    deploy()
    hook = "import sys\nsys.excepthook = lambda *a: print('mine', a[0].__name__)\n"
    told = python(
        hook + SWALLOWED + "import io\nsys.stderr = io.StringIO()\n"
        "try:\n    {}['one']\nexcept KeyError as e:\n    sys.excepthook(KeyError, e, None)\n"
        "print(sys.stderr.getvalue()[:28])\n"
    )
    assert told.splitlines() == ["mine KeyError", "slim removed maths.lazy.one,"]


def test_lazy_loaders_and_threads_end() -> None:
    """The lazy package asks itself again for what it doesn't find, without end."""
    run("--guard", "on")
    deploy()
    told = python(
        "import threading\n"
        "def work(found):\n"
        "    try:\n"
        "        from maths.lazy import one\n"
        "    except (ImportError, RecursionError) as error:\n"
        "        found.append(error)\n"
        "found = []\n"
        "threads = [threading.Thread(target=work, args=(found,)) for _ in range(8)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
        "print(len(found))\n"
    )
    assert told == "8\n"


def test_finders_behind_the_guard_are_asked() -> None:
    run("--guard", "on")
    deploy()
    told = python(
        "import sys, importlib.util\n"
        "class Late:\n"
        "    @staticmethod\n"
        "    def find_spec(name, path=None, target=None):\n"
        "        if name == 'maths.lazy.one':\n"
        "            return importlib.util.spec_from_loader(name, Late)\n"
        "    create_module = staticmethod(lambda spec: None)\n"
        "    exec_module = staticmethod(lambda module: None)\n"
        "sys.meta_path.append(Late)\n"
        "import maths.lazy.one\n"
        "print(maths.lazy.one.__name__)\n"
    )
    assert told == "maths.lazy.one\n"


def test_without_the_settings_a_run_writes_the_same_bytes() -> None:
    run(output="plain")
    run("--guard", "off", "--rest-pack", "none", output="off")
    for file in Path("plain").rglob("*"):
        if file.is_file():
            assert file.read_bytes() == Path("off", *file.parts[1:]).read_bytes()
    assert not any("slim_guard" in name for name in entries(Path(f"plain/{FRAMEWORK}.tar.xz")))
    assert not Path("plain/rest").exists()


def test_bytes_reconcile_and_only_layers_that_lost_modules_have_a_guard() -> None:
    result = run("--guard", "on")
    assert layer_of(result)["guarded_modules"] == 2
    assert "guarded_modules" not in layer_of(result, "app-main")
    sizes = result["totals"]["unpacked"]
    for rows in result["accounts"].values():
        if rows and "before" in rows[0] and isinstance(rows[0]["before"], int):
            assert sum(row["before"] for row in rows) == sizes["before"]
            assert sum(row["after"] for row in rows) == sizes["after"]
    files = {
        name: sha256
        for name, (*_, sha256) in entries(Path(f"out/{FRAMEWORK}.tar.xz")).items()
        if sha256
    }
    assert len(files) == layer_of(result)["sizes"]["files"]["after"] - 1  # one is a link


def test_verify_counts_the_guard() -> None:
    first = run("--guard", "on")
    Path("slim.toml").write_text(
        'schema = 1\n[verify]\nwithout = ["maths.folder", "maths.lazy.one"]\n'
    )
    assert main(["verify", "stack", "out", "-q", "--report", "json=report.json"]) == 0
    result = json.loads(Path("report.json").read_text())["runs"][0]
    assert result["totals"]["unpacked"] == first["totals"]["unpacked"]


def test_a_table_follows_what_verification_took_back() -> None:
    running_stack(
        Path("needing"),
        maths=MATHS,
        application="import maths\n",
    )
    Path("slim.toml").write_text('schema = 1\n[verify]\nwithout = ["maths.folder"]\n')
    result = run("--guard", "on", "--verify", source="needing")
    repairs = result["verification"]["repairs"]
    assert [file["path"] for repair in repairs for file in repair["files"]] == [
        f"{SITE}/maths/lazy/one.py"
    ]
    rows = (deploy() / "slim_guard/removed-1.txt").read_text().partition("\n\n")[2]
    assert rows == "maths.folder\t0\t0/\n"


def test_a_second_run_changes_nothing_or_adds_a_table() -> None:
    run("--guard", "on", "--rest-pack", "all")
    run("--guard", "on", "--rest-pack", "all", source="out", output="again")
    for file in Path("out").rglob("*"):
        if file.is_file():
            assert file.read_bytes() == Path("again", *file.parts[1:]).read_bytes()
    fault(Path("fault.toml"), "$site/maths/bold.py", name="second")
    result = run("--guard", "on", "--rest-pack", "all", source="out", output="third")
    names = [pack["archive"] for pack in layer_of(result)["rest_packs"]]
    assert names == [f"rest/{FRAMEWORK}.rest2.tar.xz", f"rest/{FRAMEWORK}.rest.tar.xz"]
    assert all(Path("third", name).is_file() for name in names)
    deploy("third")
    told = python(caught("import maths.bold") + caught("import maths.lazy.one"))
    assert "(rule second)" in told.splitlines()[0]
    assert "(rule fault)" in told.splitlines()[1]


def test_restoring_brings_back_the_very_layer_and_a_part_of_it_keeps_the_guard() -> None:
    run("--guard", "on", "--keep-removed", "kept.tar.zst")
    assert main(["restore", "kept.tar.zst", "out", "-o", "back", "-q"]) == 0
    before = entries(Path(f"stack/{FRAMEWORK}.tar.xz"))
    assert entries(Path(f"back/{FRAMEWORK}.tar.xz")) == before
    glob = "**/folder/**"
    assert main(["restore", "kept.tar.zst", "out", "-o", "part", "-q", glob]) == 0
    names = entries(Path(f"part/{FRAMEWORK}.tar.xz"))
    assert f"{FRAMEWORK}/{SITE}/maths/folder/inner.py" in names
    assert f"{FRAMEWORK}/{SITE}/slim_guard/removed-1.txt" in names
    deploy("part")
    assert python("import maths.folder.inner; print(maths.folder.inner.z)") == "3\n"


def test_a_patch_leads_to_a_guarded_set() -> None:
    run("--guard", "on", "--rest-pack", "all")
    run(output="plain")
    assert main(["delta", "plain", "out", "-o", "patches", "-q"]) == 0
    assert main(["delta", "apply", "plain", "patches", "-o", "new", "-q"]) == 0
    archive = f"{FRAMEWORK}.tar.xz"
    assert Path("new", archive).read_bytes() == Path("out", archive).read_bytes()


# -- rest packs ------------------------------------------------------------------------------------


def test_a_rest_pack_unpacked_over_its_layer_is_the_original_and_the_guard(tmp_path: Path) -> None:
    result = run("--guard", "on", "--rest-pack", "all")
    (pack,) = layer_of(result)["rest_packs"]
    data = Path("out", pack["archive"]).read_bytes()
    assert (pack["size"], pack["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    (noted,) = entry(Path("out"), FRAMEWORK)["slim"]["rest_packs"]
    assert noted == {**{k: v for k, v in pack.items() if k != "unpacked"}} | {
        "unpacked_size": pack["unpacked"]
    }
    deploy()
    with tarfile.open(Path("out", pack["archive"])) as tar:
        tar.extractall("deployed")
    layer = Path("deployed", FRAMEWORK)
    assert tree_sha256(layer, tmp_path) == pack["tree_sha256"]
    shutil.rmtree(layer / SITE / "slim_guard")
    (layer / SITE / "_slim_guard.pth").unlink()
    with tarfile.open(f"stack/{FRAMEWORK}.tar.xz") as tar:
        tar.extractall("original")
    assert tree_sha256(layer, tmp_path) == tree_sha256(Path("original", FRAMEWORK), tmp_path)


def test_what_goes_beyond_standard_is_what_inferred_holds(tmp_path: Path) -> None:
    text = fault(Path("bold.toml"), "$site/maths/bold.py", name="bold").read_text()
    Path("bold.toml").write_text(text.replace('"standard"', '"aggressive"'))
    run(output="plain")
    result = run(
        "--pack", "bold.toml", "--enable", "bold", "--unverified", "--rest-pack", "inferred"
    )
    (pack,) = layer_of(result)["rest_packs"]
    assert pack["files"] == 2
    deploy()
    with tarfile.open(Path("out", pack["archive"])) as tar:
        tar.extractall("deployed")
    once = tree_sha256(Path("deployed", FRAMEWORK), tmp_path)
    deploy("plain")
    assert once == pack["tree_sha256"] == tree_sha256(Path("deployed", FRAMEWORK), tmp_path)


def test_a_dry_run_tells_the_same_packs() -> None:
    dry = run("--dry-run", "--guard", "on", "--rest-pack", "all")
    real = run("--guard", "on", "--rest-pack", "all")
    assert layer_of(dry)["rest_packs"] == layer_of(real)["rest_packs"]
    assert layer_of(dry)["tree_sha256"] == layer_of(real)["tree_sha256"]


def test_a_folder_has_no_manifest_to_name_packs(capsys: pytest.CaptureFixture[str]) -> None:
    Path("venv").mkdir()
    assert main(["run", "venv", "-o", "small", "--rest-pack", "all"]) == 2
    assert "rest packs are named in a manifest" in capsys.readouterr().err


def bringing(body: str, wanted: str = "import maths.lazy.one\nprint(maths.lazy.one.y)\n") -> str:
    indented = "".join(f"    {line}\n" for line in body.splitlines())
    return f"import slim_guard\ndef bring(pack):\n{indented}slim_guard.bring = bring\n{wanted}"


PACK = f"out/rest/{FRAMEWORK}.rest.tar.xz"


def test_a_product_brings_the_pack_and_the_import_goes_on(tmp_path: Path) -> None:
    run("--guard", "on", "--rest-pack", "all")
    site = deploy()
    body = (
        f"assert pack.layer == {FRAMEWORK!r} and pack.size > 0 and len(pack.sha256) == 64\n"
        "import threading\n"
        "def other():\n"
        "    import wave, maths.core\n"
        "thread = threading.Thread(target=other)\n"
        "thread.start(); thread.join(20)\n"
        "print(thread.is_alive())\n"
        f"return {PACK!r}"
    )
    assert python(bringing(body)) == "False\n2\n"
    assert python("from maths.folder import inner; print(inner.z)") == "3\n"
    assert not list(site.rglob("*.slim"))
    record = (site / "maths-1.0.dist-info/RECORD").read_text()
    assert "maths/lazy/one.py" in record


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("return 'tampered'", "was refused: its SHA-256 isn't"),
        ("return 'longer'", "was refused: its SHA-256 isn't"),
        ("return 'nowhere'", "couldn't be used: FileNotFoundError"),
        ("return None", "wasn't brought"),
        ("raise OSError('no network')", "couldn't be used: OSError: no network"),
        ("import maths.lazy.one", "couldn't be used: ModuleNotFoundError"),
    ],
)
def test_nothing_of_a_pack_that_is_not_the_one_is_used(body: str, told: str) -> None:
    run("--guard", "on", "--rest-pack", "all")
    site = deploy()
    data = bytearray(Path(PACK).read_bytes())
    Path("longer").write_bytes(bytes(data) + b"\0")
    data[len(data) // 2] ^= 1
    Path("tampered").write_bytes(bytes(data))
    before = sorted(path.relative_to(site) for path in site.rglob("*.py"))
    error = python(bringing(body, caught("import maths.lazy.one")))
    assert told in error
    assert KEEP_ONE in error
    assert sorted(path.relative_to(site) for path in site.rglob("*.py")) == before


def test_a_pack_that_is_gone_is_told_and_the_rest_goes_on() -> None:
    run("--guard", "on", "--rest-pack", "all")
    shutil.rmtree("out/rest")
    result = run("--guard", "on", source="out", output="again")
    assert any("isn't beside the stack" in warning for warning in result["warnings"])
    assert not Path("again/rest").exists()
