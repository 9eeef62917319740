"""Notes of a plan: what a choice costs that nobody stated, and which runs guided it."""

from __future__ import annotations

from collections.abc import Iterator

from slim.analysis.facts import Facts
from slim.model.plan import Plan
from slim.model.settings import BytecodePolicy
from slim.model.size import format_size
from slim.model.trace import platform_key
from slim.passes.bytecode import usual_policy
from slim.plan.scope import Scope


def bytecode_notes(facts: Facts, plan: Plan, scope: Scope) -> Iterator[str]:
    """Yield what the usual policy for bytecode ships or leaves to be compiled, with the other way.

    Layers without bytecode, and those whose policy the user stated, are passed over.
    """
    sizes = dict.fromkeys((BytecodePolicy.ONE, BytecodePolicy.NONE), 0)
    for layer in facts.stack:
        if scope.settings[layer.name].bytecode is not None or not scope.may_change(layer.name):
            continue
        policy = usual_policy(layer, facts)
        for record in facts.inventory.records[layer.name].values():
            if not record.compiled_from or plan.removes((layer.name, record.compiled_from)):
                continue
            if plan.removes(record.key) == (policy is BytecodePolicy.NONE):
                sizes[policy] += record.size
    if sizes[BytecodePolicy.ONE]:
        yield (
            f"{format_size(sizes[BytecodePolicy.ONE])} of bytecode stay, as no post-install step "
            'is known to compile them again. bytecode = "none" leaves them out: modules are then '
            "compiled at the first start, and at every start where nothing can be written"
        )
    if sizes[BytecodePolicy.NONE]:
        yield (
            f"{format_size(sizes[BytecodePolicy.NONE])} of bytecode go, as postinstall.py compiles "
            'them again on the user\'s machine. bytecode = "one" ships them'
        )


def guided_notes(facts: Facts) -> Iterator[str]:
    """Yield which traced runs the plan goes by, and what they can't tell on a platform."""
    if facts.guidance is None:
        return
    trace = facts.guidance.trace
    runs = ", ".join(sorted(trace.runs)) or "none"
    yield f"guided by traced runs: {runs}"
    for platform in sorted({platform_key(layer.platform) for layer in facts.stack}):
        if platform in trace.platforms and not trace.natives_known(platform):
            yield (
                f"the traces have no access times for every run on {platform}, so extension "
                "modules stay there, used or not"
            )
