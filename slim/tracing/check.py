"""Checks of a trace against the stack and the configuration that it is to be used with."""

from __future__ import annotations

import fnmatch
from collections import Counter
from collections.abc import Iterator, Sequence

from slim.analysis.imports.modules import ModuleIndex, dotted
from slim.config.settings import Config
from slim.inventory.load import LoadedStack
from slim.model.record import FileRecord, OwnerKind
from slim.model.trace import INSTALL_RUN, RunKind, Trace, layer_key, platform_key
from slim.model.trace_results import Lack, LackKind, TraceVerdict
from slim.tracing.families import Importer

_RECORD = "record it: slim trace STACK -o FILE, or merge a trace that has it"
_WORDS = (b"import_module", b"__import__")


def check(
    trace: Trace, loaded: Sequence[LoadedStack], config: Config, names: tuple[str, str]
) -> TraceVerdict:
    """Return what a trace lacks. ``names`` are its file and the path of the stack."""
    checked: Counter[LackKind] = Counter()
    lacks = [
        *_runs(trace, config, checked),
        *(lack for stack in loaded for lack in _versions(trace, stack, checked)),
        *(lack for stack in loaded for lack in _computed(trace, stack, config, checked)),
    ]
    return TraceVerdict(
        source=names[0],
        stack=names[1],
        lacks=tuple(sorted(set(lacks))),
        notes=tuple(_notes(trace, loaded)),
        checked=dict(checked),
    )


def _runs(trace: Trace, config: Config, checked: Counter[LackKind]) -> Iterator[Lack]:
    """Yield configured commands that were never recorded, and runs that are configured no more."""
    checked[LackKind.INSTALL] += 1
    if not trace.installed_on():
        yield Lack(
            kind=LackKind.INSTALL,
            layer="",
            name=INSTALL_RUN,
            text="the install step was never recorded",
            hint=_RECORD,
        )
    commands = [one.name for one in (*config.verify.commands, *config.trace.commands)]
    for name in dict.fromkeys((*commands, *config.trace.runs)):
        checked[LackKind.RUN] += 1
        if name not in trace.runs:
            yield Lack(
                kind=LackKind.RUN,
                layer="",
                name=name,
                text=f"the run {name!r} is configured and was never recorded",
                hint=_RECORD,
            )
    for name, run in trace.runs.items():
        if run.kind is RunKind.USE and (commands or config.trace.runs):
            checked[LackKind.VANISHED] += 1
            if name not in commands and name not in config.trace.runs:
                yield Lack(
                    kind=LackKind.VANISHED,
                    layer="",
                    name=name,
                    text=f"the run {name!r} is in the trace, and no command of the configuration",
                    hint="bring the command back, list the name in trace.runs if it is recorded "
                    "elsewhere, or record the trace anew without it",
                )


def _versions(trace: Trace, loaded: LoadedStack, checked: Counter[LackKind]) -> Iterator[Lack]:
    """Yield distributions and runtimes of the stack whose versions were never traced."""
    for layer in loaded.stack:
        key = layer_key(layer)
        owners = {record.owner for record in loaded.inventory.records[layer.name].values()}
        owners |= {one.owner for one in loaded.inventory.distributions[layer.name].values()}
        for owner in sorted(owners):
            if owner.kind is OwnerKind.UNOWNED:
                continue
            checked[LackKind.VERSION] += 1
            if trace.of(key, owner) is not None:
                continue
            known = sorted(
                other.version
                for there, other in trace.uses
                if there == key and (other.kind, other.name) == (owner.kind, owner.name)
            )
            has = f"the trace has {', '.join(known)}" if known else "the trace has none of it"
            yield Lack(
                kind=LackKind.VERSION,
                layer=key,
                name=owner.label,
                text=f"{owner.label} in {key} was never traced: {has}",
                hint=_RECORD,
            )


def _computed(
    trace: Trace, loaded: LoadedStack, config: Config, checked: Counter[LackKind]
) -> Iterator[Lack]:
    """Yield computed imports in modules that runs used, which no run came by."""
    places = {place for table in trace.families.values() for place in table}
    index = ModuleIndex(loaded.stack, loaded.inventory, loaded.read)
    layers = {layer.name: layer_key(layer) for layer in loaded.stack}
    for record, name in _used_sources(trace, loaded, index, layers):
        if any(fnmatch.fnmatchcase(name, glob) for glob in config.trace.unexercised):
            continue
        source = bytes(loaded.read(record))
        if not any(word in source for word in _WORDS):
            continue
        package = name if record.path.endswith("/__init__.py") else name.rpartition(".")[0]
        for first, last, start in Importer(name, package, source).computed():
            checked[LackKind.COMPUTED] += 1
            if any(f"{name}:{line}" in places for line in range(first, last + 1)):
                continue
            what = f"{start}*" if start else "a module"
            yield Lack(
                kind=LackKind.COMPUTED,
                layer=layers[record.layer],
                name=f"{name}:{first}",
                text=f"{name}:{first} imports {what} by a computed name, and no run came by",
                hint="add a command that does, or list the module in trace.unexercised",
            )


def _used_sources(
    trace: Trace, loaded: LoadedStack, index: ModuleIndex, layers: dict[str, str]
) -> Iterator[tuple[FileRecord, str]]:
    """Yield the sources that runs imported, of all but the standard library, with their names."""
    for record in loaded.inventory:
        if record.owner.kind is OwnerKind.RUNTIME or not record.path.endswith(".py"):
            continue
        uses = trace.of(layers[record.layer], record.owner)
        for module in index.modules.get(record.key, ()) if uses is not None else ():
            name = dotted(module.name)
            runs = uses.modules.get(name, frozenset()) if uses is not None else frozenset()
            if runs - {INSTALL_RUN}:
                yield record, name


def _notes(trace: Trace, loaded: Sequence[LoadedStack]) -> Iterator[str]:
    there = {
        (layer_key(layer), one.owner)
        for stack in loaded
        for layer in stack.stack
        for one in stack.inventory.distributions[layer.name].values()
    }
    stale = sorted(
        f"{owner.label} in {layer}"
        for layer, owner in trace.uses
        if owner.kind is OwnerKind.DISTRIBUTION and (layer, owner) not in there
    )
    if stale:
        yield (
            f"the trace also has what isn't in the stack: {', '.join(stale[:5])}"
            f"{f' and {len(stale) - 5} more' if len(stale) > 5 else ''}"
        )
    for stack in loaded:
        platform = platform_key(stack.stack.platform)
        if not trace.natives_known(platform):
            yield (
                f"what native code reads on {platform} isn't known: not every run there had access "
                "times as a witness, so native files and data won't go"
            )
