"""The reports of ``slim audit``, word for word; its JSON keeps its contract."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from slim.cli import main
from slim.model.audit import Audit
from slim.model.stack import Stack
from slim.reports.audit import AUDIT_REPORTERS
from slim.reports.audit import json_v1 as audit_json
from slim.reports.audit import terminal as audit_terminal
from slim.reports.common.style import TerminalStyle
from tests.support.audits import audit_of
from tests.support.native_headers import pe
from tests.support.published_stacks import SITE, LayerSpec, publish
from tests.support.report_schemas import schema
from tests.support.versioned_elf import versioned
from tests.unit.test_audit_findings import layers

Golden = Callable[[str, str], None]


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    folder = tmp_path_factory.mktemp("golden")
    publish(folder, layers())
    found = audit_of(folder, why=("**/beta/__init__.py",))
    return _still(found, found.stack, str(folder))


def _still(found: Audit, stack: Stack, folder: str) -> Audit:
    """Audit without what depends on the moment: its place, its time, its compression."""
    layers_ = tuple(replace(row, size=replace(row.size, archive=1000)) for row in found.layers)
    savings = tuple(
        replace(one, command=one.command.replace(folder, "stack")) for one in found.savings
    )
    return replace(
        found,
        stack=replace(stack, source="stack"),
        layers=layers_,
        savings=savings,
        elapsed=1.5,
        slim_version="1.2.3",
    )


@pytest.mark.parametrize("width", [100, 60])
def test_terminal(golden: Golden, audited: Audit, width: int) -> None:
    style = TerminalStyle(width=width, unicode=width > 80)
    golden(f"audit-{width}.txt", audit_terminal.render([replace(audited, why=())], style))


def test_terminal_verbose(golden: Golden, audited: Audit) -> None:
    golden("audit-verbose.txt", audit_terminal.render([replace(audited, why=())], verbosity=1))


def test_terminal_why(golden: Golden, audited: Audit) -> None:
    golden("audit-why.txt", audit_terminal.render([audited]))


def test_json(golden: Golden, audited: Audit) -> None:
    text = audit_json.render([audited])
    golden("audit.json", text)
    jsonschema.Draft202012Validator.check_schema(schema("audit-v1"))
    jsonschema.validate(json.loads(text), schema("audit-v1"), cls=jsonschema.Draft202012Validator)


def test_runs_on(golden: Golden, tmp_path: Path) -> None:
    """A stack with native files, and a .NET assembly, which is a PE file on every platform."""
    files = {
        f"{SITE}/p/old.so": versioned({"libc.so.6": {"GLIBC_2.17": ["memcpy"]}}),
        f"{SITE}/p/new.so": versioned({"libc.so.6": {"GLIBC_2.34": ["dlopen", "dlsym"]}}),
        f"{SITE}/q/new.so": versioned({"libc.so.6": {"GLIBC_2.34": ["dlclose"]}}),
        f"{SITE}/q/musl.so": versioned(needed=["libc.musl-x86_64.so.1"]),
        f"{SITE}/q/Net.dll": pe(machine="i686", clr=True, signed=True),
    }
    publish(tmp_path, {"app-a": LayerSpec("application", files)})
    found = audit_of(tmp_path, why=("*.dll",))
    found = _still(found, found.stack, str(tmp_path))
    golden("audit-runs-on.txt", audit_terminal.render([replace(found, why=(), savings=())]))
    golden("audit-native-why.txt", audit_terminal.render([found]))
    document = audit_json.document([found])
    jsonschema.validate(document, schema("audit-v1"), cls=jsonschema.Draft202012Validator)
    (audit,) = document["audits"]
    golden("audit-runs-on.json", json.dumps(audit["runs_on"], indent=2) + "\n")
    assert audit["foreign"] == []
    assert audit["why"][0]["explained"][0]["native"] == "PE for windows on i686, signed, .NET"


def test_hostile_names_are_told_harmlessly(tmp_path: Path) -> None:
    (tmp_path / "<b>&tree").mkdir()
    (tmp_path / "<b>&tree" / "<img src=x onerror=alert(1)>").write_text("x")
    with (
        (tmp_path / "<b>&tree")
        .joinpath(b"\xff.bin".decode("utf-8", "surrogateescape"))
        .open("wb") as file
    ):
        file.write(b"12")
    found = audit_of(tmp_path / "<b>&tree")
    document = audit_json.document([found])
    jsonschema.validate(document, schema("audit-v1"), cls=jsonschema.Draft202012Validator)
    texts = {name: reporter.render([found]) for name, reporter in AUDIT_REPORTERS.items()}
    assert "\\xff.bin" in texts["terminal"]
    assert "alert(1)" not in texts["html"]  # names travel in compressed data, never as markup
    assert "<b>" not in texts["html"]
    assert "<h1>&lt;b&gt;&amp;tree</h1>" in texts["html"]
    assert '"/w==' not in texts["json"]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    publish(tmp_path / "stack", layers())
    assert (
        main(
            [
                "audit",
                str(tmp_path / "stack"),
                "--no-config",
                "--json",
                "--report",
                f"terminal={tmp_path / 'a.txt'}",
            ]
        )
        == 0
    )
    document = json.loads(capsys.readouterr().out)
    assert document["audits"][0]["totals"]["files"] == sum(
        row["files"] for row in document["audits"][0]["by_owner"]
    )
    assert "what a run could save" in (tmp_path / "a.txt").read_text()
    assert main(["audit", str(tmp_path / "stack"), "--no-config", "--why", "*.bin"]) == 0
    assert "*.bin  3 files, 2.7 kB" in capsys.readouterr().out
    assert main(["audit", str(tmp_path / "nowhere")]) == 6
    assert main(["audit", str(tmp_path / "stack"), "--report", "htlm=x"]) == 2
    assert "did you mean 'html'?" in capsys.readouterr().err
