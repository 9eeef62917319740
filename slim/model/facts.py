"""Facts about a whole stack that rules may ask: where one holds, a rule may not apply."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Fact(StrEnum):
    """Facts that a rule may name under ``unless``. Values are stable: packs rely on them."""

    COMPILES = "compiles-at-run-time"
    TYPE_CHECKS = "type-checks"
    EMBEDDED = "embedded"


FACTS: Mapping[Fact, str] = {
    Fact.COMPILES: "something in the stack compiles C, C++ or Cython code when it runs, so "
    "headers, static libraries and build settings are read",
    Fact.TYPE_CHECKS: "an editor, a language server, a type checker or another reader of stubs is "
    "in the stack",
    Fact.EMBEDDED: "a program outside of the stack may start Python through libpython (the "
    "setting embedded)",
}
"""Meaning of each fact, for people."""
