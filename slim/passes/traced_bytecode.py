"""The post-install step of layers with ``bytecode = "traced"``: it compiles what runs imported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from slim.analysis.imports.modules import dotted
from slim.errors import UnsafeInputError
from slim.model.finding import EditSpec, Evidence, Finding
from slim.model.guard import GUARD_PACKAGE
from slim.model.plan import SkipReason
from slim.model.record import EntryType, FileRecord
from slim.model.rule import PassSchema, Verb
from slim.model.settings import BytecodePolicy
from slim.model.stack import Layer
from slim.model.trace import RunKind, Trace
from slim.passes.base import Context, Proposal, Refusal
from slim.passes.compile_traced import EDITOR, compile_traced

TRACED_RULE = "bytecode-traced"
"""Rule under which an edit of ``postinstall.py`` stands in a plan."""
_POST_INSTALL = "postinstall.py"
_LIBRARY = "lib/"


class TracedBytecode:
    """The pass ``traced-bytecode``, for layers whose policy is ``traced``."""

    schema = PassSchema(
        name="traced-bytecode",
        summary='has postinstall.py compile only what traced runs imported (`bytecode = "traced"`)',
        verb=Verb.REWRITE,
        needs_globs=False,
    )

    def concerns(self, record: FileRecord) -> bool:
        """False: the policy of a layer says it, not rules."""
        return False

    def propose(self, context: Context) -> Iterable[Proposal]:
        """Propose the edit for each layer with the policy; refuse what isn't venvstacks' own."""
        guidance = context.facts.guidance
        if guidance is None:
            return
        imported = imported_by_runs(guidance.trace)
        for layer in context.stack:
            if context.settings(layer.name).bytecode is not BytecodePolicy.TRACED:
                continue
            record = context.inventory.records[layer.name].get(_POST_INSTALL)
            if record is not None and record.type is EntryType.FILE:
                modules = tuple(_sources(layer, imported, context))
                guard = _guard(layer) if guidance.guarded else ()
                yield _proposal(record, modules, guard, context)


def imported_by_runs(trace: Trace) -> frozenset[str]:
    """Return the modules that any run but the install step imported."""
    uses = {run.name for run in trace.runs.values() if run.kind is not RunKind.INSTALL}
    return frozenset(
        module
        for found in trace.uses.values()
        for module, runs in found.modules.items()
        if not uses.isdisjoint(runs)
    )


def _sources(layer: Layer, imported: frozenset[str], context: Context) -> Iterator[str]:
    """Yield the sources that stay and that a run imported, relative to the library folder."""
    known = context.facts.module_index.modules
    for path, record in context.inventory.records[layer.name].items():
        if (
            path.endswith(".py")
            and path.lower().startswith(_LIBRARY)
            and record.key not in context.gone
            and any(
                module.rooted and dotted(module.name) in imported
                for module in known.get(record.key, ())
            )
        ):
            yield path[len(_LIBRARY) :]


def _guard(layer: Layer) -> tuple[str, ...]:
    """Return what starts a guard, should the layer get one: every start of Python imports it."""
    module = f"{GUARD_PACKAGE}/__init__.py"
    places = (f"{site.strip('/')}/{module}" for site in layer.site_dirs[:1])
    return tuple(place[len(_LIBRARY) :] for place in places if place.lower().startswith(_LIBRARY))


def _proposal(
    record: FileRecord, modules: tuple[str, ...], guard: tuple[str, ...], context: Context
) -> Proposal:
    spec = EditSpec(editor=EDITOR, options={"modules": (*modules, *guard)})
    try:
        size = compile_traced(context.read(record), spec.options).size
    except UnsafeInputError as error:
        unsafe = Evidence(kind="postinstall", text=error.message, file=record.deployed_path)
        return Refusal(
            key=record.key,
            rule=TRACED_RULE,
            reason=SkipReason.UNSAFE_TO_EDIT,
            evidence=(unsafe,),
        )
    text = f"one line changes: it compiles only what traced runs imported (files: {len(modules)})"
    return Finding(
        key=record.key,
        rule=TRACED_RULE,
        evidence=(Evidence(kind="postinstall", text=text, file=record.deployed_path),),
        edit=spec,
        size_after=size,
    )
