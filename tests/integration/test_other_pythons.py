"""Every Python at hand that slim supports makes the same trees of the same sources."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit import test_syntax as tables

ROOT = Path(__file__).parents[2]
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
SCRIPT = """
import ast, hashlib, json, sys
from slim.system.syntax import parsed

def dump(tree):
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if not isinstance(node, ast.AST):
            yield ascii(node)
            continue
        yield type(node).__name__
        yield repr([getattr(node, name, 0) for name in ("lineno", "col_offset", "end_col_offset")])
        for name in node._fields:
            value = getattr(node, name, None)
            if value and name not in ("type_params", "type_ignores"):
                yield name
                waiting.extend(reversed(value) if isinstance(value, list) else [value])

def digest(source):
    try:
        text = chr(10).join(dump(parsed(source)))
    except SyntaxError:
        return None
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

sources = [json.loads(line) for line in sys.stdin]
print(json.dumps([digest(source) for source in sources]))
"""
PIECES = [
    *"{{}}ab'\"\\#=:!%< []().",
    *('"""', "'''", "!r", "!r ", "!=", "==", "for a in b", "*a", "a,", "\n", "\\N{DASH}", "f'"),
    *('f"', "rf'", "lambda", "x:=1", "{{", "\\{", "é", "\U0001e030", "\U0001f40d", ">10", "t'"),
    *("a['k']", 'a["k"]', "yield", "'x'", '"y"', "\\n", "1", "if", "else", "f'{a}'"),
]


def _python(version: str) -> str | None:
    places = sorted(map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python")))
    places += [place for place in [shutil.which(f"python{version}")] if place is not None]
    for place in places:
        if subprocess.run([place, "-c", ""], capture_output=True).returncode == 0:
            return place
    return None


def _sources() -> list[str]:
    known = [tables.NEWER, tables.OLDER, tables.ODD]
    sources = [*tables.ALIKE, *(source for table in known for source in table.values())]
    chance = random.Random(7)
    for _ in range(4000):
        body = "".join(chance.choice(PIECES) for _ in range(chance.randint(1, 7)))
        body = f"{{{body}}}" if chance.random() < 0.7 else body
        quote = chance.choice(["'", '"', "'''", '"""'])
        sources.append(f"x = {chance.choice(['f', 'rf', 'F'])}{quote}{body}{quote}\n")
    return sources


def _digests(python: str, sources: list[str]) -> list[str | None]:
    done = subprocess.run(
        [python, "-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{SCRIPT}"],
        input="\n".join(map(json.dumps, sources)),
        capture_output=True,
        text=True,
        check=True,
    )
    digests: list[str | None] = json.loads(done.stdout)
    return digests


@pytest.mark.parametrize("version", VERSIONS)
def test_trees_are_the_same(version: str) -> None:
    python = _python(version)
    if python is None or version == "{}.{}".format(*sys.version_info):
        pytest.skip(f"no other Python {version} here")
    sources = _sources()
    here = _digests(sys.executable, sources)
    there = _digests(python, sources)
    assert [s for s, one, other in zip(sources, here, there, strict=True) if one != other] == []
    assert sum(one is not None for one in here) > 300
