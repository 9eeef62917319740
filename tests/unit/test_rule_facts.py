"""Rules that ask facts about the stack, and units that stand or fall together."""

from __future__ import annotations

from pathlib import Path

import pytest

from slim.config.load import load_config
from slim.config.settings import Config
from slim.model.plan import Plan, SkipReason
from slim.model.progress import Silent
from slim.model.rule import RulePack
from slim.passes import SCHEMAS
from slim.plan.draft import withdraw
from slim.plan.planner import Planner
from slim.rules.loader import parse_pack
from tests.support.virtual_stacks import SITE, Contents, VirtualStack, make_stack

PACK = """
schema = 1
description = "of a test"

[[fact]]
fact = "compiles-at-run-time"
packages = ["jitter >=2"]
reason = "compiles kernels"

[[fact]]
fact = "compiles-at-run-time"
packages = ["glue"]
together_with = ["setuptools", "distutils"]
reason = "compiles with setuptools"

[[fact]]
fact = "compiles-at-run-time"
reason = "offers headers only"
ignore = ["$site/backend/**"]

[[rule]]
id = "headers"
pass = "leftovers"
safety = "standard"
reason = "Headers"
unless = ["compiles-at-run-time"]
remove = ["include/**"]

[[rule]]
id = "typed"
pass = "leftovers"
safety = "standard"
reason = "Stubs"
unless = ["type-checks"]
remove = ["$site/**/*.pyi"]

[[rule]]
id = "whole"
pass = "runtime"
safety = "standard"
reason = "A tool with its data"
unit = true
remove = ["$stdlib/tool/**"]

[[rule]]
id = "suite"
pass = "tests"
safety = "standard"
reason = "Tests"
remove = ["$site/**/tests/**"]

[[rule]]
id = "own-tests"
pass = "runtime"
safety = "standard"
reason = "Tests that one function of the library imports for them"
remove = ["$stdlib/selftest/**"]
despite = ["$stdlib/library/util.py"]

[[rule]]
id = "embedders"
pass = "dylibs"
safety = "standard"
reason = "A library for embedders"
unless = ["embedded"]
remove = ["lib/libpython*"]
options = { evidence = "curated" }
"""
RUNTIME: dict[str, Contents] = {
    "include/python3.13/Python.h": "int x;",
    "$stdlib/os.py": "",
    "$stdlib/tool/__init__.py": "",
    "$stdlib/tool/data.bin": "data",
    "lib/libpython3.13.so.1.0": b"\x7fELF" + bytes(60),
}


def pack(text: str = PACK) -> RulePack:
    found, problems = parse_pack(text, "test.toml", SCHEMAS)
    assert found is not None
    assert problems == []
    return found


def stack_with(
    app: dict[str, Contents], runtime: dict[str, Contents] | None = None
) -> VirtualStack:
    return make_stack({"cpython3.13": RUNTIME | (runtime or {}), "app-main": app})


def plan(made: VirtualStack, **settings: object) -> Plan:
    config = Config(packs=(pack(),), **settings)  # type: ignore[arg-type]
    return Planner(made.facts, config, Silent()).plan()


def removed(found: Plan) -> set[str]:
    return {action.record.path for action in found.actions.values()}


def refused(found: Plan) -> dict[str, tuple[SkipReason, str]]:
    return {
        skipped.record.path: (skipped.reason, "; ".join(map(str, skipped.evidence)))
        for skipped in found.skipped
    }


HEADER = "include/python3.13/Python.h"


def test_headers_go_where_nothing_compiles() -> None:
    found = plan(stack_with({"$site/app.py": "import os\n"}))
    assert HEADER in removed(found)


