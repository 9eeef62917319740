"""More forms in which code and settings name tests: in pieces, in lists, in other languages."""

from __future__ import annotations

import ast
import base64
import bz2
import gzip
import lzma
import marshal
import pickle
import zlib

import pytest

from slim.analysis.imports.decoded import with_decoded
from slim.analysis.imports.halves import may_put_together
from tests.support.virtual_stacks import SITE, make_stack
from tests.unit.test_imports_evidence import (
    ALL,
    DATA,
    DEEP,
    INIT,
    NAMED,
    UNPARSED,
    archive,
    held,
    refused,
)

HERE = "x = Path(__file__).parent / "
PIECES: dict[str, tuple[str, set[str]]] = {
    "added": (f"{HERE}('te' + 'sts') / 'data'", {DATA}),
    "joined": (f"{HERE}''.join(['te', 'sts']) / 'data'", {DATA}),
    "in an f-string": (f"{HERE}f\"{{'te'}}{{'sts'}}/data\"", {DATA}),
    "in the source only": (f"{HERE}'te' 'sts' / 'data'", {DATA}),
    "escaped": (f"{HERE}'\\x74ests' / 'data'", {DATA}),
    "reversed": (f"{HERE}'stset'[::-1] / 'data'", {DATA}),
    "of variables": (f"A = 'te'\nB = 'sts'\n{HERE}(A + B) / 'data'", {DATA}),
    "of an attribute": (f"class C:\n  K = 'test'\n{HERE}(C.K + 's') / 'data'", {DATA}),
    "of several at once": (f"A, B = 'te', 'sts'\n{HERE}f'{{A}}{{B}}' / 'data'", {DATA}),
    "a plural": (f"K = 'test'\n{HERE}f'{{K}}s' / 'data'", {DATA}),
    "a plural by %": (f"K = 'test'\n{HERE}('%ss' % K) / 'data'", {DATA}),
    "a plural by format": (f"K = 'test'\n{HERE}'{{}}s'.format(K) / 'data'", {DATA}),
    "plurals in a loop": (f"for k in ('macro', 'test'):\n  {HERE}(k + 's') / 'data'", {DATA}),
    "a plural of something": ("class K:\n  T = 'test'\n  def f(self): return f'{self.v}s'", ALL),
    "with a separator": ("x = root + os.sep + 'te' + 'sts' + os.sep + 'data'", {DATA}),
    "a module": ("A = 'test'\nimport_module('pkg.' + A + 's.mod')", NAMED),
    "a module by join": ("import_module('.'.join(['pkg', 'te' + 'sts', 'mod']))", NAMED),
    "itself": ("a = 'te'\na = a + 'sts'\nload(a)", ALL),
    "no such word": ("x = 'te' + 'xts'; y = 'con' + 'tests'", set()),
    "seconds": ("print(f'{taken}s')", set()),
    "seconds of a test": ("K = 'test'\nprint(f'{taken:.1f}s')", set()),
}


@pytest.mark.parametrize("case", PIECES)
def test_pieces_hold_what_they_come_to(case: str) -> None:
    text, expected = PIECES[case]
    assert held({"pkg/core.py": text}) == expected


SPELLED: dict[str, tuple[str, set[str]]] = {
    "a member of an enumeration": (
        f"class K(enum.StrEnum):\n  TESTS = enum.auto()\n{HERE}K.TESTS / 'data'",
        ALL,
    ),
    "the name of a member": (
        f"class K(enum.Enum):\n    core = 1\n    tests = 2\n{HERE}K(2).name / 'data'",
        ALL,
    ),
    "a key by its argument": ("for k, v in dict(core='a', tests='data').items(): load(k, v)", ALL),
    "a neighbour's name": (
        "x = Path(__file__).with_name('core').with_name('tests') / 'data'",
        {DATA},
    ),
    "a class that is no enumeration": ("class K:\n  TESTS = 1\nprint(K.TESTS)", set()),
    "a comparison": ("class K(enum.Enum):\n  A = 1\nif K.tests == 1: pass", set()),
    "another function's argument": ("run(tests=3)", set()),
    "a member of flags": (
        f"class K(enum.IntFlag):\n  docs = 1\n  tests = 2\ndef f(k): {HERE}k.name / 'data'",
        ALL,
    ),
    "words of an enumeration": (f"K = Enum('K', 'docs tests')\n{HERE}K(2).name / 'data'", {DATA}),
    "a class": (f"class tests: pass\ndef f(k): {HERE}k.__name__ / 'data'", {DATA}),
    "a class in small letters": (
        f"class Tests(B): pass\ndef f(k): {HERE}type(k).__name__.lower() / 'data'",
        {DATA},
    ),
    "a function": (f"def tests(): pass\ndef f(k): {HERE}k.__qualname__ / 'data'", {DATA}),
    "a field": (f"class K:\n  tests: str = ''\nfor k in fields(K): {HERE}k.name / 'data'", {DATA}),
    "an attribute": (
        f"class K:\n  tests = 'data'\nfor k, v in vars(K).items(): {HERE}k / v",
        ALL,
    ),
    "a keyword": (f"K = SimpleNamespace(tests=1)\nfor k, v in vars(K).items(): {HERE}k", ALL),
    "a keyword of any name": (f"def f(**a):\n  for k, v in a.items(): {HERE}k\nf(tests=1)", ALL),
    "a keyword that a function here takes": (
        f"def f(k, tests=None):\n  for k in vars(k): {HERE}k\nf(1, tests=2)",
        set(),
    ),
    "a choice": (f"K = Literal['docs', 'tests']\n{HERE}get_args(K)[1] / 'data'", ALL),
    "a class of which nothing makes text": (f"class tests: pass\n{HERE}'data'", set()),
    "the name of a class that is logged": ("class tests: pass\nlog(tests.__name__)", set()),
}
IN_MODULES: dict[str, str] = {
    "a member": "class K(Enum):\n  tests = 1\nfor k in K: import_module(f'pkg.{k.name}.mod')",
    "a function": "def tests(): pass\nimport_module('pkg.' + tests.__qualname__ + '.mod')",
    "a keyword": "for k, v in dict(tests=1).items(): import_module('pkg.%s.mod' % k)",
    "a neighbour": (
        "import pkg.core\nimport_module(pkg.core.__name__.replace('core', 'tests') + '.mod')"
    ),
}


