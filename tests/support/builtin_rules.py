"""The rules slim comes with, read once in a process: a thousand runs don't differ in these."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from slim.model.rule import PassSchema, RulePack

Reader = Callable[[Mapping[str, PassSchema]], tuple[RulePack, ...]]


def read_once(reader: Reader) -> Reader:
    """Return ``builtin_packs`` with a memory, for the schemas that it is given first."""
    first: list[tuple[Mapping[str, PassSchema], tuple[RulePack, ...]]] = []

    def packs(schemas: Mapping[str, PassSchema]) -> tuple[RulePack, ...]:
        if not first:
            first.append((schemas, reader(schemas)))
        known, found = first[0]
        return found if schemas is known else reader(schemas)

    return packs