@pytest.mark.parametrize(
    "code",
    [
        "import sysconfig\nx = sysconfig.get_path('include')\n",
        "import sysconfig\nx = sysconfig.get_path(name='include', scheme=x)\n",
        "import sysconfig\nx = sysconfig.get_paths()['platinclude']\n",
        "from sysconfig import get_config_var\nx = get_config_var('INCLUDEPY')\n",
        "import sysconfig as s\nx = s.get_config_vars('CC', 'LIBPL')\n",
        "NAMES = ['INCLUDEPY']\n",
        "import numpy as np\ndef f():\n    return np.get_include()\n",
        "from distutils.ccompiler import new_compiler\nnew_compiler()\n",
        "import subprocess\nsubprocess.run(['gcc', '-I' + x, 'a.c'])\n",
        "import subprocess\nsubprocess.run(['nvcc', f'-I{x}', 'a.cu'])\n",
        "import pyximport\n",
        "from torch.utils.cpp_extension import load\n",
        "def broken(:\n    get_include()\n",
        "import sysconfig\nx = sysconfig.get_paths()\ny = x.get('include')\n",
        "import sysconfig\nk = 'include'\nx = sysconfig.get_path(k)\n",
        "import sysconfig as s\nx = {n: s.get_path(n) for n in s.get_path_names()}\n",
        "import sysconfig\nx = sysconfig.get_config_h_filename()\n",
        "import sysconfig\nx = open(sysconfig.get_makefile_filename())\n",
        "from distutils.sysconfig import get_python_inc as inc\n",
        "import subprocess\nsubprocess.run(['python3-config', '--includes'])\n",
        "import subprocess\nsubprocess.check_output(['pkg-config', '--cflags', 'python3'])\n",
        "import os\nos.system('pkg-config --cflags python-3.13-embed')\n",
        "import numpy.f2py as f\nf.compile(source)\n",
        "from numpy import f2py\n",
        "from numpy.f2py import compile\n",
        "import cppimport\n",
        "import os, sys\nx = os.path.join(sys.base_prefix, 'include')\n",
        "import sys\nx = f'{sys.prefix}/include/python3.13'\n",
        "from pathlib import Path\nimport sys\nx = Path(sys.exec_prefix) / 'Include'\n",
        "import subprocess\nsubprocess.run(['zig', 'cc', '-isystem', x])\n",
        "import os\nos.system('gcc -shared -fPIC a.c -o a.so')\n",
        "import os\nos.system(f'clang-18 -O2 -I{x} a.c')\n",
        "CMD = '/usr/bin/x86_64-linux-gnu-gcc -I%s %s'\n",
        "import os\nrun([os.environ['CC'], f'-I{x}', 'a.c'])\n",
        "import subprocess\nsubprocess.check_call(['cmake', '--build', x])\n",
        "import os\nos.system('make -C ' + x)\n",
    ],
)
def test_code_that_asks_for_headers_keeps_them_and_is_named(code: str) -> None:
    found = plan(stack_with({"$site/app.py": code}))
    reason, evidence = refused(found)[HEADER]
    assert reason is SkipReason.CONDITION
    assert "app-main/lib/python3.13/site-packages/app.py:" in evidence
    assert HEADER not in removed(found)


@pytest.mark.parametrize(
    "code",
    [
        '"""Call numpy.get_include() for the headers."""\n',
        "# sysconfig.get_path('include')\n",
        "def get_include():\n    return 1\n",
        "import sysconfig\nx = sysconfig.get_path('purelib')\ninclude = 1\n",
        "import sysconfig\nx = sysconfig.get_config_var('EXT_SUFFIX')\n",
        "import subprocess, sys\nsubprocess.run([sys.executable, '-I', 'x.py'])\n",
        "KNOWN = {'gcc': 1, 'clang': 2}\n",
        "import subprocess\nsubprocess.check_output(['ninja', '--version'])\n",
        "NAMES = ['make', 'meson']\n",
        "print('gcc is a compiler; see -Wall')\n",
        "import subprocess\nsubprocess.run(['pkg-config', '--libs', 'gtk4'])\n",
        "import f2py_reader\nfrom numpy import f2pyx\n",
        "make('cmake')\n",
        "from app.core import get_include\n",
        "import sysconfig\nx = sysconfig.get_path(kind)\n",
        "import sys\nx = sys.prefix + '/share'\ny = 'includes'\n",
    ],
)
def test_code_that_only_mentions_headers_keeps_nothing(code: str) -> None:
    made = stack_with({"$site/app.py": code})
    assert dict(made.facts.compiling_code) == {}


@pytest.mark.parametrize("path", ["$site/app.pyc", "$site/app.cpython-313-x86_64-linux-gnu.so"])
def test_compiled_code_that_asks_for_headers_keeps_them(path: str) -> None:
    content = b"\x7fELF" + bytes(60) + b"\x00get_config_var\x00INCLUDEPY\x00"
    assert HEADER not in removed(plan(stack_with({path: content})))
    assert HEADER in removed(plan(stack_with({path: content.replace(b"INCLUDEPY", b"SOABI")})))


STUB = "lib/python3.13/site-packages/fast/core.pyi"


