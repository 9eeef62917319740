"""What scripts copy, pack or list stays: shell, batch, PowerShell, make, Docker, Node.js."""

from __future__ import annotations

import pytest

from slim.analysis.code_paths import scripts
from slim.analysis.code_paths.places import lists
from tests.unit.test_listed_files import DATA, DEEP, MODULE, STUB, TAKEN, TEST, held

HERE = "HERE=$(dirname $0)\n"
SITE = "$HERE/../lib/python3.13/site-packages"
TESTS = {TEST, MODULE, DATA}
CASES: dict[str, tuple[str, str, set[str]]] = {
    "nothing": ("pkg/run.sh", HERE + "exec $HERE/tests", set()),
    "cp": ("pkg/run.sh", HERE + 'cp -r "$HERE/tests" /x', TESTS),
    "cp all": ("pkg/run.sh", HERE + "cp -r ${HERE}/* /x", TAKEN),
    "cp from a folder": ("pkg/run.sh", "cd `dirname $0`\ncp -r . /x", TAKEN),
    "cp from elsewhere": ("pkg/run.sh", "cd /tmp/x\ncp -r . /x", set()),
    "cp from what isn't known": ("pkg/run.sh", "cd $WORK && cp -r . /x", set()),
    "cp of a file": ("pkg/run.sh", HERE + "cp $HERE/tests/data/x.json /x", {DATA}),
    "cp of files": ("pkg/run.sh", HERE + "cp $HERE/tests/data/*.json /x", {DATA}),
    "lines that go on": ("pkg/run.sh", HERE + "rsync -a \\\n  $HERE/tests/ \\\n  host:/x", TESTS),
    "a script in a folder": ("pkg/sub/run.sh", HERE + "cp -r $HERE/../tests /x", TESTS),
    "bash": ("pkg/run", '#!/bin/bash\nS=${BASH_SOURCE%/*}\ntar czf x -C "$S" .', TAKEN),
    "a real path": ("pkg/run.sh", 'D="$(cd "$(dirname "$0")" && pwd)"\nzip -r x $D/tests', TESTS),
    "find": ("pkg/run.sh", HERE + "find $HERE -name '*.json' -exec cat {} +", {DATA}),
    "a loop": ("pkg/run.sh", HERE + "for f in $HERE/**/*.pyx; do cat $f; done", {DEEP}),
    "a loop over folders": (
        "pkg/run.sh",
        HERE + "for f in $HERE/*/data/*; do cat $f; done",
        {DATA},
    ),
    "what removes": ("pkg/run.sh", HERE + "find $HERE -name '*.pyi' -delete", set()),
    "what unpacks": ("pkg/run.sh", "cd $(dirname $0)\ntar xf a.tar .", set()),
    "a comment": ("pkg/run.sh", "# cp -r . /x", set()),
    "a launcher": ("bin/go", "#!/bin/sh\n" + HERE + f"cp -r {SITE}/pkg/tests /x", TESTS),
    "tar of a package": ("bin/go", "#!/bin/sh\n" + HERE + f"tar c -C {SITE} pkg | nc x", TAKEN),
    "a folder that isn't known": ("bin/go", "#!/bin/sh\nrsync -a $SITE/pkg/ /x", TAKEN),
    "all of the layer": ("bin/go", "#!/bin/sh\n" + HERE + f"cp -a {SITE} /x", set()),
    "Python says where": (
        "bin/go",
        "#!/bin/sh\nD=$(python3 -c 'import pkg,os;print(dirname(pkg.__file__))')\ncp -r $D /x",
        TAKEN,
    ),
    "batch": ("pkg/run.bat", "xcopy /s %~dp0tests c:\\x\r\n", TESTS),
    "batch with a variable": ("pkg/run.cmd", "set S=%~dp0\r\nrobocopy %S%\\sub c:\\x /e", {DEEP}),
    "PowerShell": ("pkg/run.ps1", "Copy-Item -Recurse $PSScriptRoot C:\\x", TAKEN),
    "PowerShell joins": ("pkg/run.ps1", "Copy-Item (Join-Path $PSScriptRoot 'sub') C:\\x", {DEEP}),
    "make": ("pkg/Makefile", "all:\n\tcp -r tests /x\n", TESTS),
    "Docker": ("pkg/Dockerfile", "FROM x\nCOPY --chown=a:b sub /x", {DEEP}),
    "Docker all": ("pkg/Dockerfile.cpu", "FROM x\nADD . /x", TAKEN),
    "Docker as a list": ("pkg/Containerfile", 'COPY ["tests", "/x"]', TESTS),
    "Docker in a folder": ("pkg/docker/Dockerfile", "COPY tests/data /x", {DATA}),
    "Docker in a folder takes all": ("pkg/docker/Dockerfile", "COPY . /x", TAKEN),
    "Docker in a template takes its own": ("pkg/template/Dockerfile", "COPY . .", set()),
    "Docker in a template, by name": ("pkg/template/Dockerfile", "COPY sub /x", {DEEP}),
    "Docker from another stage": ("pkg/Dockerfile", "FROM x\nRUN pip install y", set()),
    "what Compose builds": ("pkg/compose.yaml", "services:\n  a:\n    build: .\n", TAKEN),
    "what Compose mounts": ("pkg/docker-compose.yml", "  volumes:\n    - ./tests:/x\n", TESTS),
    "Node.js": ("pkg/a.js", "fs.cpSync(path.join(__dirname, 'sub'), '/x')", {DEEP}),
    "Node.js lists": (
        "pkg/a.mjs",
        "for (const f of fs.readdirSync(import.meta.dirname)) f()",
        TAKEN,
    ),
    "Express": ("pkg/a.cjs", "const s = require('express')\napp.use(s.static('tests'))", TESTS),
    "a page's script": ("pkg/a.js", "var x = list.copy('tests')", set()),
}


@pytest.mark.parametrize("case", CASES)
def test_scripts_hold_what_they_take(case: str) -> None:
    path, text, taken = CASES[case]
    assert held({path: text}) == taken


@pytest.mark.parametrize("name", ["run.sh", "run"])
def test_damaged_scripts_are_read_without_harm(name: str) -> None:
    for content in (b"\xff\0cp -r . $(((", b"cp " + b"$A" * 5000, b"cp -r . /x\n" * 50_000):
        assert len(scripts.script_listings(name, content)) < 10


def test_what_a_script_says_again_and_again_counts_once() -> None:
    found = scripts.script_listings("run.sh", b"cp -r a/b /x\n" * 10_000)
    assert len(found) < 10
    doubled = scripts.script_listings("run.sh", b"A=x\n" + b"A=$A$A/y\n" * 200 + b"cp -r $A /x\n")
    assert max(len(listing.folder) for listing in doubled) < 2_000


def test_a_name_in_a_script_means_that_folder_alone() -> None:
    found = scripts.script_listings("a.sh", b"cp -r data/x /y")

    def taken(place: str) -> bool:
        return any(lists(listing, "pkg/a.sh", place) for listing in found)

    assert taken("pkg/data/x/1.txt")
    assert taken("pkg/data/x")
    assert not taken("pkg/data/y/1.txt")
    assert not taken("pkg/a.txt")


def test_what_was_named_in_this_file_is_what_a_stub_is() -> None:
    assert held({"pkg/run.sh": HERE + "cp $HERE/core.pyi /x"}) == {STUB}
