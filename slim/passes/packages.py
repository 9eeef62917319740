"""Whole distributions that the user listed.

With a distribution go its files, their bytecode, and the links to its libraries.

A listed distribution goes as a whole or stays as a whole. It stays where a distribution that stays
requires it (``Requires-Dist`` for the layer's platform, extras left aside), unless its ``drop``
entry says ``despite`` about that distribution. What one refusal keeps may require the next, so the
pass repeats until nothing changes. Whether anything that stays imports it is for the planner's
import proof to say, once it is known what else goes (tests import much).

Source: PyPA "Recording installed projects", "Core metadata" and "Dependency specifiers".
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from slim.model.finding import Evidence, Finding
from slim.model.plan import SkipReason
from slim.model.record import Distribution, EntryType, FileKey, FileRecord, Inventory
from slim.model.rule import PassSchema, Verb
from slim.model.settings import DropSpec
from slim.model.stack import Layer, Stack, System
from slim.passes.base import Context, Proposal, Refusal

DROP_PREFIX = "drop:"
"""Start of the rule under which a dropped distribution stands in a plan; its name follows."""

_SYSTEMS = {
    System.LINUX: ("linux", "Linux", "posix"),
    System.MACOS: ("darwin", "Darwin", "posix"),
    System.WINDOWS: ("win32", "Windows", "nt"),
}
# platform.machine() says it differently on each system.
_MACHINES = {
    (System.MACOS, "aarch64"): "arm64",
    (System.WINDOWS, "aarch64"): "ARM64",
    (System.WINDOWS, "x86_64"): "AMD64",
}


@dataclass(kw_only=True)
class _Dropped:
    """A listed distribution that is installed, with everything that goes with it."""

    spec: DropSpec
    distribution: Distribution
    keys: frozenset[FileKey]
    required_by: tuple[Evidence, ...] = ()
    held_by: tuple[Evidence, ...] = ()

    @property
    def rule(self) -> str:
        return f"{DROP_PREFIX}{self.spec.name}"


class Packages:
    """The pass ``packages``, which removes the distributions that the user listed."""

    schema = PassSchema(
        name="packages",
        summary="removes whole distributions that the configuration lists under `drop`",
        verb=Verb.REMOVE,
        needs_globs=False,
        beats_protection=True,
    )

    def concerns(self, record: FileRecord) -> bool:
        """False: the user's ``drop`` lists say which distributions go, not rules."""
        return False

    def propose(self, context: Context) -> Iterable[Proposal]:
        """Propose every file of what can go, and refuse every file of what can't."""
        listed = _listed(context)
        if listed:
            _settle(listed, Requirements(context.stack, context.inventory))
        staying = frozenset(key for dropped in listed if dropped.held_by for key in dropped.keys)
        for dropped in listed:
            yield from _proposals(dropped, staying)


def _listed(context: Context) -> list[_Dropped]:
    found: list[_Dropped] = []
    for layer in context.stack:
        installed = context.inventory.distributions.get(layer.name, {})
        specs: dict[str, DropSpec] = {
            canonicalize_name(spec.name): spec for spec in context.settings(layer.name).drop
        }
        going = {name for name in specs if name in installed}
        kept = frozenset(
            path for name, other in installed.items() if name not in going for path in other.files
        )
        for name in sorted(going):
            keys = _files_of(installed[name], context.inventory, kept)
            found.append(_Dropped(spec=specs[name], distribution=installed[name], keys=keys))
    return found


def _files_of(
    distribution: Distribution, inventory: Inventory, shared: Collection[str]
) -> frozenset[FileKey]:
    """Return what goes with a distribution.

    Files that another distribution's RECORD names as well stay with that one.
    """
    records = inventory.records.get(distribution.layer, {})
    info = f"{distribution.info_dir}/"
    keys: set[FileKey] = set()
    for path, record in records.items():
        named = (
            path in distribution.files
            or path.startswith(info)
            or _source_of(path) in distribution.files
        )
        if named and path not in shared and record.type is not EntryType.DIRECTORY:
            keys.add(record.key)
    return frozenset(keys | _links_to(keys, inventory))


def _source_of(path: str) -> str | None:
    """Return the source that a file in ``__pycache__`` was compiled from (PEP 3147)."""
    folder, _, name = path.rpartition("/")
    parent, _, cache = folder.rpartition("/")
    if cache != "__pycache__" and folder != "__pycache__":
        return None
    if not name.endswith(".pyc"):
        return None
    source = f"{name.partition('.')[0]}.py"
    return f"{parent}/{source}" if parent else source