@pytest.mark.parametrize(
    ("code", "reads"),
    [
        ("p = Path(spec.origin.removesuffix(suffix) + '.pyi')\n", True),  # Sphinx
        ("import inspect\np = Path(inspect.getfile(m)).with_suffix('.pyi')\n", True),
        ("s = importlib.util.find_spec(n)\np = f'{place_of(s)}.pyi'\n", True),
        ("import inspect\np = open(inspect.getfile(m) + 'i')\n", True),
        ("p = open(f'{find(n).origin}i')\n", True),
        ('import fast.core\np = open(fast.core.__file__ + "i")\n', True),
        ("import inspect\np = inspect.getfile(m) + 'j' + 'i'\n", False),
        ("p = Path(path).with_suffix('.pyi')\n", False),  # of a file that somebody names
        ("KINDS = ('*.py', '*.pyi')\ns = importlib.util.find_spec(n)\n", False),  # a highlighter
        ("# what lies beside spec.origin as .pyi\n", False),
    ],
)
def test_code_that_looks_for_stubs_beside_modules_keeps_them(code: str, reads: bool) -> None:
    app: dict[str, Contents] = {"$site/tool/find.py": code, "$site/fast/__init__.py": ""}
    found = plan(stack_with(app | {"$site/fast/core.pyi": "def f() -> int: ...\n"}))
    assert (STUB in removed(found)) is not reads
    if reads:
        reason, evidence = refused(found)[STUB]
        assert reason is SkipReason.CONDITION
        assert "site-packages/tool/find.py" in evidence


def test_a_command_of_a_build_that_starts_a_tool_has_to_be_imported() -> None:
    code = "from setuptools import Command\nimport subprocess\nsubprocess.run(['cmake', x])\n"
    assert HEADER in removed(plan(stack_with({"$site/pkg/extension.py": code})))


def test_a_script_that_asks_for_headers_keeps_them() -> None:
    script = "#!/usr/bin/env python3\nimport sysconfig\nx = sysconfig.get_path('include')\n"
    assert HEADER not in removed(plan(stack_with({"$bin/tool": script})))
    shell = "#!/bin/sh\nexec gcc $(python3-config --includes) -shared a.c\n"
    assert HEADER not in removed(plan(stack_with({"$bin/tool": shell})))


def test_code_of_a_test_suite_that_goes_or_of_a_back_end_proves_nothing() -> None:
    asks = "import sysconfig\nx = sysconfig.get_path('include')\n"
    made = stack_with({"$site/pkg/tests/test_x.py": asks, "$site/backend/core.py": asks})
    assert HEADER in removed(plan(made))


def test_a_build_script_counts_only_where_something_imports_it() -> None:
    asks = "import numpy\nx = numpy.get_include()\n"
    alone = {"$site/pkg/__init__.py": "", "$site/pkg/_build_ext.py": asks}
    assert HEADER in removed(plan(stack_with(alone)))
    used = alone | {"$site/pkg/__init__.py": "from pkg import _build_ext\n"}
    assert HEADER not in removed(plan(stack_with(used)))
    words: dict[str, Contents] = {"$site/other/_o.abi3.so": b"\x7fELF\0/rustc/\0pkg x _build_ext"}
    assert HEADER in removed(plan(stack_with(alone | words)))


def test_scripts_of_debuggers_that_nothing_starts_prove_nothing() -> None:
    starts = "import subprocess\nsubprocess.call('g++ -shared -o a.so a.c'.split())\n"
    folder = "$site/debugpy/_vendored/pydevd/pydevd_attach_to_process"
    debugger: dict[str, Contents] = {
        "$site/debugpy-1.8.22.dist-info/METADATA": "Name: debugpy\nVersion: 1.8.22\n",
        "$site/debugpy/__init__.py": "",
        f"{folder}/linux_and_mac/attach.cpp": "int a;",
        f"{folder}/_test_attach_to_process_linux.py": starts,
    }
    source = f"{SITE}/{folder.removeprefix('$site/')}/linux_and_mac/attach.cpp"
    own = load_config(SCHEMAS)
    assert source in removed(Planner(stack_with(debugger).facts, own, Silent()).plan())
    compiles = debugger | {f"{folder}/attach.py": starts}
    assert source not in removed(Planner(stack_with(compiles).facts, own, Silent()).plan())


def test_a_distribution_that_compiles_keeps_headers() -> None:
    info = "$site/jitter-2.1.dist-info/METADATA"
    found = plan(stack_with({info: "Name: jitter\nVersion: 2.1\n"}))
    reason, evidence = refused(found)[HEADER]
    assert reason is SkipReason.CONDITION
    assert "jitter" in evidence
    assert "compiles kernels" in evidence
    old = info.replace("2.1", "1.0")
    assert HEADER in removed(plan(stack_with({old: "Name: jitter\nVersion: 1.0\n"})))


