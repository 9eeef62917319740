"""Modules that can't be imported: which fail, which are held, and what is left of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from slim.analysis.unimportable.names import called_with
from slim.config.settings import LayerSettings
from slim.model.finding import Finding
from slim.model.plan import SkipReason
from slim.model.stack import StackKind
from slim.passes.cut_module import cut
from slim.passes.unimportable import Unimportable
from slim.verification.cut_modules import check
from tests.support.pass_runs import findings, propose, refusals, rule
from tests.support.virtual_stacks import Contents, HardLink, Link, VirtualStack, make_stack

RULE = rule("unimportable", options={"decorators": ("requires",), "elsewhere": ("gdb",)})
TAIL = "\n" + "".join(f"def function_{number}():\n    return {number}\n" for number in range(60))
"""Code that is long enough to be worth a cut."""
SITE = "lib/python3.13/site-packages"


def stack(
    app: Mapping[str, Contents],
    framework: Mapping[str, Contents] | None = None,
    **more: Mapping[str, Contents],
) -> VirtualStack:
    """A runtime, a framework and an application, whose package ``p`` has an empty ``__init__``."""
    layers: dict[str, Mapping[str, Contents]] = {
        "cpython3.13": {"$stdlib/os.py": "", "$site/below.py": ""},
        "framework-x": framework or {"$site/beside.py": ""},
        "app-a": {"$site/p/__init__.py": "", **app},
        **{f"app-{name}": files for name, files in more.items()},
    }
    made = make_stack(layers)
    return replace(made, stack=replace(made.stack, kind=StackKind.PUBLISHED))


def cut_in(made: VirtualStack) -> set[str]:
    """The modules that are cut, by their paths in site-packages."""
    found = findings(propose(Unimportable(), made, RULE))
    return {path.partition("site-packages/")[2] for path in found}


def fails(head: str, **files: Contents) -> bool:
    """Whether a module ``p.m`` is cut that begins like that."""
    made = stack({"$site/p/m.py": head + TAIL, **files})
    return "p/m.py" in cut_in(made)


@pytest.mark.parametrize(
    "head",
    [
        "import torch",
        "import os, torch",
        "import torch.nn as nn",
        "from torch import nn",
        "from torch.nn import functional as F",
        "from torch import (  # (comment)\n    nn,\n    jit,\n)",
        "from torch import nn, \\\n    jit",
        "from torch import *",
        "import os; import torch; x = 1",
        '"""Text.\n\nimport nothing\n"""\nimport torch',
        "# comment\n\nfrom __future__ import annotations\nimport os\nimport torch",
        "try:\n    import os\nexcept ImportError:\n    pass\nimport torch",
        "if True:\n    x = 1\nimport torch",
        "VERSION = (1, 2)\nassert VERSION\nimport torch",
        "\ufeffimport torch",
        "import below, beside\nimport torch",
    ],
)
def test_a_name_that_no_layer_has_makes_a_module_fail(head: str) -> None:
    assert fails(head)


@pytest.mark.parametrize(
    "head",
    [
        "import os",
        "import below",
        "import beside",
        "import winreg",
        "import distutils",
        "import _torch",
        "import gdb",
        "import p",
        "from . import x",
        "from .torch import x",
        "try:\n    import torch\nexcept ImportError:\n    torch = None",
        "try:\n    import torch\nexcept Exception as error:\n    raise",
        "try:\n    import torch\nfinally:\n    x = 1",
        "try:\n    import os\nexcept ImportError:\n    import torch",
        "try:\n    import os\nexcept ImportError:\n    pass\nelse:\n    import torch",
        "if TYPE_CHECKING:\n    import torch",
        "if True:\n    import torch",
        "with contextlib.suppress(ImportError):\n    import torch",
        "with anything():\n    import torch",
        "for x in ():\n    import torch",
        "while False:\n    import torch",
        "def f():\n    import torch",
        "class C:\n    import torch",
        "async def f():\n    import torch",
        "match 1:\n    case 1:\n        import torch",
        '"""Text.\n\nimport torch\n"""',
        "x = '''\nimport torch\n'''",
        "raise RuntimeError\nimport torch",
        "import sys\nsys.exit()\nimport torch",
        "exit()\nimport torch",
        "import sys\nsys.path.insert(0, folder())\nimport torch",
        "import sys\nsys.modules['torch'] = sys\nimport torch",
        "import site\nsite.addsitedir(folder())\nimport torch",
        "import sys\nsys.meta_path.append(finder)\nimport torch",
        "run([python, '-m', 'pip', 'install', 'torch'])\nimport torch",
        "x = = 1\nimport torch",
    ],
)
def test_whatever_may_work_is_left_alone(head: str) -> None:
    assert not fails(head)


@pytest.mark.parametrize(
    "files",
    [
        {"$site/torch.py": ""},
        {"$site/torch/data.txt": ""},
        {"$site/torch.cpython-313-x86_64-linux-gnu.so": b"\x7fELF"},
        {"$site/torch.hy": ""},
        {"$site/torch": Link("../elsewhere")},
        {"$site/x.pth": "vendored\n", "$site/vendored/torch.py": ""},
        {"$site/x-nspkg.pth": "import sys, types; sys.modules['torch'] = types\n"},
        {"$site/q.py": "import sys\nsys.modules['torch'] = sys\n"},
        {"$site/q.py": "import sys\nsys.modules['torch.nn'] = sys\n"},
        {"$site/q.py": "import sys as s\ns.modules['torch'] = 1\n"},
        {"$site/q.py": "from sys import modules\nmodules['torch'] = 1\n"},
        {"$site/q.py": "import sys\nsys.modules.setdefault('torch', sys)\n"},
        {"$site/q.py": "import sys\nsys.modules |= {'torch': sys}\n"},
        {"$site/q.py": "import sys\nwith mock.patch.dict(sys.modules, {'torch': x}): import p.m\n"},
        {"$site/q.py": "@patch.dict('sys.modules', {'torch': x})\ndef f(): import p.m\n"},
        {"$site/q.py": "import sys\nmonkeypatch.setitem(sys.modules, 'torch', x)\n"},
        {"$site/q.py": "import sys\nfor name in ('torch',):\n    sys.modules[name] = sys\n"},
        {"$site/q.py": "import types\ntypes.ModuleType('torch')\n"},
        {"$site/q.py": "import sys\nknown = sys.modules\nknown['torch'] = sys\n"},
        {"$site/q.py": "from sys import modules as known\nknown['torch'] = 1\n"},
        {"$site/q.py": "import sys\nvars(sys)['modules']['torch'] = sys\n"},
        {"$site/q.py": "import sys\ngetattr(sys, 'modules')['torch'] = sys\n"},
        {"$site/q.py": "import sys\nsys.__dict__['modules']['torch'] = sys\n"},
        {"$site/q.py": "import sys\nsys.modules.__setitem__('torch', sys)\n"},
        {"$site/q.py": "import sys\nsys.modules.update(torch=sys)\n"},
        {"$site/q.py": "import sys\ndef put(t):\n    t['torch'] = 1\nput(sys.modules)\n"},
        {"$site/q.py": "import sys\nput(sys.modules, 'torch', 1)\n"},
        {
            "$site/q.py": "import sys\nclass A:\n    def __init__(self): self.t = sys.modules\n"
            "    def put(self): self.t['torch'] = 1\n"
        },
        {"$site/q.py": "SourceFileLoader('torch', PATH).load_module()\n"},
        {"$site/q.py": "import imp\nimp.load_source('torch', PATH)\n"},
        {"$site/q.py": "_bootstrap._load(spec_from_file_location('torch', PATH))\n"},
        {"$site/q.py": "exec(\"import sys; sys.modules['torch'] = sys\")\n"},
        {"$site/app.py": "import sys\nsys.meta_path.append(finder)\n"},
        {"$site/p/q.py": "import clr\n"},
        {"$site/p/q.py": "def f():\n    import jpype.imports\n"},
        {"$site/q.py": "import sys\nNAMES = ['torch']\nsys.meta_path.insert(0, Finder(NAMES))\n"},
        {
            "$site/q.py": "import sys\ndef fake(name):\n    sys.modules[name] = sys\n",
            "$site/r.py": "from q import fake\nfake('torch')\n",
        },
        {
            "$site/q.py": "import sys\ndef fake(name): ¿\n    sys.modules[name] = sys\n",
            "$site/r.py": "from q import fake\nfake('torch')\n",
        },
        {
            "$site/q/__init__.py": "import sys\nsys.path.append(HERE)\n",
            "$site/q/_vendor/torch.py": "",
        },
        {
            "$site/q/__init__.py": "import sys\nsys.path.append(HERE)\n",
            "$site/q/lib/torch/a.py": "",
        },
        {"$site/p/inner/torch.py": ""},
        {"$site/bundle.egg": b"PK torch/__init__.py PK"},
        {"bin/bundle.zip": b"PK torch.py PK"},
    ],
)
def test_a_name_may_come_from_elsewhere(files: dict[str, Contents]) -> None:
    owned = {"$site/p-1.dist-info/METADATA": "Name: p\n"}
    assert not fails("import torch", **owned, **files)


FINDERS = {
    "in another function": "M = {'torch': 1}\ndef f():\n    sys.meta_path.append(F(M))\n",
    "put in place elsewhere": "class F:\n    N = 'torch'\n    def find_spec(self, n, p, t): ...\n",
    "of a base class": "class F(MetaPathFinder):\n    START = 'torch.'\n",
    "a hook": "sys.path_hooks.insert(0, hook)\nNAMES = ['torch']\n",
    "a slice": "NAMES = ['torch']\nsys.meta_path[:0] = [F()]\n",
}


@pytest.mark.parametrize("case", FINDERS)
def test_a_finder_may_bring_what_its_file_names(case: str) -> None:
    files: dict[str, Contents] = {
        "$site/q-1.dist-info/METADATA": "Name: q\n",
        "$site/q/__init__.py": f"import sys\n{FINDERS[case]}",
    }
    assert not fails("import torch", **files)
    assert fails("import jax", **files)


@pytest.mark.parametrize(
    ("file", "module"),
    [
        ("address-book.capnp", "address_book_capnp"),
        ("a.thrift", "a_thrift"),
        ("a.proto", "a_pb2"),
        ("a.proto", "a_pb2_grpc"),
    ],
)
def test_importers_make_modules_of_schemas(file: str, module: str) -> None:
    assert fails(f"import {module}")
    assert not fails(f"import {module}", **{f"$site/other/{file}": ""})


def test_a_neighbour_of_another_distribution_is_no_top_level_name() -> None:
    files: dict[str, Contents] = {
        "$site/p-1.dist-info/METADATA": "Name: p\n",
        "$site/q-1.dist-info/METADATA": "Name: q\n",
        "$site/q/__init__.py": "",
        "$site/q/torch.py": "",
    }
    assert fails("import torch", **files)


def test_layers_are_seen_with_all_that_load_them() -> None:
    needy = {"$site/f/__init__.py": "", "$site/f/m.py": "import torch" + TAIL}
    has: Mapping[str, Contents] = {"$site/torch.py": ""}
    lacks: Mapping[str, Contents] = {"$site/p/m.py": "import torch" + TAIL}
    assert cut_in(stack(lacks, needy)) == {"f/m.py", "p/m.py"}
    assert cut_in(stack(lacks, needy, b=has)) == {"p/m.py"}
    assert cut_in(stack({}, needy, b=lacks)) == {"f/m.py"}


def test_what_imports_a_failing_module_fails() -> None:
    files = {
        "$site/p/base.py": "import os\nimport torch" + TAIL,
        "$site/p/relative.py": "from .base import Base" + TAIL,
        "$site/p/absolute.py": "import p.base as base" + TAIL,
        "$site/p/submodule.py": "from . import base" + TAIL,
        "$site/p/further.py": "from p.relative import Base" + TAIL,
        "$site/p/guarded.py": "try:\n    from .base import Base\nexcept ImportError: pass" + TAIL,
        "$site/p/late.py": "def f():\n    from .base import Base" + TAIL,
        "$site/p/works.py": "import os" + TAIL,
        "$site/dead/__init__.py": "import torch" + TAIL,
        "$site/dead/inner.py": "import os" + TAIL,
        "$site/p/parent.py": "import dead.inner" + TAIL,
    }
    names = {"base", "relative", "absolute", "submodule", "further", "parent"}
    assert cut_in(stack(files)) == {f"p/{name}.py" for name in names} | {"dead/__init__.py"}


@pytest.mark.parametrize(
    "package",
    ["base = 1", "from .other import *", "def __getattr__(name): ...", "x = sys.modules"],
)
def test_a_package_may_give_a_name_of_its_own(package: str) -> None:
    files = {
        "$site/p/__init__.py": package,
        "$site/p/base.py": "import torch" + TAIL,
        "$site/p/m.py": "from . import base" + TAIL,
    }
    assert cut_in(stack(files)) == {"p/base.py"}


def test_a_cycle_may_let_a_module_in_half_imported() -> None:
    # p.a starts, imports p.b, which finds p.a half imported and works; only then p.a fails
    files = {
        "$site/p/a.py": "import p.b\nimport torch" + TAIL,
        "$site/p/b.py": "import p.a" + TAIL,
        "$site/p/c.py": "from . import d\nimport torch" + TAIL,
        "$site/p/d.py": "import p.e" + TAIL,
        "$site/p/e.py": "import p.c" + TAIL,
    }
    assert cut_in(stack(files)) == {"p/a.py", "p/c.py"}


def test_a_distribution_that_imports_back_counts_as_a_cycle() -> None:
    files = {
        "$site/far/__init__.py": "def f():\n    import p.b",
        "$site/p/a.py": "import far\nimport torch" + TAIL,
        "$site/p/b.py": "import p.a" + TAIL,
        "$site/q/__init__.py": "",
        "$site/q/a.py": "import below\nimport torch" + TAIL,
        "$site/q/b.py": "import q.a" + TAIL,
    }
    assert cut_in(stack(files)) == {"p/a.py", "q/a.py", "q/b.py"}


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"$site/q.py": "open('p/m.py')"}, '"m.py" in a string'),
        ({"$site/q.json": '{"script": "m.py"}'}, '"m.py" in a string'),
        ({"$site/p/q.py": "glob('*.py')"}, '"*.py" in a string'),
        ({"$site/alias.py": HardLink(f"{SITE}/p/m.py")}, "has the same bytes"),
    ],
)
def test_what_may_be_read_as_a_file_is_held(files: dict[str, Contents], why: str) -> None:
    made = stack({"$site/p/m.py": "import torch" + TAIL, **files})
    proposals = propose(Unimportable(), made, RULE)
    assert not findings(proposals)
    refusal = refusals(proposals)[f"app-a/{SITE}/p/m.py"]
    assert refusal.reason is SkipReason.REFERENCED
    assert refusal.evidence[0].text.startswith(why)
    assert refusal.evidence[1].text == "import torch, which no layer has"


@pytest.mark.parametrize(
    ("path", "head", "why"),
    [
        ("$site/loose/m.py", "import torch", "its folder is no package"),
        ("$site/p/__main__.py", "import torch", "it is run as a program"),
        ("$site/p/templates/m.py", "import torch", "templates"),
        ("$site/p/m.py", "import torch\nclass {{ name }}: pass", "isn't Python"),
        ("$site/p/m.py", "import torch\nprint 'text'", "isn't Python"),
        ("$site/p/tool.py", "import torch", "console_scripts tool = p.tool:main"),
    ],
)
def test_what_may_be_data_or_is_started_is_held(path: str, head: str, why: str) -> None:
    made = stack(
        {
            path: head + TAIL,
            "$site/p/templates/__init__.py": "",
            "$site/p-1.dist-info/METADATA": "Name: p\n",
            "$site/p-1.dist-info/entry_points.txt": "[console_scripts]\ntool = p.tool:main\n",
        }
    )
    proposals = propose(Unimportable(), made, RULE)
    (refusal,) = refusals(proposals).values()
    assert why in refusal.evidence[0].text
    assert not findings(proposals)


def test_an_extension_of_the_same_name_is_what_is_imported() -> None:
    twin = {"$site/p/m.cpython-313-x86_64-linux-gnu.so": b"\x7fELF"}
    assert not fails("import torch", **twin)


def test_a_twin_in_another_layer_may_work() -> None:
    files = {"$site/p/m.py": "import torch" + TAIL, "$site/user.py": "import p.m" + TAIL}
    assert cut_in(stack(files)) == {"p/m.py", "user.py"}
    assert cut_in(stack(files, {"$site/p/m.py": "x = 1"})) == {"p/m.py"}


def test_provided_names_count_as_there() -> None:
    made = stack({"$site/p/m.py": "import torch" + TAIL, "$site/p/n.py": "import jax" + TAIL})
    settings = LayerSettings(provided=("torch",))
    found = findings(propose(Unimportable(), made, RULE, settings=lambda _: settings))
    assert [path.rpartition("/")[2] for path in found] == ["n.py"]


@pytest.mark.parametrize(
    ("kind", "layers", "why"),
    [
        (StackKind.ARCHIVE, ("app-a",), "a lone archive"),
        (StackKind.FOLDER, ("venv",), "a folder of unknown origin"),
        (StackKind.PUBLISHED, ("cpython3.13", "framework-x"), "no application here loads"),
    ],
)
def test_layers_without_the_rest_of_their_stack(
    kind: StackKind, layers: tuple[str, ...], why: str
) -> None:
    files = {"$site/p/__init__.py": "", "$site/p/m.py": "import torch" + TAIL}
    made = make_stack({layer: files for layer in layers})
    made = replace(made, stack=replace(made.stack, kind=kind))
    proposals = propose(Unimportable(), made, RULE)
    assert not findings(proposals)
    for refusal in refusals(proposals).values():
        assert refusal.reason is SkipReason.CONDITION
        assert refusal.evidence[0].text.startswith(why)


@pytest.mark.parametrize(
    "files",
    [
        {"$site/x.pth": "/opt/packages\n"},
        {"$site/x.pth": "../../../../../elsewhere\n"},
        {"$site/lazy.py": "import builtins\nbuiltins.__import__ = mine\n"},
    ],
)
def test_what_cant_be_seen_refuses_all(files: dict[str, Contents]) -> None:
    made = stack({"$site/p/m.py": "import torch" + TAIL, **files})
    proposals = propose(Unimportable(), made, RULE)
    assert not findings(proposals)
    assert len(refusals(proposals)) == 1


def test_a_module_that_fails_does_nothing_to_the_import_system() -> None:
    files = {
        "$site/p/m.py": "import torch" + TAIL,
        "$site/p/test_tools.py": "import pytest\nimport sys\nsys.modules['torch'] = sys" + TAIL,
    }
    assert cut_in(stack(files)) == {"p/m.py", "p/test_tools.py"}


def test_the_first_statement_that_fails_is_told() -> None:
    made = stack(
        {"$site/p/m.py": '"""Text."""\nimport os\nfrom torch import (\n    a,\n)\n' + TAIL}
    )
    finding = findings(propose(Unimportable(), made, RULE))[f"app-a/{SITE}/p/m.py"]
    (evidence,) = finding.evidence
    assert str(evidence) == f"from torch import a, which no layer has (app-a/{SITE}/p/m.py:3)"
    assert _result(made, finding).startswith(
        '"""Text."""\nimport os\nfrom torch import (\n    a,\n)\nraise ImportError("'
    )


def _result(made: VirtualStack, finding: Finding) -> str:
    assert finding.edit is not None
    source = bytes(made.read(made.inventory.records[finding.key[0]][finding.key[1]]))
    options = finding.edit.options
    text = cut(source, options["end"], options["missing"], options["decorators"])  # type: ignore[arg-type]
    assert len(text) == finding.size_after
    return text.decode()


OUTLINED = '''\
import torch
from x import y

__all__ = [
    "A",
    "B",
]

def plain(): return 1

class A(Base, metaclass=M):  # text
    """Docstring."""
    x = 1

@requires(backends=("vision",))
# Copied from elsewhere
@other(
    1
)
class B(
    Base,  # (
): x = 1

@requires(backends=("a",))
def function(
    a, b=[1]
):
    return a
@other
class C: ...
__all__ += ["C"]
'''

OUTLINE = """\
__all__ = [
    "A",
    "B",
]
class A(Base, metaclass=M):  # text
    ...
