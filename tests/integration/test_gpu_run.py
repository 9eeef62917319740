"""A run with ``[gpu]`` on a published stack: the result, its manifest, and what verify says."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from slim.cli import main
from tests.support.gpu_libraries import Library, code
from tests.support.published_stacks import SITE, LayerSpec, distribution, merge, publish

DATA = Library(containers=[code(80, 90), code(75, 86, 90)]).build()
FILES = merge(
    distribution("own", {"own/__init__.py": b"", "own/x.so": DATA}),
    distribution("nvidia-fast", {"fast/y.so": DATA}, version="2.0"),
)


@pytest.fixture(autouse=True)
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    publish(
        Path("stack"),
        {
            "cpython3.13": LayerSpec("runtime", {"bin/python": "#!/bin/sh\n"}),
            "app-main": LayerSpec("application", FILES),
        },
    )


def library(folder: str, name: str) -> bytes:
    with tarfile.open(Path(folder) / "app-main.tar.xz") as archive:
        member = archive.extractfile(f"app-main/{SITE}/{name}")
        assert member is not None
        return member.read()


def note(folder: str) -> dict[str, object]:
    manifest = json.loads((Path(folder) / "__venvstacks__/venvstacks.json").read_text("utf-8"))
    (layer,) = manifest["layers"]["applications"]
    found = layer["slim"]
    assert isinstance(found, dict)
    return found


def run(*arguments: str, gpu: str = "") -> int:
    Path("slim.toml").write_text(f"schema = 1\n{gpu}", encoding="utf-8")
    return main(["run", "stack", *arguments])


def test_a_run_keeps_code_by_device(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("-o", "out", "--json", gpu='[gpu]\narchitectures = ["sm_90"]\n') == 0
    told = json.loads(capsys.readouterr().out)
    assert any("hasn't run any of it on one" in text for text in told["runs"][0]["warnings"])
    edited = library("out", "own/x.so")
    assert len(edited) < len(DATA) - 4 * 4096
    assert library("out", "fast/y.so")[-100:] != b""
    assert note("out")["gpu"] == {"architectures": ["sm_90"]}
    assert main(["verify", "stack", "out", "--json"]) == 0
    checks = json.loads(capsys.readouterr().out)["runs"][0]["verification"]["checks"]
    (edits,) = [one for one in checks if one["name"] == "edits"]
    assert edits["failures"] == []
    again = ["run", "out", "-o", "again", "--json"]
    assert main(again) == 0
    assert library("again", "own/x.so") == edited
    assert note("again")["gpu"] == {"architectures": ["sm_90"]}


def test_nvidias_own_are_changed_where_the_user_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = '[gpu]\narchitectures = ["sm_90"]\n'
    assert run("-o", "without", "--json", gpu=table) == 0
    capsys.readouterr()
    assert run("-o", "with", "--json", gpu=f"{table}nvidia_licence_allows = true\n") == 0
    (told,) = json.loads(capsys.readouterr().out)["runs"]
    assert any("nvidia-fast 2.0" in text for text in told["notes"])
    assert len(library("without", "fast/y.so")) > len(library("with", "fast/y.so")) + 4 * 4096


def test_without_the_table_the_bytes_are_those_of_a_run_without_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What a table of other tests did must not be seen here: same bytes, no note, no warning."""
    assert run("-o", "out", "--json") == 0
    told = capsys.readouterr().out
    assert "gpu" not in note("out")
    assert "GPU" not in told
    for name in ("own/x.so", "fast/y.so"):
        data = library("out", name)
        assert data[: DATA.index(b"GCC") - 4096][64:] == DATA[: DATA.index(b"GCC") - 4096][64:]