def test_a_distribution_that_needs_another_to_compile() -> None:
    glue: dict[str, Contents] = {"$site/glue-1.0.dist-info/METADATA": "Name: glue\nVersion: 1.0\n"}
    assert HEADER in removed(plan(stack_with(glue)))
    other: dict[str, Contents] = {
        "$site/setuptools-80.dist-info/METADATA": "Name: setuptools\nVersion: 80\n"
    }
    assert HEADER not in removed(plan(stack_with(glue | other)))
    assert HEADER not in removed(plan(stack_with(glue, {"$stdlib/distutils/__init__.py": ""})))


def test_imports_that_a_rule_knows_hold_nothing_and_are_told() -> None:
    runtime: dict[str, Contents] = {
        "$stdlib/selftest/__init__.py": "",
        "$stdlib/library/__init__.py": "",
        "$stdlib/library/util.py": "def _cleanup():\n    from selftest import support\n",
    }
    path = "lib/python3.13/selftest/__init__.py"
    found = plan(stack_with({}, runtime))
    assert path in removed(found)
    (action,) = [one for one in found.actions.values() if one.record.path == path]
    assert "lib/python3.13/library/util.py" in "; ".join(map(str, action.evidence))
    others: dict[str, Contents] = {"$stdlib/library/other.py": "import selftest\n"}
    assert path not in removed(plan(stack_with({}, runtime | others)))
    assert path not in removed(plan(stack_with({"$site/app.py": "import selftest\n"}, runtime)))
    elsewhere: dict[str, Contents] = {"$site/library/util.py": "import selftest\n"}
    assert path not in removed(plan(stack_with(elsewhere, runtime)))


def test_a_unit_stays_whole_where_one_of_its_files_is_imported_or_kept() -> None:
    whole = {"lib/python3.13/tool/__init__.py", "lib/python3.13/tool/data.bin"}
    assert whole <= removed(plan(stack_with({})))
    found = plan(stack_with({"$site/app.py": "import tool\n"}))
    assert not whole & removed(found)
    reason, evidence = refused(found)["lib/python3.13/tool/data.bin"]
    assert reason is SkipReason.UNIT
    assert "tool/__init__.py" in evidence
    kept = plan(stack_with({}), keep=("**/tool/data.bin",))
    assert not whole & removed(kept)
    assert refused(kept)["lib/python3.13/tool/__init__.py"][0] is SkipReason.UNIT


def test_what_a_unit_imports_stays_with_it() -> None:
    runtime: dict[str, Contents] = {"$stdlib/tool/__init__.py": "import pkg.tests.helper\n"}
    app: dict[str, Contents] = {
        "$site/pkg/__init__.py": "",
        "$site/pkg/tests/__init__.py": "",
        "$site/pkg/tests/helper.py": "",
    }
    helper = "lib/python3.13/site-packages/pkg/tests/helper.py"
    assert helper in removed(plan(stack_with(app, runtime)))
    kept = plan(stack_with(app, runtime), keep=("**/tool/data.bin",))
    assert helper not in removed(kept)


def test_a_unit_of_which_verification_takes_a_file_back_stays_whole() -> None:
    made = stack_with({})
    found = plan(made)
    key = made.key("cpython3.13/$stdlib/tool/data.bin")
    left = withdraw(found, {key: (SkipReason.NEEDED, ())})
    assert not {path for path in removed(left) if "/tool/" in path}


def test_an_embedders_library_stays_with_the_reason() -> None:
    found = plan(stack_with({}))
    path = "lib/libpython3.13.so.1.0"
    assert path not in removed(found)
    reason, evidence = refused(found)[path]
    assert reason is SkipReason.CONDITION
    assert "outside of the stack" in evidence


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('unless = ["embedded"]', 'unless = ["moonlight"]', "is none of"),
        ("unit = true", "unit = 1", "expected"),
        ('fact = "compiles-at-run-time"', 'fact = "compiles"', "compiles"),
        ('packages = ["jitter >=2"]', "", "is missing"),
        ('packages = ["jitter >=2"]', 'packages = ["jitter >>2"]', "isn't"),
    ],
)
def test_mistakes_are_named(old: str, new: str, complaint: str, tmp_path: Path) -> None:
    _, problems = parse_pack(PACK.replace(old, new, 1), str(tmp_path / "x.toml"), SCHEMAS)
    assert any(complaint in str(problem) for problem in problems), problems
