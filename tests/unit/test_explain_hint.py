"""A path that no file has: explain says which file may be meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from slim.cli import main

SITE = "lib/python3.13/site-packages"


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("pkg/wrods.py", f"did you mean stack/{SITE}/pkg/words.py?"),
        (
            f"{SITE}/pkg/",
            f"it is a folder; give a file in it, such as stack/{SITE}/pkg/__init__.py",
        ),
        (f"stack/{SITE}/pkg", "it is a folder; give a file in it"),
        ("zzz", "give LAYER/PATH, or PATH in a layer"),
    ],
)
def test_a_path_that_no_file_has_gets_a_hint(
    path: str,
    hint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    package = tmp_path / "stack" / SITE / "pkg"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "words.py").write_text("x = 1\n")
    monkeypatch.chdir(tmp_path)
    assert main(["explain", "stack", path]) == 2
    told = capsys.readouterr().err
    assert f"{path}: no file of the stack has this path" in told
    assert f"hint: {hint}" in told
