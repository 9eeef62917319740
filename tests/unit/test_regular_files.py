"""What is read whole is a regular file within a bound: not a device without an end, not a pipe."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from slim.errors import ConfigError, UnsafeInputError
from slim.fleet.inputs import published_digest
from slim.inventory.manifest import read_json
from slim.pipeline.elsewhere import read_trials
from slim.system.regular import NotRegularError, TooLargeError, read_regular
from slim.system.toml_table import MAX_TOML_SIZE, read_text

needs_fifo = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "__venvstacks__" / "pipe.json"
    path.parent.mkdir()
    os.mkfifo(path)
    return path


def test_a_file_of_just_the_limit_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"12345")
    assert read_regular(file, 5) == b"12345"
    with pytest.raises(TooLargeError):
        read_regular(file, 4)


def test_an_empty_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    assert read_regular(tmp_path / "a", 0) == b""


@needs_fifo
def test_a_pipe_without_a_writer_is_refused_at_once(pipe: Path) -> None:
    with pytest.raises(NotRegularError):
        read_regular(pipe, 10)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no such device")
def test_a_device_without_an_end_is_no_configuration() -> None:
    with pytest.raises(ConfigError, match="not a regular file"):
        read_text(Path("/dev/zero"))


@needs_fifo
def test_a_pipe_is_no_configuration(pipe: Path) -> None:
    with pytest.raises(ConfigError, match="not a regular file"):
        read_text(pipe)


@needs_fifo
def test_a_pipe_is_no_manifest(pipe: Path) -> None:
    with pytest.raises(UnsafeInputError, match="not a regular file"):
        read_json(pipe)


def test_a_configuration_is_bounded(tmp_path: Path) -> None:
    file = tmp_path / "slim.toml"
    with file.open("wb") as stream:
        stream.truncate(MAX_TOML_SIZE + 1)
    with pytest.raises(ConfigError, match=f"more than {MAX_TOML_SIZE} bytes"):
        read_text(file)


@needs_fifo
def test_a_pipe_is_no_report_of_a_trial(pipe: Path) -> None:
    with pytest.raises(UnsafeInputError, match="not a regular file"):
        read_trials([pipe])


@needs_fifo
def test_a_pipe_is_no_manifest_of_what_a_fleet_published_before(pipe: Path) -> None:
    with pytest.raises(UnsafeInputError, match="not a regular file"):
        published_digest(str(pipe.parent.parent))
