"""Running audits in tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from slim.auditing.engine import AuditRequest, audit
from slim.config.load import load_config
from slim.model.audit import Audit
from slim.passes import SCHEMAS


def audit_of(
    source: Path, *, prove: bool = False, why: tuple[str, ...] = (), findings: bool = True
) -> Audit:
    """The audit of a source that holds one stack, with the built-in rules."""
    config = load_config(SCHEMAS)
    (result,) = audit(
        AuditRequest(source=source, config=config, prove=prove, why=why, findings=findings)
    )
    return result


def by_du(folder: Path) -> int:
    """Bytes of all regular files below a folder, as du(1) adds them up.

    A file with several names counts once. Folders and symbolic links, which du would count too,
    aren't named to it. Skips where there is no GNU du.
    """
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    command = ["du", "--apparent-size", "--block-size=1", "--null", "--files0-from=-"]
    if shutil.which("du") is None or os.uname().sysname != "Linux":
        pytest.skip("GNU du isn't installed")
    named = b"\0".join(os.fsencode(path) for path in files)
    listed = (
        subprocess.run(command, input=named, capture_output=True, check=True).stdout
        if files
        else b""
    )
    return sum(int(row.split(b"\t")[0]) for row in listed.split(b"\0") if row)


def adds_up(result: Audit) -> int:
    """Check that every account tells the same bytes and files; returns the bytes."""
    total = result.total
    accounts = (result.layers, result.by_owner, result.by_category, result.cells)
    sums = [
        tuple(
            sum(getattr(row.size, what) for row in rows)
            for what in ("unpacked", "files", "bytecode")
        )
        for rows in accounts
    ]
    assert sums == [(total.unpacked, total.files, total.bytecode)] * 4
    return total.unpacked