def _links_to(keys: Collection[FileKey], inventory: Inventory) -> frozenset[FileKey]:
    """Return the links that would lead nowhere, in any layer's ``share/venv/dynlib``."""
    targets = {f"{layer}/{path}" for layer, path in keys}
    found: set[FileKey] = set()
    for record in inventory:
        if (
            record.type is EntryType.SYMLINK
            and record.link_target
            and "share/venv/dynlib/" in record.path
        ):
            folder = posixpath.dirname(record.deployed_path)
            if posixpath.normpath(posixpath.join(folder, record.link_target)) in targets:
                found.add(record.key)
    return frozenset(found)


def _settle(listed: list[_Dropped], requirements: Requirements) -> None:
    """Refuse what is required by something that stays, until no refusal brings another."""
    changed = True
    while changed:
        changed = False
        going = frozenset(
            (dropped.distribution.layer, dropped.distribution.name)
            for dropped in listed
            if not dropped.held_by
        )
        for dropped in listed:
            if not dropped.held_by:
                wanted, despite = dropped.distribution, dropped.spec.despite
                dropped.required_by = requirements.on(wanted, going)
                dropped.held_by = requirements.on(wanted, going, despite)
                changed = changed or bool(dropped.held_by)


def _proposals(dropped: _Dropped, staying: Collection[FileKey]) -> Iterator[Proposal]:
    listed = Evidence(
        kind="drop", text=f"{dropped.distribution.owner.label} is listed to be dropped"
    )
    for key in sorted(dropped.keys):
        if dropped.held_by:
            yield Refusal(
                key=key, rule=dropped.rule, reason=SkipReason.REQUIRED, evidence=dropped.held_by
            )
        elif key not in staying:
            yield Finding(key=key, rule=dropped.rule, evidence=(listed, *dropped.required_by))


class Requirements:
    """Requirements among distributions, by the metadata that they bring along."""

    def __init__(self, stack: Stack, inventory: Inventory) -> None:
        self._found: dict[str, list[tuple[Distribution, str]]] = {}
        self._together = [frozenset((layer.name, *layer.requires)) for layer in stack]
        for layer in stack:
            environment = _environment(layer)
            for distribution in inventory.distributions.get(layer.name, {}).values():
                for line in distribution.requires:
                    name = _required(line, environment)
                    if name is not None:
                        self._found.setdefault(name, []).append((distribution, line))

    def on(
        self,
        wanted: Distribution,
        going: Collection[tuple[str, str]],
        despite: Collection[str] = (),
    ) -> tuple[Evidence, ...]:
        """Return the distributions that stay and require this one.

        Those named in ``despite`` don't count.
        """
        return tuple(
            Evidence(
                kind="requires",
                text=f"{distribution.owner.label} requires {line}",
                file=f"{distribution.layer}/{distribution.info_dir}/METADATA",
            )
            for distribution, line in self._found.get(canonicalize_name(wanted.name), ())
            if (distribution.layer, distribution.name) not in going
            and distribution.name not in despite
            and self._meet(distribution.layer, wanted.layer)
        )

    def _meet(self, one: str, other: str) -> bool:
        """Return whether some program sees both layers: applications don't see each other."""
        return any(one in layers and other in layers for layers in self._together)


def _environment(layer: Layer) -> dict[str, str] | None:
    """Return the marker variables of a layer (PEP 508).

    None where too little is known about it to evaluate markers.
    """
    system = _SYSTEMS.get(layer.platform.system)
    if system is None or layer.python_version is None:
        return None
    sys_platform, platform_system, os_name = system
    machine = layer.platform.machine
    return {
        "sys_platform": sys_platform,
        "platform_system": platform_system,
        "os_name": os_name,
        "platform_machine": _MACHINES.get((layer.platform.system, machine), machine),
        "platform_release": "",
        "platform_version": "",
        "python_version": ".".join(layer.python_version.split(".")[:2]),
        "python_full_version": layer.python_version,
        "implementation_name": "cpython",
        "implementation_version": layer.python_version,
        "platform_python_implementation": "CPython",
        "extra": "",
    }


def _required(line: str, environment: dict[str, str] | None) -> str | None:
    """Return the normalised name that a ``Requires-Dist`` line requires there.

    None for extras and other platforms.
    """
    try:
        requirement = Requirement(line)
    except InvalidRequirement:
        return None
    marker = requirement.marker
    if marker is not None:
        if environment is None:
            if "extra" in str(marker):
                return None
        elif not marker.evaluate(environment):
            return None
    return canonicalize_name(requirement.name)
