"""Native files that can't run where their layer runs.

They are for another operating system, or for another machine. Told by headers, never by names. What
a file could be used for all the same decides which rule may take it:

==============  ===================================================================================
``foreign``     the files that a rule is about
==============  ===================================================================================
``libraries``   libraries and extension modules: the layer's Python can't load them (the default)
``programs``    programs: an emulator may run them, or they are sent to another computer
==============  ===================================================================================

A file whose machine slim doesn't know (device code for GPUs, bytecode for kernels) isn't foreign,
nor is a .NET assembly, nor what firmware loads (UEFI), nor a library for Android (it is sent to a
phone), nor a library under another name than a loader's (a program reads it), nor is a universal
file that has the layer's machine among others: the debug-symbols pass thins it. An add-on of Node
(``.node``) is foreign on another system only. A foreign library stays as long as a file that stays
needs it; one that code may hand on as data is held by the plan (:mod:`slim.analysis.shipped`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar

from slim.analysis.linkage.graph import Linkage
from slim.binaries import describe, read_any_dynamic
from slim.binaries.base import UNKNOWN_MACHINE, Buffer, ImageKind, NativeInfo
from slim.model.finding import Evidence, Finding
from slim.model.plan import SkipReason
from slim.model.record import EntryType, FileKey, FileRecord, NativeFormat
from slim.model.rule import OptionSchema, PassSchema, Rule, Verb
from slim.model.stack import Platform, System
from slim.passes.base import Context, Proposal, Refusal

_NAME = "foreign"
_KINDS: Mapping[str, ImageKind] = {"libraries": ImageKind.SHARED, "programs": ImageKind.EXECUTABLE}
_FORMAT_NAMES = {NativeFormat.ELF: "ELF", NativeFormat.MACHO: "Mach-O", NativeFormat.PE: "PE"}
_LAYER_MACHINES = {"armv7l": "arm", "armv6l": "arm", "i386": "i686", "universal2": UNKNOWN_MACHINE}
"""Machines of platform tags under the names that headers have."""
_LIBRARY_NAME = re.compile(r"\.(?:dll|pyd|dylib|jnilib|so)(?:\.[\w.]+)?$", re.IGNORECASE)
_NODE_ADDON = ".node"
_ANDROID = frozenset({"libc.so", "liblog.so", "libandroid.so"})
"""Libraries that only Android has under such names, without a version (its NDK's stable APIs)."""


class ForeignFiles:
    """The pass ``foreign``."""

    schema: ClassVar[PassSchema] = PassSchema(
        name=_NAME,
        summary="Native files of another operating system or machine than their layer's",
        verb=Verb.REMOVE,
        options={
            "foreign": OptionSchema(
                type=str,
                default="libraries",
                help="what the rule is about: libraries (with extension modules), or programs",
                choices=tuple(_KINDS),
            )
        },
        needs_globs=False,
        uses_graph=True,
    )

    def concerns(self, record: FileRecord) -> bool:
        """True for native files."""
        return record.native is not None

    def propose(self, context: Context) -> Iterable[Proposal]:
        """Propose to remove each foreign file that a rule wants.

        Refuse it where something that stays needs it.
        """
        found = dict(_foreign(context))
        if not found:
            return
        linkage = context.facts.libraries
        users = _users(found, linkage, context)
        for key in sorted(found):
            record = linkage.inventory.records[key[0]][key[1]]
            rule, evidence = found[key]
            if key in users:
                needed = Evidence(
                    kind="needed", text="needs it and stays", file=users[key].deployed_path
                )
                yield Refusal(
                    key=key, rule=rule.id, reason=SkipReason.LINKED, evidence=(evidence, needed)
                )
                continue
            yield Finding(key=key, rule=rule.id, evidence=(evidence,))
            for link in linkage.links_to(record):
                if link.key not in context.gone:
                    leads = Evidence(
                        kind="link", text="leads to a foreign file", file=record.deployed_path
                    )
                    yield Finding(key=link.key, rule=rule.id, evidence=(leads,))


def _foreign(context: Context) -> Iterator[tuple[FileKey, tuple[Rule, Evidence]]]:
    """Yield the foreign files that a rule wants, with the rule and what shows that they are."""
    for layer in context.stack:
        if layer.platform.system is System.UNKNOWN:
            continue
        for record in context.inventory.records[layer.name].values():
            if (
                record.native not in _FORMAT_NAMES
                or record.type is not EntryType.FILE
                or record.key in context.gone
            ):
                continue
            rules = context.select(_NAME, record)
            data = context.read(record) if rules else b""
            info = describe(data)
            text = None if info is None else why_foreign(info, layer.platform)
            if info is None or text is None or _is_data(record, info, data, layer.platform):
                continue
            rule = next((one for one in rules if _KINDS[_about(one)] is info.kind), None)
            if rule is not None:
                yield (
                    record.key,
                    (rule, Evidence(kind="foreign", text=text, file=record.deployed_path)),
                )


def _is_data(record: FileRecord, info: NativeInfo, data: Buffer, platform: Platform) -> bool:
    """True for a library that no desktop's loader is meant to open: programs read or send it.

    An add-on of Node counts as one on its own system: whatever machine Node itself is for loads it.
    """
    if info.kind is not ImageKind.SHARED:
        return False
    if record.path.endswith(_NODE_ADDON):
        return info.system is platform.system
    if not _LIBRARY_NAME.search(record.path):
        return True
    dynamic = read_any_dynamic(data) if info.format is NativeFormat.ELF else None
    return dynamic is not None and not _ANDROID.isdisjoint(dynamic.needed)


def _about(rule: Rule) -> str:
    return str(rule.options.get("foreign", "libraries"))


def why_foreign(info: NativeInfo, platform: Platform) -> str | None:
    """Reason why a file with such headers can't be loaded on a platform, in words.

    None where it can, or where that isn't known.
    A .NET assembly is a PE file on every platform (ECMA-335, II.25), so it is never foreign.
    ELF says nothing of its system that tells Linux from others with the same format, so it counts
    as Linux.
    """
    machines = info.machines or (info.machine,)
    what = f"{_FORMAT_NAMES[info.format]} for {info.system.value} on {', '.join(machines)}"
    if UNKNOWN_MACHINE in machines or info.clr or info.system is System.UNKNOWN:
        return None
    if info.system is not platform.system:
        return f"{what}, in a layer for {platform.tag}"
    wanted = _LAYER_MACHINES.get(platform.machine, platform.machine)
    if wanted == UNKNOWN_MACHINE or wanted in machines:
        return None
    return f"{what}, in a layer for {platform.tag}"


def _users(
    found: Mapping[FileKey, tuple[Rule, Evidence]], linkage: Linkage, context: Context
) -> dict[FileKey, FileRecord]:
    """Return the foreign files that a file which stays needs, with that file.

    What is needed stays and needs others, so this is repeated until no more are added.
    """
    stay: dict[FileKey, FileRecord] = {}
    records = linkage.inventory.records
    while True:
        fresh: dict[FileKey, FileRecord] = {}
        for key in found:
            if key in stay:
                continue
            for user in linkage.dependents(records[key[0]][key[1]], context.gone):
                if user.key not in found or user.key in stay or context.held(user):
                    fresh[key] = user
                    break
        if not fresh:
            return stay
        stay |= fresh