@requires(backends=("vision",))
# Copied from elsewhere
@other(
    1
)
class B(
    Base,  # (
): x = 1
@requires(backends=("a",))
def function(
    a, b=[1]
):
    ...
class C: ...
__all__ += ["C"]
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_outline_that_registries_read_stays(newline: str) -> None:
    source = OUTLINED.replace("\n", newline).encode()
    end = len(f"import torch{newline}")
    made = cut(source, end, "torch", ("requires",)).decode()
    head, guard, rest = made.split(newline, 2)
    assert head == "import torch"
    assert guard.startswith('raise ImportError("slim took out what follows, because no layer had t')
    assert rest == OUTLINE.replace("\n", newline)
    assert check(memoryview(source + b"#" * 200), memoryview(made.encode())) == []


GUARD = 'raise ImportError("")\n'


@pytest.mark.parametrize(
    ("edited", "problem"),
    [
        ("import os\nimport torch\n" + GUARD, ""),
        ("import os\nimport torch\n" + GUARD + "class A:\n    ...\n", ""),
        ("import os\nimport torch\n" + GUARD + "class B:\n    ...\n", "lines that weren't there"),
        ("import torch\n" + GUARD, "doesn't begin as it did"),
        ("import os\nimport torch\n", "no statement keeps"),
        ("import os\nimport torch\nx = 1\n" + GUARD, "is no import"),
        ("import os\nimport torch\nraise RuntimeError('')\n", "no statement keeps"),
        ("import os\nimport torch\n" + GUARD + "import x\n", "more than an outline"),
        ("import os\nimport torch\n" + GUARD + "class A\n", "can't be parsed"),
        ("import os\nimport torch\n" + "#" * 999, "isn't smaller"),
    ],
)
def test_the_oracle_judges_cuts(edited: str, problem: str) -> None:
    original = "import os\nimport torch\nx = 1\nclass A:\n    y = 1\n" + "z = 1\n" * 99
    problems = check(memoryview(original.encode()), memoryview(edited.encode()))
    assert problem in "".join(problems)
    assert bool(problems) is bool(problem)