@pytest.mark.parametrize("case", IN_MODULES)
def test_names_of_modules_may_be_made_of_names_in_code(case: str) -> None:
    assert held({"user.py": IN_MODULES[case]}) == NAMED


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


NAME, CODE = b"pkg.tests.mod", b"import os\nfrom pkg.tests import mod\n"
PICKLE = b"cpkg.tests.mod\nmake\n."
DECODED: dict[str, str] = {
    "Base64": f"import_module(base64.b64decode('{_base64(NAME)}').decode())",
    "Base64 in a variable": f"N = '{_base64(NAME)}'\nload(base64.b64decode(N).decode())",
    "Base64 of a part": (
        f"import_module('pkg.' + base64.b64decode('{_base64(b'tests')}').decode() + '.mod')"
    ),
    "Base64 of code": f"exec(base64.b64decode('{_base64(CODE)}'))",
    "Base64 on several lines": (
        f"exec(base64.b64decode('''\n{_base64(CODE)[:20]}\n{_base64(CODE)[20:]}'''))"
    ),
    "Base64 of several": (
        f"exec(base64.b64decode('{_base64(CODE)[:20]}'\n  '{_base64(CODE)[20:]}'  # more\n))"
    ),
    "Base64 for addresses": f"load(base64.urlsafe_b64decode(b'{_base64(NAME)}').decode())",
    "Base85": f"load(base64.b85decode({base64.b85encode(NAME)!r}).decode())",
    "hexadecimal": f"load(bytes.fromhex('{NAME.hex()}').decode())",
    "hexadecimal, by binascii": f"load(binascii.unhexlify(b'{NAME.hex()}').decode())",
    "ROT13": "import_module(codecs.decode('cxt.grfgf.zbq', 'rot13'))",
    "zlib": f"load(zlib.decompress({zlib.compress(NAME)!r}).decode())",
    "gzip in Base64": (
        f"exec(gzip.decompress(base64.b64decode('{_base64(gzip.compress(CODE))}')))"
    ),
    "bzip2": f"exec(bz2.decompress({bz2.compress(CODE)!r}))",
    "xz": f"exec(lzma.decompress({lzma.compress(CODE)!r}))",
    "marshal": f"load(marshal.loads({marshal.dumps(NAME.decode())!r}))",
    "a pickle as text": f"pickle.loads({PICKLE!r})",
    "a pickle": f"pickle.loads({pickle.dumps(NAME.decode(), 4)!r})",
    "a pickle in Base64": f"pickle.loads(base64.b64decode('{_base64(PICKLE)}'))",
    "an address": "load(unquote('pkg%2Etests%2Emod'))",
    "numbers of characters": f"load(''.join(map(chr, {list(NAME)})))",
    "numbers of bytes": f"load(bytes({tuple(NAME)}).decode())",
}


@pytest.mark.parametrize("case", DECODED)
def test_literals_that_are_decoded_hold_what_they_come_to(case: str) -> None:
    assert held({"user.py": DECODED[case]}) == NAMED


def test_a_path_that_is_decoded_holds_what_it_leads_to() -> None:
    code = f"{HERE}base64.b64decode('{_base64(b'tests/data/a.csv')}').decode()"
    assert held({"pkg/core.py": code}) == {DATA}


