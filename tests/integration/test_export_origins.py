"""Exports hold absolute paths into themselves: the report of a run tells, and says what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from slim.config.load import load_config
from slim.passes import SCHEMAS
from slim.pipeline.stages import RunRequest, run
from tests.support.published_stacks import SITE, write_json

LAYERS: dict[str, Any] = {
    "runtimes": [{"install_target": "cpython3.13", "layer_name": "cpython3.13"}],
    "applications": [
        {"install_target": "app", "layer_name": "app", "required_layers": ["cpython3.13"]}
    ],
}


def export(folder: Path, files: dict[str, str]) -> Path:
    """Write an export; ``{}`` in a text stands for its absolute path."""
    every = {"cpython3.13/bin/python": "x", "app/main.py": "", **files}
    for name, text in every.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("{}", str(folder.resolve())))
    (folder / "__venvstacks__").mkdir()
    write_json(folder / "__venvstacks__/venvstacks.json", {"layers": LAYERS})
    return folder


def warnings(source: Path, output: Path) -> list[str]:
    request = RunRequest(source=source, output=output, config=load_config(SCHEMAS))
    (result,) = run(request)
    return [text for text in result.plan.warnings if "lead into the folder" in text]


def test_an_export_is_told_to_run_its_post_install_step_anew(tmp_path: Path) -> None:
    source = export(
        tmp_path / "_export",
        {
            "app/postinstall.py": "",
            "app/pyvenv.cfg": "home = {}/cpython3.13/bin\n",
            f"app/{SITE}/sitecustomize.py": "import site; site.addsitedir('{}/framework')\n",
            "app/bin/tool": "#!{}/app/bin/python\n",
        },
    )
    (warning,) = warnings(source, tmp_path / "out")
    assert warning.startswith(f"app: bin/tool, {SITE}/sitecustomize.py, pyvenv.cfg: absolute paths")
    assert "in OUT: cpython3.13/bin/python app/postinstall.py, and write bin/tool anew" in warning


@pytest.mark.parametrize(
    ("name", "text", "is_told"),
    [
        ("pyvenv.cfg", "home = {}/cpython3.13/bin\n", True),
        ("pyvenv.cfg", "home = {}\n", True),
        ("pyvenv.cfg", "home = /usr/bin\ncommand = python -m venv {}/app\n", False),
        ("pyvenv.cfg", "home = {}-other/bin\n", False),
        ("pyvenv.cfg", "home = /mnt{}/bin\n", False),
        ("pyvenv.cfg", "home = ../cpython3.13/bin\n", False),
        (f"{SITE}/paths.pth", "{}/framework/site-packages\n", True),
        ("python313._pth", "{}/framework\n", True),
        ("bin/tool", "#!/bin/sh\n'''exec' {}/app/bin/python \"$0\"\n", True),
        ("bin/activate", "VIRTUAL_ENV={}/app\n", True),
        ("Scripts/activate.bat", "set VIRTUAL_ENV={}/app\n", True),
        (f"{SITE}/usercustomize.py", "import sys; sys.path.append('{}/framework')\n", True),
        (f"{SITE}/__editable___own_1_0_finder.py", "MAPPING = {'own': '{}/own'}\n", True),
        ("share/jupyter/kernels/python3/kernel.json", '{"argv": ["{}/app/bin/python"]}', True),
        ("share/notes.txt", "{}/app\n", False),
        (f"{SITE}/far.pth", "#" * 65_536 + "{}/app\n", False),
    ],
)
def test_which_files_lead_back(name: str, text: str, is_told: bool, tmp_path: Path) -> None:
    source = export(tmp_path / "_export", {f"app/{name}": text})
    found = warnings(source, tmp_path / "out")
    assert len(found) == is_told
    assert all(f"write {name} anew" in warning for warning in found)


def test_a_plain_folder_under_a_link_is_told_too(tmp_path: Path) -> None:
    source = tmp_path / "real"
    (source / "bin").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    (source / "bin/tool").write_text(f"#!{tmp_path / 'link'}/bin/python\n")
    (source / "bin/other").write_text(f"#!{source}/bin/python\n")
    (warning,) = warnings(tmp_path / "link", tmp_path / "out")
    assert "bin/other, bin/tool" in warning