@pytest.mark.parametrize(
    ("code", "outside"),
    [
        ("sys.path.append(os.path.expanduser('~/.app/extras'))", True),
        ("HERE = Path.home() / '.app'\nsys.path.insert(0, str(HERE / 'extras'))", True),
        ("site.addsitedir(os.environ['APP_EXTRAS'])", True),
        ("from site import addsitedir\naddsitedir(user_data_dir('app'))", True),
        ("sys.path += [os.getenv('EXTRAS')]", True),
        ("sys.path.append(user_data_dir('app'))", True),
        ("sys.path.insert(0, json.load(open('c.json'))['path'])", True),
        ("def add(folder):\n    sys.path.append(folder)", True),
        ("for p in glob('/opt/x/*'):\n    sys.path.append(p)", True),
        ("sys.path = [p for p in found] + sys.path", True),
        ("sys.path.append('/opt/extras')", True),
        ("sys.path.insert(0, os.getcwd())", True),
        (
            "HERE = Path(__file__).parent\nsys.path.append(str(HERE / '../../../../../extras'))",
            True,
        ),
        ("os.execve(x, y, dict(os.environ, PYTHONPATH='/opt/extras'))", True),
        ("os.environ['PYTHONPATH'] = os.path.expanduser('~/extras')", True),
        ("run(x, env={**os.environ, 'PYTHONPATH': str(Path.home())})", True),
        ("run([sys.executable, '-m', 'pip', *args])\npip('install', 'torch')", True),
        ("run(['pipx', 'inject', 'app', 'torch'])", True),
        ("run(['uv', 'add', 'torch'])", True),
        ("import micropip\nawait micropip.install('torch')", True),
        ("ZipFile('torch.whl').extractall(site.getsitepackages()[0])", True),
        ("open(get_path('purelib') + '/x.pth', 'w').write(x)", True),
        ("places = sys.path\nplaces.append(os.environ['X'])", True),
        ("from sys import path as places\nplaces.insert(0, os.environ['X'])", True),
        ("getattr(sys, 'path').append(os.environ['X'])", True),
        ("sys.path.__iadd__([os.environ['X']])", True),
        ("def add(to): to.append(os.environ['X'])\nadd(sys.path)", True),
        ("extend(sys.path)", True),
        ("site.ENABLE_USER_SITE = True", True),
        ("site.addusersitepackages(set())", True),
        ("for name in json.load(f): sys.modules[name] = Stub()", True),
        ("from sys import argv\npath = []\npath.append(argv[1])", False),
        ("print(os.pathsep.join(sys.path))\nfor p in iter_modules(sys.path): print(p)", False),
        ("sys.modules[__name__ + '.part'] = part", False),
        ("raise SystemExit('pip install torch')", False),
        ("print(site.getsitepackages())", False),
        ("print(os.environ.get('PYTHONPATH'))\nsys.path.pop(0)", False),
        ("HERE = os.path.dirname(__file__)\nsys.path[:0] = [HERE, os.path.join(HERE, 'x')]", False),
        ("run(x, env={**os.environ, 'PYTHONPATH': os.path.dirname(__file__)})", False),
        ("sys.path.append(__file__ + '/../../../../../framework-x/lib')", False),
        ("addsitedir('/build/framework-x/lib/python3.13/site-packages')", False),
        ("tree.path.append(node.name)", False),
        ("sys.path.append(os.path.dirname(__file__))", False),
        ("X = os.environ['X']\nsys.path.insert(0, str(Path(__file__).parent))", False),
        ("paths.append(os.environ['X'])", False),
    ],
)
def test_an_application_that_adds_the_users_folders_may_find_more(code: str, outside: bool) -> None:
    source = f"import os, site, sys\nfrom pathlib import Path\n{code}\n"
    files: dict[str, Contents] = {"$site/p/m.py": "import torch" + TAIL, "$site/main.py": source}
    assert ("p/m.py" in cut_in(stack(files))) is not outside
    owned = {"$site/main-1.dist-info/METADATA": "Name: main\n"}
    if "install" not in code:  # a distribution's own modules are held by that
        assert "p/m.py" in cut_in(stack({**files, **owned}))  # a library offers that to anybody


