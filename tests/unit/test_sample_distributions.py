"""Installed distributions as a layer's packages."""

from __future__ import annotations

import csv
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from slim.errors import StorageError
from slim.sample.contents import LayerContents
from slim.sample.distributions import ROOTS, add_distribution, closure

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def installed(site: Path, record: str | None, *, requires: str = "") -> metadata.Distribution:
    """A distribution called ``demo`` in a made-up site-packages."""
    info = site / "demo-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n{requires}")
    (site / "demo").mkdir()
    (site / "demo" / "__init__.py").write_text("")
    (site / "demo" / "two, words.txt").write_text("data")
    if record is not None:
        (info / "RECORD").write_text(record)
    return metadata.Distribution.at(info)


RECORD = """\
../../../bin/demo,sha256=abc,10
/etc/demo.conf,,
demo/__init__.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0
demo/__pycache__/__init__.cpython-311.pyc,,
"demo/two, words.txt",sha256=xyz,4
demo-1.0.dist-info/METADATA,sha256=def,50
demo-1.0.dist-info/RECORD,,
"""


def test_the_sample_holds_what_slim_requires() -> None:
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    required = {canonicalize_name(Requirement(line).name) for line in project["dependencies"]}
    assert required - set(ROOTS) == {"lief", "macholib", "platformdirs"}  # large, or like others
    assert set(ROOTS) < required


def test_the_closure_follows_requirements_and_not_extras() -> None:
    found = closure(["rich"])
    assert {"rich", "pygments", "markdown-it-py", "mdurl"} <= set(found)
    assert "ipywidgets" not in found  # only for the extra "jupyter"
    assert list(found) == sorted(found)


def test_a_distribution_that_is_missing_is_named() -> None:
    with pytest.raises(StorageError, match="surely-not-installed"):
        closure(["Surely_Not.Installed"])


def test_scripts_and_bytecode_stay_behind_and_the_record_says_so(tmp_path: Path) -> None:
    contents = LayerContents()
    add_distribution(contents, "site", installed(tmp_path / "site", RECORD))
    assert contents.paths() == [
        "site/demo-1.0.dist-info/METADATA",
        "site/demo-1.0.dist-info/RECORD",
        "site/demo/__init__.py",
        "site/demo/two, words.txt",
    ]
    record = next(
        member.content for member in contents.members() if member.path.endswith("/RECORD")
    )
    assert record is not None
    rows = list(csv.reader(bytes(record.view()).decode().splitlines()))
    assert rows == [
        ["demo/__init__.py", "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU", "0"],
        ["demo/two, words.txt", "sha256=xyz", "4"],
        ["demo-1.0.dist-info/METADATA", "sha256=def", "50"],
        ["demo-1.0.dist-info/RECORD", "", ""],
    ]


def test_without_a_record_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"demo: .*RECORD.*\n.*virtual environment"):
        add_distribution(LayerContents(), "site", installed(tmp_path / "site", None))


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    distribution = installed(tmp_path / "site", "demo/gone.py,,\ndemo-1.0.dist-info/RECORD,,\n")
    with pytest.raises(StorageError, match=r"gone\.py"):
        add_distribution(LayerContents(), "site", distribution)
