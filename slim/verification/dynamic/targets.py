"""Targets of the dynamic checks: what the original offers, to be tried before and after."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from slim.analysis import ReadFile
from slim.analysis.imports.modules import ModuleIndex, dotted
from slim.model.plan import Plan
from slim.model.record import FileKey, FileKind, Inventory
from slim.model.stack import Stack
from slim.model.verify import Subject, VerifySettings
from slim.verification.dynamic import imports, launch, unimportable


@dataclass(frozen=True, kw_only=True)
class Targets:
    """Targets of the checks: what the original offers.

    ``modules`` maps each public module to its files; ``dropped`` are distributions (by normalised
    name) that the user removes whole.
    """

    stack: Stack
    inventory: Inventory
    settings: VerifySettings
    modules: Mapping[Subject, frozenset[FileKey]]
    dropped: frozenset[str] = frozenset()
    cut: frozenset[Subject] = frozenset()
    """The modules that a plan cuts, since they can't be imported."""
    signed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Files that were signed after slimming, as RECORD names them, by layer."""


def find_targets(
    stack: Stack,
    inventory: Inventory,
    read: ReadFile,
    settings: VerifySettings,
    dropped: Iterable[str] = (),
    plan: Plan | None = None,
) -> Targets:
    """Find all that the original offers.

    Raises ConfigError for a command in a layer that doesn't exist.
    """
    launch.check_layers(settings.commands, stack)
    index = ModuleIndex(stack, inventory, read)
    modules: dict[Subject, set[FileKey]] = {}
    for key, names in index.modules.items():
        if index.kind(key) is FileKind.LIBRARY:
            continue  # no module, and trying it would load all that it needs
        for module in names:
            name = dotted(module.name)
            if module.rooted and imports.is_public(name):
                subject = Subject(check=imports.NAME, layer=key[0], name=name)
                modules.setdefault(subject, set()).add(key)
    return Targets(
        stack=stack,
        inventory=inventory,
        settings=settings,
        modules={subject: frozenset(keys) for subject, keys in modules.items()},
        dropped=frozenset(dropped),
        cut=frozenset() if plan is None else unimportable.subjects(plan, stack, index),
    )