@pytest.mark.parametrize("name", ["sitecustomize.py", "usercustomize.py"])
def test_what_python_runs_at_each_start_counts_for_every_application(name: str) -> None:
    owned: dict[str, Contents] = {"$site/q-1.dist-info/METADATA": "Name: q\n"}
    files: dict[str, Contents] = {"$site/p/m.py": "import torch" + TAIL, **owned}
    users = "import os, sys\nsys.path.append(os.path.expanduser('~/plug-ins'))\n"
    assert "p/m.py" in cut_in(stack({**files, f"$site/{name}": "import sys\n"}))
    assert "p/m.py" not in cut_in(stack({**files, f"$site/{name}": users}))


def test_a_distribution_that_an_application_starts_is_its_own_code() -> None:
    files: dict[str, Contents] = {
        "$site/p/m.py": "import torch" + TAIL,
        "$site/main/__init__.py": "",
        "$site/main/fetch.py": "import sys\nsys.path.append(user_data_dir('main'))\n",
        "$site/main-1.dist-info/METADATA": "Name: main\n",
    }
    made = stack(files)
    assert "p/m.py" in cut_in(made)
    layers = tuple(
        replace(layer, launch_module="main") if layer.name == "app-a" else layer
        for layer in made.stack
    )
    assert "p/m.py" not in cut_in(replace(made, stack=replace(made.stack, layers=layers)))


