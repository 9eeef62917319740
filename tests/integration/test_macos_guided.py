"""A Mac traces and verifies, Linux slims: a product of real wheels for macOS, the whole way.

The runs are recorded on this Linux, with the same versions of the same packages, and told as a Mac
would record them. The report of the Mac's trial is this host's, told to be the Mac's: nothing of
macOS runs here.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import platform
import posixpath
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lief
import pytest

from slim.cli import main
from slim.formats import read_archive
from slim.formats.base import ReadOptions
from slim.verification.native.macho import check, check_layout
from tests.support.two_machines import TwoMachines

pytestmark = [
    pytest.mark.slow,
    pytest.mark.network,
    pytest.mark.skipif(sys.platform != "linux", reason="records runs of wheels for Linux"),
    pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the names of glibc's wheels"),
    pytest.mark.xdist_group("macos-guided"),
]

FRAMEWORKS = {
    "framework-pictures": ["pillow"],
    "framework-words": [
        *("pydantic", "pydantic-core", "annotated-types", "typing-extensions"),
        *("typing-inspection", "h11"),
    ],
}
PRODUCT = {
    "desk/__init__.py": "",
    "desk/__main__.py": """
import io
import h11, pydantic
from PIL import Image

class Wish(pydantic.BaseModel):
    size: pydantic.PositiveInt

size = Wish(size="8").size
stream = io.BytesIO()
Image.new("RGB", (size, size)).save(stream, "PNG")
request = h11.Request(method="GET", target="/", headers=[("Host", "x")])
asked = h11.Connection(h11.CLIENT).send(request)
print(Image.open(stream).size, asked)
""",
}
CONFIG = """
schema = 1
profile = "guided"
format = "tar"
[guided]
traces = ["{trace}"]
[guided.families]
"PIL." = "traced"
[[verify.command]]
name = "desk"
layer = "app-desk"
argv = ["python", "-m", "desk"]
same_output = true
"""
PICTURES, WORDS, DESK = *FRAMEWORKS, "app-desk"


@dataclass(frozen=True)
class Way:
    """The folder in which all was done, and the stacks in it."""

    folder: Path
    stacks: TwoMachines

    def run(self, out: str, *options: str, trace: str = "mac.trace") -> int:
        """Make the Mac's stack smaller, or plan it, with the report beside the result."""
        (self.folder / "slim.toml").write_text(CONFIG.format(trace=trace))
        report = f"json={self.folder / out}.json"
        given = ["--config", str(self.folder / "slim.toml"), "--report", report, "-q", *options]
        if "--dry-run" not in options:
            given += ["-o", str(self.folder / out)]
        return main(["run", str(self.stacks.mac), *given])

    def report(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / f"{name}.json").read_text())
        return found

    def gone(self, out: str, *rules: str) -> set[str]:
        """Paths that went by one of these rules, or by any."""
        (one,) = self.report(out)["runs"]
        return {
            action["path"]
            for action in one["actions"]
            if action["action"] == "remove" and (not rules or action["rule"] in rules)
        }

    def layer(self, out: str, name: str) -> dict[str, bytes]:
        """The files of a layer's archive."""
        return contents(self.folder / out / f"{name}.tar")


def contents(archive: Path) -> dict[str, bytes]:
    with read_archive(archive, ReadOptions(spool_dir=archive.parent)) as tree:
        return {
            path: bytes(member.content.view())
            for path, member in tree.members.items()
            if member.content is not None
        }


