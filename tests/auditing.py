"""Running audits in tests."""

from __future__ import annotations

from pathlib import Path

from slim.audit.engine import AuditRequest, audit
from slim.config import Overrides, load_config
from slim.model.audit import Audit
from slim.passes import SCHEMAS


def audit_of(source: Path, *, prove: bool = False, why: tuple[str, ...] = (), findings: bool = True) -> Audit:
    """The audit of a source that holds one stack, with the built-in rules."""
    config = load_config(SCHEMAS, file=None, overrides=Overrides(), formats=())
    (result,) = audit(AuditRequest(source=source, config=config, prove=prove, why=why, findings=findings))
    return result


def adds_up(result: Audit) -> int:
    """Check that every account tells the same bytes and files; returns the bytes."""
    total = result.total
    accounts = (result.layers, result.by_owner, result.by_category, result.cells)
    sums = [
        tuple(sum(getattr(row.size, what) for row in rows) for what in ("unpacked", "files", "bytecode"))
        for rows in accounts
    ]
    assert sums == [(total.unpacked, total.files, total.bytecode)] * 4
    return total.unpacked