@pytest.mark.parametrize(
    ("script", "outside"),
    [
        ("export PYTHONPATH=$HOME/extras\nexec python -m app", True),
        ('PYTHONPATH="/opt/x:$PYTHONPATH" exec python -m app', True),
        ("python -m pip install --target x torch", True),
        ("conda activate big\nexec python -m app", True),
        ('export PYTHONPATH="$(dirname $0)/../lib:$PYTHONPATH"\nexec python -m app', False),
        (
            'here=$(cd "$(dirname "$0")" && pwd)\nlayers=$(dirname "$(dirname "$here")")\n'
            'PYTHONPATH="$layers/framework-x/lib" exec python -m app',
            False,
        ),
        ("# pip install torch\nexec python -m app", False),
    ],
)
def test_a_launcher_that_adds_the_users_folders_may_find_more(script: str, outside: bool) -> None:
    files: dict[str, Contents] = {"$site/p/m.py": "import torch" + TAIL}
    files["bin/go"] = f"#!/bin/sh\n{script}\n"
    assert ("p/m.py" in cut_in(stack(files))) is not outside


@pytest.mark.parametrize("others", [0, 200])
@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("load('a')", {"a"}),
        ("x.load ( 'a', 'b')", {"a", "b"}),
        ("load(load('a'), 'b')", {"a"}),
        ("load(x, get('b'))\nreload('c')", set()),
        ("load = 1\nloads('a')", set()),
    ],
)
def test_names_that_functions_are_called_with_are_found_among_few_functions_and_many(
    code: str, names: set[str], others: int
) -> None:
    helpers = {"load", *(f"helper_{number}" for number in range(others))}
    assert called_with(helpers, code.encode()).get("load", frozenset()) == names
