"""The table of passes: what the planner and the rule files rely on."""

from __future__ import annotations

from slim.model.rule import Phase, Verb
from slim.passes import PASSES, SCHEMAS, passes_of


def test_names_are_unique_and_the_table_is_in_the_order_of_planning() -> None:
    assert len(SCHEMAS) == len(PASSES)
    phases = [known.schema.phase for known in PASSES]
    assert phases == sorted(phases)
    assert [known for phase in Phase for known in passes_of(phase)] == list(PASSES)


def test_phases_follow_from_what_a_pass_declares() -> None:
    assert [known.schema.name for known in passes_of(Phase.LINK)] == [
        "foreign",
        "qt",
        "gpu-files",
        "dylibs",
    ]
    for known in PASSES:
        rewrites = known.schema.verb is Verb.REWRITE
        assert (known.schema.phase is Phase.REWRITE) == rewrites
    assert SCHEMAS["duplicates"].uses_graph
    assert [name for name, schema in SCHEMAS.items() if schema.beats_protection] == ["packages"]