@pytest.mark.parametrize(
    "source",
    [
        b"x = 'datatest', 'deadbeef', 'pkg/core', 'cafe' # base64.b64decode, fromhex",
        b"x = 'pkg.core', 'cxt.pber' # 'rot13'",
        b"x = '100%', '%s/tests/%d' # unquote",
        b"x = b'class\\n', 'cpkg.tests.mod' # pickle.loads",
        b"x = base64.b64decode('****'), zlib.decompress(b'x\\x9cno')",
        b"x = bytes([1, 2, 300, 4, 500]), base64.b64decode(",
    ],
)
def test_what_nothing_decodes_stays_as_it_is(source: bytes) -> None:
    assert with_decoded(source) == source


def test_what_is_decoded_takes_as_many_lines_as_before() -> None:
    said = "tests/a\\b'\"c"
    text = _base64(said.encode())
    source = (
        f"import base64\nx = base64.b64decode('{text[:8]}'\n'{text[8:]}')\n"
        f"y = '''{text[:4]}\n{text[4:]}'''\nz = 1\n"
    )
    tree = ast.parse(with_decoded(source.encode()))
    found = [(node.lineno, node.value) for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    assert sorted(found) == [(2, f"{said}\n"), (4, f"{said}\n"), (6, 1)]


@pytest.mark.parametrize("case", SPELLED)
def test_names_that_come_to_text_hold_what_they_name(case: str) -> None:
    text, expected = SPELLED[case]
    assert held({"pkg/core.py": text}) == expected


@pytest.mark.parametrize("case", [case for case in PIECES if PIECES[case][1]])
def test_pieces_in_code_that_cannot_be_parsed_hold_all_of_it(case: str) -> None:
    text, _ = PIECES[case]
    assert may_put_together(text.encode())
    assert held({"pkg/core.py": UNPARSED + text}) == ALL


FOUND = "import_module"
MANY = "'x', " * 40
COMPUTED: dict[str, tuple[str, str, set[str]]] = {
    "a loop": ("user.py", f"for m in ('core', 'tests.mod'): {FOUND}('pkg.' + m)", NAMED),
    "a loop, in an f-string": (
        "user.py",
        f"for m in ('a', 'tests.mod'): {FOUND}(f'pkg.{{m}}')",
        NAMED,
    ),
    "a loop, by %": ("user.py", f"for m in ('a', 'tests.mod'): {FOUND}('pkg.%s' % m)", NAMED),
    "a comprehension": ("user.py", f"x = [{FOUND}('pkg.' + m) for m in ['tests.mod']]", NAMED),
    "several": (
        "user.py",
        f"for m in ('tests.mod', 'tests.deep.b'): {FOUND}('pkg.' + m)",
        {*NAMED, DEEP},
    ),
    "many": ("user.py", f"for m in ({MANY}'tests.mod'): {FOUND}('pkg.' + m)", NAMED),
    "relative": (
        "pkg/core.py",
        f"for m in ('a', 'tests.mod'): {FOUND}('.' + m, __package__)",
        NAMED,
    ),
    "a variable": ("user.py", f"T = 'tests'\n{FOUND}(f'pkg.{{T}}.mod')", NAMED),
    "a package in a variable": ("user.py", f"P = 'pkg.tests'\n{FOUND}(P + '.mod')", ALL),
    "all variables": ("user.py", f"T = 'tests'\n{FOUND}('pkg.%(T)s.mod' % globals())", NAMED),
    "a table in place": ("user.py", f"{FOUND}('pkg.%(t)s.mod' % {{'t': 'tests'}})", NAMED),
    "variables of a function": (
        "user.py",
        f"def f():\n  t = 'tests'\n  {FOUND}('pkg.{{t}}.mod'.format(**locals()))",
        NAMED,
    ),
    "a map of variables": (
        "user.py",
        f"t = 'tests'\n{FOUND}('pkg.{{t}}.mod'.format_map(x))",
        NAMED,
    ),
    "another variable": ("user.py", f"t = 'tests'\n{FOUND}('pkg.%(u)s.mod' % globals())", set()),
    "pairs": (
        "user.py",
        f"for a, b in zip(['x', 'pkg'], ['y', 'tests']): {FOUND}(a + '.' + b + '.mod')",
        NAMED,
    ),
    "keys of a table": (
        "user.py",
        f"M = {{'tests': 1}}\nfor k, v in M.items(): {FOUND}(f'pkg.{{k}}.mod')",
        NAMED,
    ),
    "a table": ("user.py", f"M = {{'a': 'tests.mod'}}\n{FOUND}('pkg.' + M[k])", NAMED),
    "a lazy table": ("pkg/core.py", f"M = {{'a': 'tests.mod'}}\n{FOUND}(f'pkg.{{M[k]}}')", NAMED),
    "what is compared": (
        "pkg/__init__.py",
        f"def get(n):\n  if n in ('core', 'tests'): return {FOUND}(f'{{__name__}}.{{n}}')",
        {INIT},
    ),
    "what is equal": (
        "pkg/__init__.py",
        f"def get(n):\n  if n == 'tests': return {FOUND}('.' + n, __name__)",
        {INIT},
    ),
    "what matches": (
        "pkg/__init__.py",
        f"def get(n):\n  match n:\n    case 'tests': return {FOUND}('.' + n, __name__)",
        {INIT},
    ),
    "joined to its package": (
        "pkg/core.py",
        f"{FOUND}('.'.join([__package__, 'tests', 'mod']))",
        NAMED,
    ),
    "joined to parts": (
        "pkg/core.py",
        f"{FOUND}('.'.join(__name__.split('.')[:-1] + ['tests', 'mod']))",
        NAMED,
    ),
    "in another's place": ("pkg/core.py", f"{FOUND}(__name__.replace('core', 'tests.mod'))", NAMED),
    "another's name": ("user.py", f"import pkg\n{FOUND}(pkg.__name__ + '.tests.mod')", NAMED),
    "a path": ("user.py", f"{FOUND}('pkg/tests/mod'.replace('/', '.'))", NAMED),
    "code": ("pkg/core.py", "exec(f'from {__package__}.tests import mod')", NAMED),
    "an object of a relative module": ("pkg/__init__.py", "init({'f': '.tests.mod:f'})", NAMED),
    "an object of a listed module": ("pkg/__init__.py", "init({'f': 'tests.mod:f'})", NAMED),
    "a command line": ("user.py", "run(shlex.split('python -m pkg.tests.mod -x'))", NAMED),
    "an option and its value": ("user.py", "run([sys.executable, '-mpkg.tests.mod'])", NAMED),
    "parts in a variable": ("user.py", f"P = ('pkg', 'tests', 'mod')\n{FOUND}('.'.join(P))", NAMED),
    "parts that are filtered": (
        "user.py",
        f"{FOUND}('.'.join(filter(None, ['pkg', 'tests', 'mod'])))",
        NAMED,
    ),
    "fields with names": (
        "user.py",
        f"{FOUND}('{{p}}.{{t}}.mod'.format(t='tests', p='pkg'))",
        NAMED,
    ),
    "put in the place of a word": ("user.py", f"{FOUND}('pkg.x.mod'.replace('x', 'tests'))", NAMED),
    "relative to a name put together": (
        "user.py",
        f"{FOUND}('.mod', package='pkg.' + 'tests')",
        NAMED,
    ),
    "relative to a variable": ("user.py", f"P = 'pkg.tests'\n{FOUND}('.mod', package=P)", ALL),
    "an application and a part": (
        "user.py",
        f"A = ['pkg']\nfor a in A:\n  for m in ('core', 'tests'): {FOUND}(a + '.' + m)",
        {INIT},
    ),
    "parts that functions are given": (
        "user.py",
        f"def find(apps, part):\n  for a in apps: {FOUND}(f'{{a}}.{{part}}')\n"
        "find(['pkg'], part='tests')",
        {INIT},
    ),
    "a part that is an argument's name": (
        "user.py",
        f"def load(**k):\n  for a in k: {FOUND}('pkg.' + a)\nload(tests=1)",
        {INIT},
    ),
    "a part of another": (
        "user.py",
        f"def find(apps, part):\n  for a in apps: {FOUND}(f'{{a}}.{{part}}')\n"
        "find(['other'], part='tests')",
        {"x.py"},
    ),
    "an attribute": ("user.py", "import pkg\nprint(pkg.tests.mod.x)", NAMED),
    "an attribute of something else": ("user.py", "import pkg\nprint(self.pkg.tests.mod)", set()),
    "another loop": ("user.py", f"for m in ('core', 'other'): {FOUND}('pkg.' + m)", set()),
}


@pytest.mark.parametrize("case", COMPUTED)
def test_names_put_together_hold_what_they_come_to(case: str) -> None:
    path, text, expected = COMPUTED[case]
    assert held({path: text}) == expected


BARE: dict[str, tuple[str, set[str]]] = {
    "a list": ("FOLDERS = ['core', 'tests']\nfor i, d in enumerate(FOLDERS): load(d)", ALL),
    "sorted": ("for d in sorted(['core', 'tests']): load(d)", ALL),
    "sets put together": ("for d in {'core'} | {'tests'}: load(d)", ALL),
    "a list as an argument": ("load(['core', 'tests'])", ALL),
    "returned": ("def folders(): return ['core', 'tests']", ALL),
    "returned parts": ("def parts(): return 'tests', 'data'", ALL),
    "yielded": ("def folders():\n  yield 'core'\n  yield 'tests'", ALL),
    "appended": ("p = ['x']\np.append('tests')", ALL),
    "extended": ("p = ['x']\np.extend(['tests', 'data'])", ALL),
    "added up": ("p = ['x']\np += ['tests', 'data']", ALL),
    "assigned at once": ("a, b = 'tests', 'data'", ALL),
    "lists in a table": ("D = {'a': ['core', 'tests']}\nfor d in D[k]: load(d)", ALL),
    "or": ("x = join(root, name or 'tests')", ALL),
    "a default of getattr": ("x = join(root, getattr(c, 'dir', 'tests'))", ALL),
    "what isn't wanted": ("find_packages(exclude=['core', 'tests'])", set()),
    "what isn't wanted, by name": ("SKIPPED = ['core', 'tests']\nload(SKIPPED)", set()),
    "what isn't wanted, appended": ("ignored.append('tests')", set()),
    "what isn't wanted, in a table": ("O = {'exclude': ['core', 'tests']}", set()),
    "what isn't wanted, returned": ("def excluded(): return ['core', 'tests']", set()),
    "looked in": ("D = ['core', 'tests']\nx = name in D", set()),
    "exported": ("__all__ = ['core', 'other']\nx = ('tests', 'a')[0] == y", set()),
    "a type": ("def f(x: Literal['train', 'tests']): pass", set()),
    "a label in Django": ("class A(apps.AppConfig):\n  name = 'p.a'\n  label = 'tests'", set()),
    "whose a model is": ("class M(Model):\n  class Meta:\n    app_label = 'tests'", set()),
    "another label": ("class A(Config):\n  label = 'tests'", ALL),
    "what a migration is after": (
        "class Migration(migrations.Migration):\n  dependencies = [('tests', '0001_first')]",
        set(),
    ),
    "what another class is after": ("class A(B):\n  dependencies = [('tests', '1')]", ALL),
    "another name in it": ("class A(AppConfig):\n  folder = 'tests'", ALL),
    "a name with tuple": ("x = name.startswith(('core', 'tests'))", set()),
}


@pytest.mark.parametrize("case", BARE)
def test_strings_without_a_slash_hold_what_they_may_name(case: str) -> None:
    text, expected = BARE[case]
    assert held({"pkg/core.py": text}) == expected


PLACED: dict[str, tuple[str, set[str]]] = {
    "a package's file": ("D = dirname(pkg.__file__)", ALL),
    "a package's path": ("D = pkg.__path__[0]", ALL),
    "by another name": ("import pkg as p\nD = dirname(p.__file__)", ALL),
    "of a module in it": ("from pkg import core\nD = dirname(core.__file__)", ALL),
    "of a source": ("D = dirname(inspect.getfile(pkg))", ALL),
    "by resources": ("D = files('pkg')", ALL),
    "what was imported": ("D = dirname(sys.modules['pkg'].__file__)", ALL),
    "another's": ("D = dirname(os.__file__)", set()),
    "nobody's": ("D = getcwd()", set()),
}


@pytest.mark.parametrize("case", PLACED)
def test_a_word_beside_the_place_of_another_package_leads_there(case: str) -> None:
    code, expected = PLACED[case]
    code = f"import os, pkg\n{code}\nclass C:\n  SUB = 'tests'\nx = open(join(D, C.SUB, name))\n"
    assert held({"user.py": code}) == expected


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


GIVEN: dict[str, tuple[str, set[str]]] = {
    "to a function": ("import pkg\npkg.load('tests')", ALL),
    "by keyword": ("from pkg.core import load\nload('x', kind='tests')", ALL),
    "among several": ("from pkg import here\nx = here('tests', 'data', name)", ALL),
    "in a list": ("import pkg as p\nx = p.Reader(['core', 'tests'])", ALL),
    "to a method": ("import pkg\nx = pkg.Reader(y).read('tests')", ALL),
    "to an object": ("import pkg\nr = pkg.Reader()\nr.read('tests')", ALL),
    "in a block": ("import pkg\nwith pkg.opened() as r:\n  r.read('tests')", ALL),
    "as a variable": ("import pkg\nK = 'tests'\nx = pkg.load(K)", ALL),
    "to a module": ("import pkg\npkg.core.KIND = 'tests'", ALL),
    "to a class": ("import pkg\nclass C(pkg.Base):\n  folder: str = 'tests'", ALL),
    "by a method": ("from pkg import Base\nclass C(Base):\n  def f(self): return 'tests'", ALL),
    "to a decorator": ("import pkg\n@pkg.using('tests')\ndef f(): pass", ALL),
    "to another package": ("import other\nother.load('tests')", {"x.py"}),
    "to nobody's": ("import pkg, os\nos.listdir('tests')", set()),
    "a path without suffix": ("from pkg import load\nload('tests/data/a')", {DATA}),
    "a path to something else": ("from pkg import load\nload('tests/data/b')", set()),
}
IN_PARTS: dict[str, str] = {
    "joined": "import pkg\nimport_module('.'.join((pkg.__name__, 'tests', 'mod')))",
    "joined, open": "import pkg\nfor n in x: import_module('.'.join([pkg.__name__, 'tests', n]))",
    "by %": "import pkg\nimport_module('%s.tests.%s' % (pkg.__name__, 'mod'))",
    "of a package": "import pkg.core as c\nimport_module(c.__package__ + '.tests.mod')",
    "of a spec": "import pkg\nimport_module(pkg.__spec__.name + '.tests.mod')",
    "of a class": "from pkg.core import C\nimport_module(C.__module__[:3] + '.tests.mod')",
    "by another name": "import pkg as p\nimport_module(p.__name__ + '.tests.mod')",
    "in a loop": "import pkg\nfor p in (pkg,): import_module(p.__name__ + '.tests.mod')",
    "partly given": "load = partial(import_module, package='pkg')\nload('.tests.mod')",
    "relative, elsewhere": "from loaders import load\nload('.tests.mod')",
    "the rest, elsewhere": "from loaders import load\nx = [load(n) for n in ('tests.mod',)]",
}


@pytest.mark.parametrize("ending", ["", UNPARSED])
@pytest.mark.parametrize("case", GIVEN)
def test_a_word_that_is_given_to_another_package_leads_into_it(case: str, ending: str) -> None:
    code, expected = GIVEN[case]
    found = held({"user.py": f"{ending}{code}\n"})
    assert found >= expected if ending else found == expected


@pytest.mark.parametrize("ending", ["", UNPARSED])
@pytest.mark.parametrize("case", IN_PARTS)
def test_a_name_behind_another_modules_holds_what_it_may_be(case: str, ending: str) -> None:
    assert held({"user.py": f"{ending}{IN_PARTS[case]}\n"}) >= NAMED


OWN, USER = "pkg/check.py", "user.py"
RUN: dict[str, tuple[str, str, set[str]]] = {
    "its own folder": (OWN, "unittest.TestLoader().discover(dirname(__file__))", ALL),
    "its own folder in a variable": (OWN, "H = dirname(__file__)\nload.discover(H)", ALL),
    "its own name": (OWN, "loader.discover(__package__)", ALL),
    "its package's name": (OWN, "loader.discover('pkg', pattern='check_*.py')", ALL),
    "arguments": (OWN, "unittest.main(argv=['x', 'discover', '-s', dirname(__file__)])", ALL),
    "a program": (OWN, "run([exe, '-m', 'unittest', 'discover'], cwd=dirname(__file__))", ALL),
    "pytest": (OWN, "pytest.main(['-q', dirname(__file__)])", ALL),
    "what pytest is told": (OWN, "run([exe, '-m', 'pytest', Path(__file__).parent])", ALL),
    "another package": (USER, "import pkg\nloader.discover(pkg.__path__[0])", ALL),
    "another package's name": (USER, "loader.discover('pkg')", ALL),
    "another package by pytest": (USER, "pytest.main(['--pyargs', 'pkg'])", ALL),
    "another package's place": (USER, "import pkg\npytest.main([dirname(pkg.__file__)])", ALL),
    "a script": ("bin/check", "#!/bin/sh\npython -m unittest discover -s pkg -t .\n", ALL),
    "a script with pytest": ("bin/check", "#!/bin/sh\npython -m pytest --pyargs pkg\n", ALL),
    "a folder of something else": (OWN, "loader.discover(folder)", set()),
    "another way to discover": (USER, "import pkg\ndevices = pkg.discover_all(1)", set()),
    "a runner of the package": ("pkg/_tester.py", "pytest.main([dirname(__file__)])", set()),
    "a runner of pandas": ("pkg/util/_tester.py", "pytest.main(['--pyargs', 'pkg'])", set()),
    "a script that does else": ("bin/check", "#!/bin/sh\npython -m pkg\n", set()),
}


@pytest.mark.parametrize("case", RUN)
def test_tests_that_code_has_run_stay(case: str) -> None:
    path, code, expected = RUN[case]
    assert held({path: code}) == expected


@pytest.mark.parametrize(
    "case", [case for case in RUN if RUN[case][2] and "bin" not in RUN[case][0]]
)
def test_tests_that_code_has_run_stay_where_it_cannot_be_parsed(case: str) -> None:
    path, code, expected = RUN[case]
    assert held({path: UNPARSED + code}) == expected


TEXTS: dict[str, tuple[str, str | bytes, set[str]]] = {
    "JSON, parts": ("pkg/a.json", '{"parts": ["tests", "data"]}', ALL),
    "JSON, parts of a path": ("pkg/a.json", '{"parts": ["pkg", "tests", "data"]}', ALL),
    "JSON, a folder": ("pkg/a.json", '{"folder": "tests"}', ALL),
    "JSON, a key": ("pkg/a.json", '{"tests": 1}', set()),
    "JSON, a model of Django": ("pkg/a.json", '{"content_type": ["tests", "page"]}', set()),
    "JSON, an application of Django": ("pkg/a.json", '{"app_label": "tests"}', set()),
    "JSON, what isn't wanted": ("pkg/a.json", '{"exclude": ["core", "tests"]}', set()),
    "JSON, a path to a folder": ("pkg/a.json", '{"folder": "pkg/tests"}', ALL),
    "YAML, a list": ("pkg/a.yaml", "folders:\n  - core\n  - tests\n", ALL),
    "YAML, a value": ("pkg/a.yaml", "folder: tests\n", ALL),
    "YAML, a key": ("pkg/a.yaml", "tests: 1\n", set()),
    "TOML": ("pkg/a.toml", 'folders = ["core", "tests"]\n', ALL),
    "INI": ("pkg/a.ini", "[x]\nfolders = core, tests\n", ALL),
    "INI, lines": ("pkg/a.ini", "[x]\nfolders =\n  core\n  tests\n", ALL),
    "XML": ("pkg/a.xml", "<f><dir name='tests'/></f>", ALL),
    "XML, text": ("pkg/a.xml", "<dir>tests</dir>", ALL),
    "a tool's settings": ("pkg/package.json", '{"directories": {"lib": "tests"}}', set()),
    "UTF-16": ("pkg/a.ini", "[x]\r\nf = tests/data/a.csv\r\n".encode("utf-16"), {DATA}),
    "R": ("pkg/a.R", 'read.csv(file.path(root, "tests", "data", "a.csv"))', {DATA}),
    "Julia": ("pkg/a.jl", 'joinpath(@__DIR__, "tests", "data")', {DATA}),
    "Tcl": ("pkg/a.tcl", "set f [file join $here tests data a.csv]\n", {DATA}),
    "Base64": ("pkg/a.json", f'{{"x": "{encoded(b"cat tests/data/a.csv")}"}}', {DATA}),
    "Base64 after a byte": ("pkg/a.yaml", f"x: {encoded(b'!tests/data/a.csv')}", {DATA}),
    "Base64, cut": ("pkg/a.yaml", f"x: {encoded(b'./tests/data/a.csv x')[:-3]}", {DATA}),
    "Base64 of others": ("pkg/a.json", f'{{"x": "{encoded(b"cat test/data/a.csv")}"}}', set()),
    "PowerShell": ("pkg/a.ps1", 'Join-Path $PSScriptRoot "tests" "data"', {DATA}),
    "JavaScript, added": ("pkg/a.js", "fetch('./' + 'tests' + '/data/a.csv')", {DATA}),
    "JavaScript, joined": ("pkg/a.js", "fetch(['tests', 'data'].join('/'))", {DATA}),
    "a shell's variable": ("pkg/a.sh", 'D=tests\ncat "$here/$D/data/a.csv"\n', ALL),
    "a Dockerfile": ("pkg/Dockerfile", "COPY pkg/tests /x\n", ALL),
    "a URL": ("pkg/a.txt", "package://pkg/tests/data/a.csv", {DATA}),
    "from the prefix": ("pkg/a.txt", "lib/site-packages/pkg/tests/data/a.csv", {DATA}),
    "Jinja, in HTML": ("pkg/a.html", "{% include 'tests/data/a.csv' %}", {DATA}),
    "Jinja, extended": ("pkg/a.html", '{% extends "tests/data/a.csv" %}', {DATA}),
    "Jinja, joined": ("pkg/a.j2", '{% extends "tests" ~ "/data/a.csv" %}', {DATA}),
    "Jinja, with a name": ("pkg/a.j2", "{%- include 'x/tests/' ~ name ~ '.html' -%}", ALL),
    "Jinja, another folder": ("pkg/a.j2", "{% include 'tested/' ~ name %} tests/", set()),
    "HTML, behind an equals sign": ("pkg/a.html", '<a href="x?y=tests/data/a.csv">', {DATA}),
    "HTML, a set of pictures": ("pkg/a.html", "<img srcset='a 1x, tests/data/a.csv 2x'>", {DATA}),
    "reStructuredText, a table": (
        "pkg/a.rst",
        ".. csv-table::\n   :file: tests/data/a.csv",
        {DATA},
    ),
    "a database": ("pkg/a.db", b"SQLite\0\0\x20pkg/tests/data/a.csv\0", {DATA}),
    "a row of a database": ("pkg/a.db", b"SQLite format 3\0\2-tests/data/a.csv\0", {DATA}),
    "columns of a row": ("pkg/a.db", b"SQLite format 3\0sometests/data/a.csvmore\0", {DATA}),
    "binary data, behind a length": ("pkg/a.bin", b"\0Atests/data/a.csv\0", {DATA}),
    "a pickle": ("pkg/a.pkl", b"\x80\x04\x8c\x12tests/data/a.csvq\0", {DATA}),
    "a compressed index": ("pkg/a.json.gz", gzip.compress(b'["tests/data/a.csv"]'), {DATA}),
    "a damaged index": ("pkg/a.json.gz", b"\x1f\x8b\0tests/data/a.csv\0", {DATA}),
    "binary data": ("pkg/a.bin", b"\0contests/data/a.csv\0", set()),
}


PICKLE = "cpkg.tests.mod\nC\np0\n."
NAMES: dict[str, tuple[str, str | bytes, set[str]]] = {
    "a pickle": ("pkg/a.pkl", b"\x80\x04\x95\0\x8c\x0dpkg.tests.mod\x94\x8c\x01C\x94\x93.", NAMED),
    "a pickle of text": ("pkg/a.pkl", b"cpkg.tests.mod\nC\np0\n.", NAMED),
    "a compressed pickle": ("pkg/a.pkl.gz", gzip.compress(b"\x80\2cpkg.tests.mod\nC\nq\0."), NAMED),
    "a pickle in zlib": ("pkg/a.joblib", zlib.compress(b"\x80\2cpkg.tests.mod\nC\nq\0."), NAMED),
    "a pickle in a zip": ("pkg/a.keras", archive({"a.pkl": PICKLE * 50}), NAMED),
    "a zip that is cut off": ("pkg/a.keras", archive({"a.pkl": PICKLE})[:40], set()),
    "a model": ("pkg/a.h5", b"\x89HDF\r\n\x1a\n\0\0pkg.tests.mod\0", NAMED),
    "data that doesn't": ("pkg/a.bin", b"\0\0pkg.test\0", set()),
    "code in Base64": ("a.msg", f'{{"x": "{encoded(b"from pkg.tests import mod")}"}}', NAMED),
    "a pickle in Base64": ("a.yaml", f"x: {encoded(PICKLE.encode())}", NAMED),
    "JavaScript that adds": ("a.js", "run('pkg.' + `tests` + '.mod')", NAMED),
    "a distribution's tasks": (
        "pkg/pyproject.toml",
        "[tool.poe.tasks]\nx.script = 'pkg.tests.mod:f'\n[tool.x]\n",
        NAMED,
    ),
    "what follows tasks": (
        "pyproject.toml",
        "[tool.poe.tasks]\na = 1\n[tool.x]\nx = 'pkg.tests.mod'\n",
        set(),
    ),
    "the product's tasks": (
        "pyproject.toml",
        "[tool.poe.tasks]\nx = 'python -m pkg.tests.mod'",
        NAMED,
    ),
    "a notebook on one line": ("pkg/a.ipynb", '{"source": "from pkg.tests import mod"}', NAMED),
    "a program that embeds Python": (
        "$bin/tool",
        b"\x7fELF\0PyImport_ImportModule\0pkg.tests.mod\0",
        NAMED,
    ),
    "a program that doesn't": ("$bin/tool", b"\x7fELF\0pkg.tests.mod\0", set()),
    "a program with a zip": (
        "$bin/tool",
        archive({"__main__.py": "from pkg.tests import mod"}, b"\x7fELF" + bytes(60)),
        NAMED,
    ),
}


@pytest.mark.parametrize("case", NAMES)
def test_data_and_programs_hold_the_modules_that_they_name(case: str) -> None:
    path, data, expected = NAMES[case]
    assert held({path: data}) == expected


@pytest.mark.parametrize("case", TEXTS)
def test_texts_hold_what_they_name(case: str) -> None:
    path, text, expected = TEXTS[case]
    assert held({path: text}) == expected


CHECK = "pkg/checks/test_a.py"
CHECKS: dict[str, tuple[str, str, bool]] = {
    "an f-string": ("pkg/core.py", "open(join(HERE, 'checks', f'test_{name}.py'))", True),
    "added": ("pkg/core.py", "open(join(HERE, 'checks', 'test_' + name + '.py'))", True),
    "by %": ("pkg/core.py", "open(join(HERE, 'checks', 'test_%s.py' % name))", True),
    "beside the file": ("pkg/core.py", f"{HERE}'checks' / f'test_{{name}}.py'", True),
    "beside another": ("pkg/core.py", f"{HERE}'other' / f'test_{{name}}.py'", False),
    "of another": ("user.py", "import pkg\nx = Path(pkg.__file__).parent / f'test_{n}.py'", True),
    "another name": ("pkg/core.py", "open(join(HERE, 'checks', f'test_b{name}.py'))", False),
    "a runner": ("pkg/core.py", "pytest.main([join(dirname(__file__), 'checks')])", True),
    "discovered": ("pkg/core.py", "loader.discover(join(dirname(__file__), 'checks'))", True),
    "a link": ("pkg/a.html", "<a href='checks/test_a.py'>x</a>", True),
}


@pytest.mark.parametrize("case", CHECKS)
def test_paths_to_test_files_hold_them(case: str) -> None:
    path, text, holds = CHECKS[case]
    files = {f"$site/{CHECK}": "", "$site/pkg/__init__.py": "", f"$site/{path}": text}
    stays = refused(make_stack({"app-x": files}), "/test_")
    assert stays == ({f"{SITE}/{CHECK}"} if holds else set())
