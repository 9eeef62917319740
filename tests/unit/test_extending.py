"""A toy of each kind is added to a copy of slim, and everything else follows.

Each test states the files that had to be touched; docs/extending.md says the same.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from slim.model.record import FileKind
from tests.support.published_stacks import small_stack

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


class House:
    """A copy of slim that a newcomer works on. ``touched`` are the files that were changed."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.touched: set[str] = set()
        for part in ("slim", "rules", "docs"):
            # Bytecode too: it holds for a copy that keeps the times, so nothing is compiled anew.
            ignored = shutil.ignore_patterns("images")
            shutil.copytree(ROOT / part, top / part, ignore=ignored)
        shutil.copy(ROOT / "venvstacks_slim.py", top)

    def write(self, name: str, text: str) -> None:
        """Add a file."""
        path = self.top / name
        assert not path.exists()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        self.touched.add(name)

    def insert(self, name: str, after: str, text: str) -> None:
        """Add lines to a file, after one that is there."""
        path = self.top / name
        before = path.read_text(encoding="utf-8")
        assert before.count(after) == 1, after
        path.write_text(before.replace(after, after + text), encoding="utf-8")
        self.touched.add(name)

    def run(self, *command: str, **environ: str) -> str:
        """Run Python in the folder with the stack, with the copy; return what it prints."""
        done = subprocess.run(
            [sys.executable, *command],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.top / "work",
            env={**os.environ, "PYTHONPATH": str(self.top), **environ},
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def slim(self, *arguments: str) -> str:
        """Run the copy's command line."""
        return self.run("-m", "slim", *arguments)

    def completed(self, *words: str) -> set[str]:
        """Return what bash would offer for the last of the words."""
        found = self.run(
            "-m",
            "slim",
            _SLIM_COMPLETE="bash_complete",
            COMP_WORDS=" ".join(("slim", *words)),
            COMP_CWORD=str(len(words)),
        )
        return {line.partition(",")[2] for line in found.splitlines()}

    def page(self, name: str) -> str:
        """Return a reference page, written anew from the code."""
        self.run(str(self.top / "docs/generate.py"), str(self.top / "pages"))
        return (self.top / "pages" / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_stack(tmp_path_factory.mktemp("published") / "_artifacts")


@pytest.fixture
def house(tmp_path: Path, stack: Path) -> Iterator[House]:
    made = House(tmp_path / "house")
    shutil.copytree(stack, made.top / "work/_artifacts")
    yield made
    shutil.rmtree(made.top)


def test_a_rule_is_one_table(house: House) -> None:
    (pack,) = (house.top / "rules").glob("leftovers.toml")
    house.insert(
        "rules/leftovers.toml",
        pack.read_text(encoding="utf-8"),
        """
[[rule]]
id = "toy-readmes"
pass = "leftovers"
safety = "safe"
reason = "A README in site-packages is read by nobody"
source = "a measurement"
remove = ["$site/README.txt"]
examples.match = ["lib/python3.13/site-packages/README.txt"]
examples.no_match = ["lib/python3.13/site-packages/x/README.txt"]
""",
    )
    assert "all is well" in house.slim("rules", "check")
    assert "toy-readmes" in house.slim("rules", "list", "--safety", "safe")
    assert "toy-readmes" in house.slim("explain", "_artifacts", "site-packages/README.txt")
    assert "toy-readmes" in house.slim("run", "_artifacts", "--dry-run", "--json")
    assert "toy-readmes" in house.page("rules.md")
    assert house.touched == {"rules/leftovers.toml"}


def test_a_report_is_a_module_and_a_row(house: House) -> None:
    house.write(
        "slim/reports/run/toy.py",
        "def render(results):\n"
        "    rows = (layer for result in results for layer in result.layers)\n"
        "    return ''.join(f'{row.layer.name},{row.after.unpacked}\\n' for row in rows)\n",
    )
    house.insert(
        "slim/reports/run/__init__.py",
        "RUN_REPORTERS: Mapping[str, Reporter[Sequence[RunResult]]] = table(\n",
        '    Reporter(name="toy", summary="for nobody", suffix=".csv", render=late("run.toy")),\n',
    )
    assert "app-main,761" in house.slim("run", "_artifacts", "--dry-run", "--report", "toy=-")
    assert "Write a report (toy, html," in house.slim("run", "--help")
    assert house.completed("run", "--report", "t") == {"toy=", "terminal="}
    assert "| `toy=FILE` | `.csv` | for nobody |" in house.page("commands.md")
    assert house.touched == {"slim/reports/run/toy.py", "slim/reports/run/__init__.py"}


def test_a_pass_is_a_module_a_row_and_a_pack(house: House) -> None:
    example = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
    code = example.partition("## A pass\n")[2].partition("```python\n")[2].partition("```\n")[0]
    assert "class EmptyFiles" in code, "what docs/extending.md shows is what is tried"
    house.write("slim/passes/empty_files.py", code)
    house.insert("slim/passes/__init__.py", "PASSES: tuple[Pass, ...] = (\n", "    EmptyFiles(),\n")
    house.insert(
        "slim/passes/__init__.py",
        "from slim.passes.dylibs import UnusedLibraries\n",
        "from slim.passes.empty_files import EmptyFiles\n",
    )
    house.write(
        "rules/empty-files.toml",
        """\
schema = 1
description = "Empty files"

[[rule]]
id = "empty-markers"
pass = "empty-files"
safety = "safe"
reason = "an empty file in a folder of tests says nothing"
source = "a measurement"
remove = ["$site/*/tests/**"]
examples.match = ["lib/python3.13/site-packages/maths/tests/__init__.py"]
""",
    )
    assert "empty-markers" in house.slim("rules", "list", "--pass", "empty-files")
    assert "empty-files" in house.completed("rules", "list", "--pass", "e")
    assert "## empty-files" in house.page("passes.md")
    explained = house.slim("explain", "_artifacts", "maths/tests/__init__.py")
    assert "empty-markers" in explained
    assert house.touched == {
        "slim/passes/empty_files.py",
        "slim/passes/__init__.py",
        "rules/empty-files.toml",
    }


def test_an_archive_format_is_a_module_and_a_row(house: House) -> None:
    """Another compression of tar files; its hostile cases come with it in tests/corpus."""
    house.write(
        "slim/formats/compression/toy.py",
        "from slim.formats.compression.base import Compression, joined\n"
        "from slim.formats.files import file_chunks\n"
        "\n"
        "def _turned(data):\n"
        "    return bytes(byte ^ 0x55 for byte in data)\n"
        "\n"
        "def _decompress(source, meter):\n"
        "    data = b''.join(file_chunks(source)).removeprefix(b'TOY1')\n"
        "    meter.count(len(data), len(data))\n"
        "    yield _turned(data)\n"
        "\n"
        "def _compress(sections, options):\n"
        "    yield b'TOY1'\n"
        "    yield from map(_turned, joined(sections))\n"
        "\n"
        "TOY = Compression(decompress=_decompress, compress=_compress)\n",
    )
    house.insert(
        "slim/formats/__init__.py",
        "FORMATS: Final[tuple[Format, ...]] = (\n",
        '    _tar("tar.toy", ".toy", ((0, b"TOY1"),), TOY),\n',
    )
    house.insert(
        "slim/formats/__init__.py",
        "from slim.formats.compression.memory import room_here\n",
        "from slim.formats.compression.toy import TOY\n",
    )
    assert "tar.toy" in house.completed("run", "--format", "tar.t")
    house.slim("run", "_artifacts", "-o", "out", "--format", "tar.toy", "-q")
    made = sorted(path.name for path in (house.top / "work/out").glob("*.toy"))
    assert made == ["app-main.tar.toy", "cpython3.13.tar.toy", "framework-maths.tar.toy"]
    assert "maths" in house.slim("audit", "out/framework-maths.tar.toy")
    house.slim("run", "out", "-o", "again", "--format", "tar.xz", "-q")
    assert "`tar.toy`, `tar.xz`" in house.run(
        "-c",
        "import sys; sys.path.insert(0, '../docs'); import generate; print(generate.all_keys())",
    )
    assert house.touched == {"slim/formats/compression/toy.py", "slim/formats/__init__.py"}


def test_a_native_format_is_a_folder_and_a_row(house: House) -> None:
    house.write(
        "slim/binaries/wasm/__init__.py",
        "from slim.binaries.base import ImageKind, NativeInfo\n"
        "from slim.model.record import NativeFormat\n"
        "from slim.model.stack import System\n"
        "\n"
        "WASM = NativeFormat('wasm')\n"
        "MAGIC = b'\\0asm'\n"
        "\n"
        "def describe_wasm(view):\n"
        "    return NativeInfo(\n"
        "        format=WASM, system=System.UNKNOWN, machine='wasm32', bits=32,\n"
        "        kind=ImageKind.EXECUTABLE,\n"
        "    )\n",
    )
    house.insert(
        "slim/binaries/__init__.py",
        "BINARIES: tuple[BinaryFormat, ...] = (\n",
        "    BinaryFormat(\n"
        "        format=wasm.WASM,\n"
        "        title='Wasm',\n"
        "        magics=(wasm.MAGIC,),\n"
        "        describe=wasm.describe_wasm,\n"
        "    ),\n",
    )
    house.insert(
        "slim/binaries/__init__.py",
        "from slim.binaries import ar\n",
        "from slim.binaries import wasm\n",
    )
    folder = house.top / "work/plain"
    folder.mkdir()
    (folder / "module.bin").write_bytes(b"\0asm\1\0\0\0")
    told = house.slim("audit", "plain", "--why", "**/module.bin")
    assert "Wasm for" in told
    assert "wasm32" in told
    assert FileKind.EXECUTABLE.value in house.slim("audit", "plain")
    assert house.touched == {"slim/binaries/wasm/__init__.py", "slim/binaries/__init__.py"}


def test_a_source_is_a_module_and_a_row(house: House) -> None:
    house.write(
        "slim/sources/toy.py",
        "from pathlib import Path\n"
        "from slim.sources.base import Holds, Scheme\n"
        "\n"
        "def _fetch(text, folder, wish):\n"
        "    place = folder / 'stack'\n"
        "    place.mkdir()\n"
        "    (place / 'module.py').write_text('import os\\n' * int(text.removeprefix('toy+')))\n"
        "    return place\n"
        "\n"
        "TOY = Scheme(\n"
        "    name='toy',\n"
        "    holds=Holds.STACK,\n"
        "    recognises=lambda t: t.startswith('toy+'),\n"
        "    fetch=_fetch,\n"
        ")\n",
    )
    house.insert(
        "slim/sources/fetch.py",
        "from slim.sources.path import PATH\n",
        "from slim.sources.toy import TOY\n",
    )
    path = house.top / "slim/sources/fetch.py"
    path.write_text(path.read_text().replace("= (PATH, STORE, GIT)", "= (PATH, STORE, GIT, TOY)"))
    assert "30 B" in house.slim("audit", "toy+3")
    assert "20 B" in house.slim("diff", "toy+1", "toy+3")
    assert house.touched == {"slim/sources/toy.py", "slim/sources/fetch.py"}


def test_a_setting_is_a_field(house: House) -> None:
    house.insert(
        "slim/config/settings.py",
        '            layer_meaning="shipped bytecode of this layer",\n        ),\n    )\n',
        "    toy: bool = field(\n"
        "        default=False,\n"
        '        metadata=setting(Flag(), help="Play.", meaning="whether to play"),\n'
        "    )\n",
    )
    (house.top / "work/slim.toml").write_text(
        "schema = 1\ntoy = true\n[layer.app-main]\ntoy = false"
    )
    told = house.run(
        "-c",
        "import slim; config = slim.load_config('slim.toml');"
        "print(config.toy, config.settings_for('app-main').toy, slim.load_config(toy=True).toy)",
    )
    assert told == "True False True\n"
    assert "--toy" in house.completed("run", "--t")
    assert "Play." in house.slim("run", "--help")
    assert house.touched == {"slim/config/settings.py"}


def test_a_command_is_a_module_and_a_row(house: House) -> None:
    house.write(
        "slim/cli/toy.py",
        "import click\n"
        "from slim.cli.options import SectionCommand\n"
        "\n"
        "@click.command('toy', cls=SectionCommand, examples=[('slim toy', 'play')])\n"
        "def toy_command():\n"
        '    """Play."""\n'
        "    click.echo('played')\n",
    )
    house.insert(
        "slim/cli/__init__.py",
        "COMMANDS = {\n",
        '    "toy": LateCommand("slim.cli.toy:toy_command", "Play."),\n',
    )
    assert house.slim("toy") == "played\n"
    assert "Play." in house.slim("--help")
    assert house.completed("to") == {"toy"}
    assert "## slim toy" in house.page("commands.md")
    assert house.touched == {"slim/cli/toy.py", "slim/cli/__init__.py"}
