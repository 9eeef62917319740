"""The library's functions: where they are found, and that the command line has none besides."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import slim
from slim import api, fleet
from slim.cli import COMMANDS
from tests.support.docs_examples import blocks

TOP = Path(slim.__file__).parent


def test_the_package_exports_what_the_library_has() -> None:
    assert slim.__all__ == api.__all__ == sorted(api.__all__)
    assert set(api.__all__) <= set(dir(slim))
    for name in api.__all__:
        assert getattr(slim, name) is getattr(api, name)


def test_no_room_has_the_name_of_a_function() -> None:
    """Importing ``slim.x`` sets the attribute ``x`` of the package, and would hide a function."""
    rooms = {module.name for module in pkgutil.iter_modules([str(TOP)])}
    assert rooms & set(api.__all__) == set()


def test_functions_stay_whatever_is_imported() -> None:
    code = (
        "import pkgutil, importlib, slim, slim.api;"
        "[importlib.import_module(f'slim.{m.name}') for m in pkgutil.iter_modules(slim.__path__)"
        " if m.name != '__main__'];"
        "assert all(callable(getattr(slim, name)) for name in slim.__all__)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_there_isnt_is_said_as_usual() -> None:
    with pytest.raises(AttributeError, match="module 'slim' has no attribute 'slimmer'"):
        _ = slim.slimmer  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", api.__all__)
def test_a_function_is_documented_and_typed(name: str) -> None:
    function = getattr(api, name)
    signature = inspect.signature(function)
    words = inspect.getdoc(function) or ""
    assert words.splitlines()[0].endswith((".", ":"))
    assert signature.return_annotation not in (inspect.Signature.empty, "Any")
    common = {"config", "progress", "platforms", "force", "output"}
    for parameter in signature.parameters.values():
        assert parameter.annotation is not inspect.Parameter.empty
        assert (
            parameter.name in common
            or f"``{parameter.name}" in words
            or _shown(parameter.name, words)
        ), f"{name}: {parameter.name} isn't explained"


def _shown(parameter: str, words: str) -> bool:
    return parameter in words.replace("`", " ").replace(",", " ").replace(".", " ").split()


def test_every_command_is_a_function_of_the_library() -> None:
    """Or several: ``slim delta`` makes and applies, ``slim rules`` shows what is configured."""
    functions = {
        "cache": ("cache_stats", "prune_cache", "verify_cache"),
        "delta": ("make_delta", "apply_delta"),
        "demo": ("build_sample", "run"),
        "rules": ("load_config", "check_rules"),
    }
    for name, command in COMMANDS.items():
        if name == "fleet":
            continue  # a room over the library, with functions of its own
        module = importlib.import_module(command.reference.partition(":")[0])
        source = Path(module.__file__ or "").read_text(encoding="utf-8")
        for function in functions.get(name, (name,)):
            called = f"api.{function}(" in source or function == "load_config"
            assert called, f"slim {name} doesn't call api.{function}"
            assert function in api.__all__


def test_every_function_of_a_fleet_is_used_by_its_command() -> None:
    source = (TOP / "cli/fleet.py").read_text(encoding="utf-8")
    assert [name for name in fleet.__all__ if f"fleet.{name}(" not in source] == []


def test_every_function_has_an_example() -> None:
    """Which tests/integration/test_docs_examples.py runs."""
    page = (TOP.parent / "docs/api.md").read_text(encoding="utf-8")
    examples = "".join(block.body for block in blocks(page) if block.language == "python")
    assert [name for name in api.__all__ if f"slim.{name}(" not in examples] == []
    assert [name for name in fleet.__all__ if f"fleet.{name}(" not in examples] == []


def test_settings_are_those_of_the_table(tmp_path: Path) -> None:
    config = slim.load_config(profile="safe", keep="**/data/**", drop=["sympy"], memory="2 GB")
    assert config.profile.label == "safe"
    assert config.keep == ("**/data/**",)
    assert [drop.name for drop in config.drop] == ["sympy"]
    assert config.memory == 2_000_000_000
    with pytest.raises(TypeError, match="no setting 'profil'"):
        slim.load_config(profil="safe")


def test_a_configuration_is_that_of_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stack").mkdir()
    (tmp_path / "slim.toml").write_text('schema = 1\nprofile = "aggressive"\n')
    (tmp_path / "slim.keep.toml").write_text('schema = 1\n[layer.app]\nkeep = ["x"]\n')
    assert slim.load_config().profile.label == "standard", "no file is read unless one is meant"
    found = slim.load_config(inputs=[tmp_path / "stack"])
    named = slim.load_config(tmp_path / "slim.toml")
    for config in (found, named):
        assert config.profile.label == "aggressive"
        assert config.settings_for("app").keep == ("x",)
