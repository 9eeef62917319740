"""The ``[gpu]`` table of a configuration, and every mistake in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from slim.config.load import load_config
from slim.errors import ConfigError
from slim.model.gpu_target import GpuSettings, parse_target
from slim.passes import SCHEMAS


def load(folder: Path, text: str) -> GpuSettings | None:
    file = folder / "slim.toml"
    file.write_text(f"schema = 1\n{text}", encoding="utf-8")
    return load_config(SCHEMAS, file=file).gpu


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    return [f"{one.place}: {one.message}" for one in caught.value.problems]


def test_nothing_is_done_without_the_table(tmp_path: Path) -> None:
    assert load(tmp_path, "") is None


def test_devices_are_read(tmp_path: Path) -> None:
    text = '[gpu]\narchitectures = ["sm_86", "8.9+ptx", "H100"]\nnvidia_licence_allows = true\n'
    assert load(tmp_path, text) == GpuSettings(
        targets=(parse_target("sm_86"), parse_target("8.9+ptx"), parse_target("sm_90")),
        nvidia_licence_allows=True,
    )


def test_code_may_be_compressed_again_and_none_go(tmp_path: Path) -> None:
    assert load(tmp_path, "[gpu]\nrecompress = true\n") == GpuSettings(recompress=True)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("", ["gpu.architectures: is missing"]),
        ("recompress = false", ["gpu.architectures: is missing"]),
        ('recompress = "yes"', ["gpu.recompress: expected true or false"]),
        ("architectures = []", ["gpu.architectures: name at least one"]),
        ('architectures = "sm_90"', ["gpu.architectures: expected an array of strings"]),
        (
            'architectures = ["sm_90", "H200", "sm_90a", "RTX 4009", 90]\nnvidia = true',
            [
                "gpu.nvidia: unknown key",
                "gpu.architectures[4]: expected a string",
                "gpu.architectures[1]: 'H200' is sm_90, which is listed already",
                "gpu.architectures[2]: 'sm_90a': devices have no suffix",
                "gpu.architectures[3]: 'RTX 4009' is neither",
            ],
        ),
        (
            'architectures = ["sm_90"]\nnvidia_licence_allows = 1',
            ["gpu.nvidia_licence_allows: expected true or false"],
        ),
    ],
)
def test_every_mistake_is_told_at_once(tmp_path: Path, table: str, expected: list[str]) -> None:
    found = problems(tmp_path, f"[gpu]\n{table}\n")
    assert len(found) == len(expected), found
    for wanted in expected:
        assert any(one.startswith(wanted) for one in found), (wanted, found)


def test_a_card_that_is_almost_known_is_suggested(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, '[gpu]\narchitectures = ["RTX 4009"]\n')
    assert caught.value.problems[0].hint == "did you mean 'RTX 4090'?"