@pytest.fixture(scope="module")
def way(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    """Traces of both machines, the candidate, the trial of the Mac, and what is shipped."""
    folder = tmp_path_factory.mktemp("two-machines")
    stacks = TwoMachines(folder, FRAMEWORKS, PRODUCT)
    found = Way(folder, stacks)
    (folder / "slim.toml").write_text(CONFIG.format(trace="linux.trace"))
    given = ["--config", str(folder / "slim.toml"), "-q"]
    assert main(["trace", str(stacks.linux), "-o", str(folder / "linux.trace"), *given]) == 0
    text = (folder / "linux.trace").read_text()
    (folder / "mac.trace").write_text(stacks.as_of_a_mac(text))
    assert found.run("candidate", "--unverified") == 0
    verified = ["--report", f"json={folder / 'verify.json'}", *given]
    (folder / "slim.toml").write_text(CONFIG.format(trace="mac.trace"))
    assert main(["verify", str(stacks.mac), str(folder / "candidate"), *verified]) == 0
    told = found.report("verify")
    launch = {"name": "launch", "tried": 1, "passed": True, "failures": [], "note": ""}
    told["runs"][0]["verification"]["checks"].append(launch)
    (folder / "mac.json").write_text(json.dumps(told))
    assert found.run("shipped", "--tried", str(folder / "mac.json")) == 0
    yield found


def test_what_no_run_used_goes_with_its_libraries(way: Way) -> None:
    used = way.gone("shipped", "never-used", "never-loaded")
    modules = {posixpath.basename(path).partition(".")[0] for path in used}
    assert {"_avif", "_webp", "AvifImagePlugin", "libavif", "libwebp"} <= modules
    assert not {"_imaging", "PngImagePlugin", "libtiff", "libjpeg", "libxcb", "libXau"} & modules
    assert not {"_pydantic_core", "_connection", "zlib", "_ssl"} & modules
    # What modules import on a Mac only: no run on Linux has.
    assert not {"_osx_support", "popen_spawn_posix"} & modules
    for layer in (way.stacks.runtime, PICTURES, WORDS, DESK):
        assert way.layer("shipped", layer) == way.layer("candidate", layer)


def libraries(data: bytes) -> tuple[set[str], list[str]]:
    """Install names and search paths of a Mach-O file, as LIEF reads them."""
    names, rpaths = set(), []
    fat = lief.MachO.parse(list(data))  # its images live as long as it does
    assert fat is not None
    for image in fat:
        own = lief.MachO.LoadCommand.TYPE.ID_DYLIB
        names |= {str(one.name) for one in image.libraries if one.command != own}
        rpaths += [str(rpath.path) for rpath in image.rpaths]
    return names, rpaths


def meant(path: str, files: Mapping[str, bytes]) -> set[str]:
    """Files of the layer that dyld would load for the one at ``path``."""
    names, rpaths = libraries(files[path])
    here = posixpath.dirname(path)
    found = set()
    for name in names:
        start, _, rest = name.partition("/")
        for base in rpaths if start == "@rpath" else [start]:
            if base.partition("/")[0] == "@loader_path":
                place = posixpath.join(here, base.partition("/")[2], rest)
                found.add(posixpath.normpath(place))
    return found & files.keys()


def test_every_library_that_dyld_loads_is_there_and_every_signature_holds(way: Way) -> None:
    linked = edited = 0
    for layer in (PICTURES, WORDS):
        before, after = contents(way.stacks.mac / f"{layer}.tar"), way.layer("shipped", layer)
        for path, data in after.items():
            if not path.endswith((".so", ".dylib")):
                continue
            needed = meant(path, before)
            assert needed <= after.keys(), path
            assert check_layout(data) == [], path
            linked += len(needed)
            if data != before[path]:
                edited += 1
                assert check(before[path], data) == [], path
                assert libraries(data) == libraries(before[path]), path
    assert linked > 5
    assert edited > 5


def rows(files: Mapping[str, bytes]) -> Iterator[tuple[str, str, str]]:
    """Path, digest and size of each row of each RECORD."""
    for path, data in files.items():
        if path.endswith(".dist-info/RECORD"):
            site = posixpath.dirname(posixpath.dirname(path))
            for name, digest, size in csv.reader(io.StringIO(data.decode())):
                yield posixpath.normpath(posixpath.join(site, name)), digest, size


def test_each_record_is_true_and_each_rest_pack_brings_back_what_standard_leaves(way: Way) -> None:
    assert way.run("standard", "--profile", "standard") == 0
    for layer in (way.stacks.runtime, PICTURES, WORDS):
        shipped, standard = way.layer("shipped", layer), way.layer("standard", layer)
        pack = contents(way.folder / "shipped" / "rest" / f"{layer}.rest.tar.xz")
        both = {**shipped, **pack}
        assert pack.keys() - shipped.keys()
        assert {path for path, data in standard.items() if both.get(path) != data} == set()
        added = {path for path in both.keys() - standard.keys() if "slim_guard" not in path}
        assert added == set()
        for files in (shipped, both):
            for path, digest, size in rows(files):
                data = files[path]
                assert size in ("", str(len(data))), path
                want = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=")
                assert digest in ("", f"sha256={want.decode()}"), path
        (table,) = [path for path in shipped if path.endswith("slim_guard/removed-1.txt")]
        told = {line.split("\t")[0] for line in shipped[table].decode().splitlines()}
        if layer == PICTURES:
            assert {"PIL.AvifImagePlugin", "PIL._avif"} <= told


def test_without_a_report_or_with_one_of_another_result_nothing_is_published(
    way: Way, capsys: pytest.CaptureFixture[str]
) -> None:
    assert way.run("out") == 2
    assert way.run("out", "--verify") == 2
    other = ["--tried", str(way.folder / "mac.json"), "--guard", "off", "--rest-pack", "none"]
    assert way.run("out", *other) == 2
    assert "another result" in " ".join(capsys.readouterr().err.split())
    assert not (way.folder / "out").exists()


def test_without_a_trace_of_a_mac_nothing_goes_by_traces(way: Way) -> None:
    assert way.run("untraced", "--dry-run", trace="linux.trace") == 0
    assert way.gone("untraced", "never-used", "never-loaded") == set()


def test_versions_that_were_never_traced_and_files_without_a_witness_stay(way: Way) -> None:
    text = (way.folder / "mac.trace").read_text()
    (core,) = [line for line in text.splitlines() if line.startswith("  distribution pydantic ")]
    text = text.replace(core, "  distribution pydantic 2.0").replace("recorder times", "recorder")
    (way.folder / "other.trace").write_text(text)
    assert way.run("other", "--dry-run", trace="other.trace") == 0
    used = way.gone("other", "never-used", "never-loaded")
    assert not [path for path in used if "/pydantic/" in path]
    assert not [path for path in used if path.endswith((".so", ".dylib"))]
    assert [path for path in used if "/PIL/" in path]
    assert [path for path in way.gone("shipped", "never-used") if "/pydantic/" in path]
