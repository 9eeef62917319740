"""Modules that can't be imported here, and what uses them all the same: as files, or elsewhere."""

from __future__ import annotations

import hashlib

import pytest

from slim.passes.unimportable import Unimportable
from tests.support.pass_runs import findings, propose
from tests.support.virtual_stacks import Contents
from tests.unit.test_unimportable import RULE, TAIL, stack

HERE = "Path(__file__).parent"
MODULE = "import torch" + TAIL
SHA256 = hashlib.sha256(MODULE.encode()).hexdigest()
USES: dict[str, tuple[str, Contents, bool]] = {
    "nothing": ("$site/p/q.py", "x = 1", False),
    "copies its folder": ("$site/p/q.py", f"shutil.copytree({HERE} / 'far', there)", True),
    "copies another": ("$site/p/q.py", f"shutil.copytree({HERE} / 'near', there)", False),
    "an application packs it": (
        "$site/app.py",
        "import p\nmake_archive('x', 'zip', os.path.dirname(p.__file__))",
        True,
    ),
    "walks": ("$site/p/q.py", "for f in os.walk(os.path.dirname(__file__)): send(f)", True),
    "lists names": ("$site/p/q.py", "x = os.listdir(os.path.dirname(__file__))", False),
    "lists modules": (
        "$site/p/q.py",
        f"for f in ({HERE} / 'far').glob('*.p' + 'y'): send(f)",
        True,
    ),
    "lists data": ("$site/p/q.py", f"for f in ({HERE} / 'far').glob('*.csv'): send(f)", False),
    "workers get it": ("$site/p/q.py", f"init(runtime_env={{'working_dir': {HERE}}})", True),
    "a cloud function is made of it": ("$site/p/q.py", f"Code.from_asset(str({HERE}))", True),
    "an image gets it": ("$site/p/q.py", f"image.add_local_dir(str({HERE}), '/x')", True),
    "a container is built of it": ("$site/p/q.py", f"c.images.build(path=str({HERE}))", True),
    "a model brings it": ("$site/p/q.py", f"log_model('m', code_paths=[str({HERE})])", True),
    "another machine gets it": ("$site/p/q.py", f"sftp.put_dir({HERE} / 'far', '/x')", True),
    "another machine gets another": ("$site/p/q.py", f"sftp.put({HERE} / 'near', '/x')", False),
    "a job gets it": ("$site/p/q.py", f"Estimator(source_dir={HERE} / 'far')", True),
    "reads a source": ("$site/p/q.py", "x = open(find_spec('p.far.m').origin).read()", True),
    "reads lines": ("$site/p/q.py", "x = linecache.getlines(find_spec(name).origin)", True),
    "reads classes": ("$site/app.py", "x = pyclbr.readmodule_ex(name)", True),
    "finds what a script needs": ("$site/app.py", "ModuleFinder().run_script(path)", True),
    "an application of a folder": ("$site/p/q.py", f"zipapp.create_archive({HERE}, x)", True),
    "a zip of modules": ("$site/p/q.py", f"PyZipFile(x, 'w').writepy({HERE})", True),
    "a name that is known late": ("$site/p/q.py", f"send({HERE} / 'far' / f'{{name}}.py')", True),
    "another folder's": ("$site/p/q.py", f"send({HERE} / 'near' / f'{{name}}.py')", False),
    "starts it elsewhere": ("$site/p/q.py", "run(['mpiexec', 'python', '-m', 'p.far.m'])", True),
    "starts another": ("$site/p/q.py", "run(['mpiexec', 'python', '-m', 'p.far.n'])", False),
    "starts one of a package": ("$site/p/q.py", "run([py, '-m', f'p.far.{x}'])", True),
    "starts one of another package": ("$site/p/q.py", "run([py, '-m', f'p.near.{x}'])", False),
    "adds to a name": ("$site/p/q.py", "run([py, '-u', '-m', 'p.far.' + x])", True),
    "fills a name in": ("$site/p/q.py", "run([py, '-m', 'p.far.%s' % x])", True),
    "starts any": ("$site/p/q.py", "run(['conda', 'run', 'python', '-m', name])", True),
    "adds to a command": ("$site/p/q.py", "command += ['-m', name]", True),
    "starts any with its own Python": ("$site/p/q.py", "run([sys.executable, '-m', name])", False),
    "another program's -m": ("$site/p/q.py", "run(['git', 'commit', '-m', text])", False),
    "an option": ("$site/p/q.py", "parser.add_argument('-m', dest='x')", False),
    "a shell starts any": ("$site/p/q.py", "os.system(f'{py} -m {name}')", True),
    "a shell with its own Python": ("$site/p/q.py", "call(f'{sys.executable} -m {name}')", False),
    "a script starts any": ("$site/p/run.sh", '"$PYTHON" -u -m "$1"', True),
    "a script starts one of a package": ("$site/p/run.sh", "python3 -m p.far.$1", True),
    "a script starts one of another": ("$site/p/run.sh", "python3 -m p.near.$1", False),
    "a script makes a folder": ("$site/p/run.sh", "mkdir -m $MODE x", False),
    "a script copies its folder": ("$site/p/run.sh", "cp -r $(dirname $0)/far /x", True),
    "a Dockerfile takes its folder": ("$site/p/Dockerfile", "COPY far /x", True),
    "a Dockerfile takes another": ("$site/p/Dockerfile", "COPY near /x", False),
    "an application starts it": ("$site/app.py", "run([python, '-m', 'p.far.m'])", True),
    "an application starts another": ("$site/app.py", "run([python, '-m', 'p.far.n'])", False),
    "an application installs": ("$site/app.py", "run([uv, 'pip', 'install', 'torch'])", True),
    "an application names a file": ("names.txt", "m.py", False),
    "its launcher starts it": ("bin/go", "#!/bin/sh\nexec $OTHER/python -m p.far.m", True),
    "its launcher starts another": ("bin/go", "#!/bin/sh\nexec $OTHER/python -m p.far.n", False),
    "a script starts it": ("$site/p/run.sh", "exec conda run -n x python -m p.far.m", True),
    "a script names it": ("$site/p/run.sh", "exec other-python far/m.py", True),
    "a Dockerfile": ("$site/p/Dockerfile", "COPY far/m.py /x", True),
    "a table": ("$site/p/files.csv", "m.py,1", True),
    "another's table": ("$site/q/files.csv", "m.py,1", False),
    "a page": ("$site/p/index.html", "<a href='far/m.py'>get</a>", True),
    "reads sources": ("$site/p/q.py", "x = spec.loader.get_source(name)", True),
    "reads what a spec leads to": ("$site/p/q.py", "x = open(find_spec(name).origin)", True),
    "installs what is missing": (
        "$site/p/q.py",
        "check_call([sys.executable, '-m', 'pip', 'install', name])",
        True,
    ),
    "installs by a command": ("$site/p/q.py", "os.system('uv pip install ' + name)", True),
    "a text states its digest": ("$site/p/sums.txt", f"{SHA256}  far/m", True),
    "code states its digest": ("$site/p/q.py", f"x = {SHA256.upper()!r}", True),
    "a database states its digest": ("$site/p/x.db", b"\0\0" + SHA256.encode(), True),
    "a longer number holds it": ("$site/p/x.db", b"\0\0" + SHA256.encode() + b"0", False),
    "another's text states its digest": ("$site/q/sums.txt", SHA256, False),
    "only says how to install": ("$site/p/q.py", "raise E('pip install torch')", False),
}


@pytest.mark.parametrize("case", USES)
def test_what_uses_a_module_otherwise_holds_it(case: str) -> None:
    path, text, holds = USES[case]
    made = stack(
        {
            "$site/p-1.dist-info/METADATA": "Name: p\nVersion: 1\n",
            "$site/p/far/__init__.py": "",
            "$site/p/far/m.py": MODULE,
            path: text,
        }
    )
    assert bool(findings(propose(Unimportable(), made, RULE))) is not holds
