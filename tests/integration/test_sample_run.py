"""The sample stack through all of slim: built, run, deployed by the system's tar, started."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from slim.config.load import load_config
from slim.errors import ConfigError
from slim.model.outcome import RunResult
from slim.passes import SCHEMAS
from slim.pipeline.stages import RunRequest, run
from slim.sample import APPLICATION, LAUNCH_MODULE
from slim.sample.build import build_sample
from tests.support.deployed_stacks import archived_size, deploy, entries, launch, python, tree_size

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="deploys with tar and POSIX layers"),
    pytest.mark.skipif(
        shutil.which("tar") is None or shutil.which("bash") is None, reason="needs tar and bash"
    ),
    pytest.mark.xdist_group("sample"),
]


@dataclass(frozen=True)
class Sample:
    """The stack as published and deployed, before and after."""

    published: Path
    deployed: Path
    slimmed: Path
    slimmed_deployed: Path
    result: RunResult
    state_before: dict[str, object]


def state(folder: Path) -> dict[str, object]:
    """Return all that could change in a folder: content, times, link counts, modes."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path.relative_to(folder))] = (
            digest,
            status.st_mtime_ns,
            status.st_nlink,
            status.st_mode,
        )
    return found


def slim(source: Path, output: Path) -> RunResult:
    (result,) = run(RunRequest(source=source, output=output, config=load_config(SCHEMAS)))
    return result


@pytest.fixture(scope="module")
def sample(sample_stack: Path, tmp_path_factory: pytest.TempPathFactory) -> Sample:
    top = tmp_path_factory.mktemp("sample")
    published = sample_stack
    before = state(published)
    result = slim(published, top / "slimmed")
    return Sample(
        published=published,
        deployed=deploy(published, top / "deployed"),
        slimmed=top / "slimmed",
        slimmed_deployed=deploy(top / "slimmed", top / "slimmed-deployed"),
        result=result,
        state_before=before,
    )


def test_the_application_says_the_same(sample: Sample) -> None:
    before = launch(sample.deployed, APPLICATION, LAUNCH_MODULE)
    assert len(before.splitlines()) == 1
    assert json.loads(before)["text"]["click"] == 42
    assert launch(sample.slimmed_deployed, APPLICATION, LAUNCH_MODULE) == before


def test_a_layer_runs_from_its_own_files_only(sample: Sample) -> None:
    loaded = python(
        sample.deployed,
        APPLICATION,
        "import sys, json, zstandard, rich, sqlite3, _ctypes\n"
        "files = [getattr(m, '__file__', None) for m in list(sys.modules.values())]\n"
        "maps = open('/proc/self/maps').read() if sys.platform == 'linux' else ''\n"
        "files += [line.split()[-1] for line in maps.splitlines() if 'libpython' in line]\n"
        "print(json.dumps(sorted({f for f in files if f})))",
    )
    assert loaded
    assert [
        file
        for file in loaded
        if not Path(file).resolve().is_relative_to(sample.deployed.resolve())
    ] == []


def test_it_is_much_smaller(sample: Sample) -> None:
    assert archived_size(sample.slimmed) < archived_size(sample.published) / 2
    assert tree_size(sample.slimmed_deployed) < tree_size(sample.deployed) * 0.6


def test_what_the_run_says_is_what_is_on_the_disk(sample: Sample) -> None:
    by_name = {entry["install_target"]: entry for entry in entries(sample.slimmed)}
    for layer in sample.result.layers:
        archive = sample.slimmed / by_name[layer.layer.name]["archive_name"]
        data = archive.read_bytes()
        assert layer.after.archive == len(data) == by_name[layer.layer.name]["archive_size"]
        assert layer.archive_sha256 == hashlib.sha256(data).hexdigest()
        assert by_name[layer.layer.name]["archive_hashes"] == {"sha256": layer.archive_sha256}
        deployed = sample.slimmed_deployed / layer.layer.name
        made_later = {"pyvenv.cfg", "sitecustomize.py"}
        sizes = [
            path.stat().st_size
            for path in deployed.rglob("*")
            if path.is_file()
            and not path.is_symlink()
            and path.suffix != ".pyc"
            and path.name not in made_later
        ]
        assert layer.after.unpacked == sum(sizes)


def test_the_estimate_of_bytecode_is_near_the_truth(sample: Sample) -> None:
    estimated = sum(layer.after.bytecode for layer in sample.result.layers)
    compiled = sum(path.stat().st_size for path in sample.slimmed_deployed.rglob("*.pyc"))
    assert abs(estimated - compiled) < 0.15 * compiled


@pytest.mark.parametrize("which", ["deployed", "slimmed_deployed"])
def test_every_record_is_true(sample: Sample, which: str) -> None:
    site = next(
        (getattr(sample, which) / "framework-sample" / "lib").glob("python3*/site-packages")
    )
    found = list(metadata.distributions(path=[str(site)]))
    assert len(found) > 8
    named: set[Path] = set()
    for distribution in found:
        record = distribution.read_text("RECORD")
        assert record is not None
        for name, digest, size in csv.reader(record.splitlines()):
            path = site / name
            data = path.read_bytes()
            named.add(path)
            if digest:
                kind, _, expected = digest.partition("=")
                actual = (
                    base64.urlsafe_b64encode(hashlib.new(kind, data).digest()).rstrip(b"=").decode()
                )
                assert (name, actual, str(len(data))) == (name, expected, size)
    files = {path for path in site.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert files - named == {site / "sitecustomize.py"}


def test_requirements_are_still_met(sample: Sample) -> None:
    """The question of ``pip check``, asked of the slimmed framework."""
    site = next(
        (sample.slimmed_deployed / "framework-sample" / "lib").glob("python3*/site-packages")
    )
    versions = {
        canonicalize_name(d.metadata["Name"]): d.version
        for d in metadata.distributions(path=[str(site)])
    }
    broken = []
    for distribution in metadata.distributions(path=[str(site)]):
        for requirement in map(Requirement, distribution.requires or ()):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                installed = versions.get(canonicalize_name(requirement.name))
                if installed is None or not requirement.specifier.contains(
                    installed, prereleases=True
                ):
                    broken.append(
                        f"{distribution.metadata['Name']} needs {requirement}, there is {installed}"
                    )
    assert broken == []


def test_the_input_was_not_touched(sample: Sample) -> None:
    assert state(sample.published) == sample.state_before


def test_slimming_again_changes_nothing(sample: Sample, tmp_path: Path) -> None:
    slim(sample.slimmed, tmp_path / "again")
    first = {
        path.relative_to(sample.slimmed): path.read_bytes() for path in sample.slimmed.rglob("*.*")
    }
    again = {
        path.relative_to(tmp_path / "again"): path.read_bytes()
        for path in (tmp_path / "again").rglob("*.*")
    }
    assert first.keys() == again.keys()
    assert [str(path) for path in first if first[path] != again[path]] == []


def test_the_sample_is_never_built_over_something(sample: Sample) -> None:
    with pytest.raises(ConfigError, match="isn't empty"):
        build_sample(sample.published)
