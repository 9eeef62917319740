"""Files for GPUs that nobody uses: libraries that nothing links, and code for other devices.

What shows that a file goes unused depends on the rule that selects it:

===========  =====================================================================================
``by``       the file goes if
===========  =====================================================================================
``link``     no native file that stays links it, and no file has its name as text, but for those
             that the rule's ``despite`` globs name: tables of all of CUDA's libraries, headers.
             Files of one rule and folder go together or not at all
``torch``    its name has a version of CUDA, ROCm or XPU that the stack's PyTorch wasn't built for
``devices``  ``[gpu]`` names devices, and none of them uses it: of the rule's ``devices``, or by
             the architectures that the file itself says it is code for
===========  =====================================================================================

A file that contradicts its format stays, and so does one of whose architectures slim knows nothing.
"""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from slim.analysis.linkage.graph import Linkage
from slim.analysis.linkage.virtual_tree import DYNLIB
from slim.binaries.gpu.read import read_gpu_code
from slim.model.finding import Evidence, Finding
from slim.model.gpu import GpuKind
from slim.model.gpu_target import Capability, Code, CodeKind, Runs, Suffix, Target, can_run
from slim.model.plan import SkipReason
from slim.model.record import EntryType, FileKey, FileRecord
from slim.model.rule import OptionSchema, PassSchema, Rule, Verb
from slim.passes.base import Context, Proposal, Refusal
from slim.rules.match import GlobSet
from slim.system.mapped import words_in

_NAME: Final = "gpu-files"
_BARE_NAME: Final = re.compile(
    r"(?:lib)?(?P<bare>[A-Za-z][\w.-]*?)(?:64_\d+[\d_]*)?\.(?:so|dll)\b", re.ASCII
)
"""``nvblas`` of ``libnvblas.so.13`` and ``nvblas64_13.dll``."""
_LISTS: Final = ("RECORD", "RECORD.jws", "RECORD.p7s")
_ARCHITECTURE: Final = re.compile(r"sm_(\d+)(\d)([af]?)", re.ASCII)
_BUILD: Final = re.compile(rb"""^(cuda|hip|xpu)\b[^=\n]*= *(?:'([\d.]*)[^'\n]*'|(None))""", re.M)
_BUILD_FILE: Final = re.compile(r"(?:\A|/)torch/version\.py\Z")
_LARGEST_BUILD_FILE: Final = 1 << 16
_VERSIONED: Final = re.compile(r"_(cuda|rocm|xpu)(\d*)\.(?:so|dll)\Z", re.ASCII)
_BUILT_FOR: Final = {"cuda": "cuda", "rocm": "hip", "xpu": "xpu"}

_KINDS: Final = {GpuKind.CUBIN: CodeKind.CUBIN, GpuKind.PTX: CodeKind.PTX}


class GpuFiles:
    """The pass ``gpu-files``."""

    schema: ClassVar[PassSchema] = PassSchema(
        name=_NAME,
        summary="Libraries for GPUs that nothing links, and files for other devices",
        verb=Verb.REMOVE,
        options={
            "by": OptionSchema(
                type=str,
                default="link",
                help="what shows that a file goes unused",
                choices=("link", "torch", "devices"),
            ),
            "devices": OptionSchema(
                type=tuple,
                default=(),
                help="devices that use the files, such as sm_90; without any, the files' own "
                "architectures say which do",
            ),
        },
        uses_graph=True,
    )

    def concerns(self, _record: FileRecord) -> bool:
        """True: its rules name the files."""
        return True

    def propose(self, context: Context) -> Iterable[Proposal]:
        """Propose what nothing uses, and refuse what something does."""
        by: dict[str, list[_Wanted]] = defaultdict(list)
        for record, rules in context.selected(_NAME):
            if record.type is EntryType.FILE and record.key not in context.gone:
                by[str(rules[0].options.get("by", "link"))].append(_Wanted(record, rules[0]))
        if by["link"]:
            yield from _by_link(context, by["link"])
        if by["torch"]:
            yield from _by_torch(context, by["torch"])
        if by["devices"] and context.gpu is not None and context.gpu.targets:
            yield from _by_devices(context, by["devices"], context.gpu.targets)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A file that a rule selects."""

    record: FileRecord
    rule: Rule

    @property
    def key(self) -> FileKey:
        """The key of the file."""
        return self.record.key

    def goes(self, text: str) -> Finding:
        """The proposal that it goes."""
        return Finding(
            key=self.key, rule=self.rule.id, evidence=(Evidence(kind="unused", text=text),)
        )

    def stays(self, reason: SkipReason, evidence: Evidence) -> Refusal:
        """The reason why it stays."""
        return Refusal(key=self.key, rule=self.rule.id, reason=reason, evidence=(evidence,))


def _by_link(context: Context, wanted: Sequence[_Wanted]) -> Iterator[Proposal]:
    linkage = context.facts.libraries
    left, refused = _unlinked(context, linkage, wanted)
    left = _whole(left, refused)
    named = _named(context, list(left.values()))
    left = _whole({key: one for key, one in left.items() if key not in named}, named)
    # What stays because it is named may link others.
    left, linked = _unlinked(context, linkage, list(left.values()))
    left = _whole(left, linked)
    refused |= named | linked
    for one in wanted:
        if one.key in refused:
            yield refused[one.key]
        elif one.key not in left:
            text = "belongs to a library that stays"
            yield one.stays(SkipReason.LINKED, Evidence(kind="needed", text=text))
    for key in sorted(left):
        yield left[key].goes("no native file of the stack links it, and no other file names it")
        for link in linkage.links_to(left[key].record):
            if link.key not in context.gone:
                place = left[key].record.deployed_path
                evidence = Evidence(kind="link", text="leads to a library that goes", file=place)
                yield Finding(key=link.key, rule=left[key].rule.id, evidence=(evidence,))


def _whole(
    left: Mapping[FileKey, _Wanted], refused: Mapping[FileKey, Refusal]
) -> dict[FileKey, _Wanted]:
    """Return those of whose rule and folder none was refused."""
    torn = {(refusal.rule, key[0], posixpath.dirname(key[1])) for key, refusal in refused.items()}
    return {
        key: one
        for key, one in left.items()
        if (one.rule.id, key[0], posixpath.dirname(key[1])) not in torn
    }


def _unlinked(
    context: Context, linkage: Linkage, wanted: Sequence[_Wanted]
) -> tuple[dict[FileKey, _Wanted], dict[FileKey, Refusal]]:
    """Return those that nothing links but each other, and refusals of the rest."""
    left = {one.key: one for one in wanted}
    refused: dict[FileKey, Refusal] = {}
    while True:
        linked: dict[FileKey, Refusal] = {}
        for key, one in left.items():
            evidence = _linked_by(context, linkage, one.record, left)
            if evidence is not None:
                linked[key] = one.stays(SkipReason.LINKED, evidence)
        if not linked:
            return left, refused
        refused |= linked
        left = {key: one for key, one in left.items() if key not in linked}


def _linked_by(
    context: Context, linkage: Linkage, record: FileRecord, going: Mapping[FileKey, _Wanted]
) -> Evidence | None:
    """The native file, or the link, that keeps a library."""
    for user in linkage.dependents(record, context.gone):
        if user.key not in going or context.held(user):
            return Evidence(kind="needed", text="links it", file=user.deployed_path)
    for link in linkage.links_to(record):
        goes = link.key in context.gone or link.key in going
        if not goes and (context.held(link) or not link.path.startswith(DYNLIB)):
            return Evidence(kind="link", text="leads to it and stays", file=link.deployed_path)
    return None


def _named(context: Context, wanted: Sequence[_Wanted]) -> dict[FileKey, Refusal]:
    """Refusals of those whose name a file has that stays, but for tables of libraries."""
    if not wanted:
        return {}
    words: dict[bytes, list[_Wanted]] = defaultdict(list)
    for one in wanted:
        found = _BARE_NAME.match(posixpath.basename(one.record.path))
        words[(found["bare"] if found else posixpath.basename(one.record.path)).encode()].append(
            one
        )
    accepted = {
        layer.name: GlobSet(
            dict.fromkeys(glob for one in wanted for glob in one.rule.despite)
        ).for_layer(layer)
        for layer in context.stack
    }
    going = {one.key for one in wanted}
    refused: dict[FileKey, Refusal] = {}
    for record in context.inventory:
        if record.type is not EntryType.FILE or not record.size or record.key in context.gone:
            continue
        pattern = accepted[record.layer]
        if record.key in going or posixpath.basename(record.path) in _LISTS:
            continue
        if pattern is not None and pattern.match(record.path) is not None:
            continue
        for word in words_in(context.read(record), words.keys()):
            text = f"has its name {word.decode()!r}"
            evidence = Evidence(kind="string", text=text, file=record.deployed_path)
            for one in words[word]:
                refused.setdefault(one.key, one.stays(SkipReason.REFERENCED, evidence))
    return refused


@dataclass(frozen=True, slots=True)
class _Build:
    """Versions that a PyTorch was built for: of ``cuda``, ``hip``, ``xpu``; empty: not for it."""

    place: str
    versions: Mapping[str, str]


def _builds(context: Context) -> list[_Build] | None:
    """Return what each PyTorch was built for; None where one doesn't say, or none is there."""
    builds = []
    for record in context.inventory:
        if record.type is not EntryType.FILE or not _BUILD_FILE.search(record.path):
            continue
        text = bytes(context.read(record)[:_LARGEST_BUILD_FILE])
        versions = {kind.decode(): number.decode() for kind, number, _ in _BUILD.findall(text)}
        if not {"cuda", "hip"} <= versions.keys():
            return None
        builds.append(_Build(record.deployed_path, versions))
    return builds or None


def _by_torch(context: Context, wanted: Sequence[_Wanted]) -> Iterator[Proposal]:
    builds = _builds(context)
    if builds is None:
        evidence = Evidence(kind="torch", text="no PyTorch of the stack says what it was built for")
        for one in wanted:
            yield one.stays(SkipReason.CONDITION, evidence)
        return
    asking = _asking(context)
    folders: dict[tuple[str, str], list[_Wanted]] = defaultdict(list)
    for one in wanted:
        folders[one.record.layer, posixpath.dirname(one.record.path)].append(one)
    for found in folders.values():
        yield from _other_versions(found, builds, asking)


def _asking(context: Context) -> Evidence | None:
    """A file that chooses bitsandbytes' library by the environment, other than bitsandbytes."""
    words = (b"BNB_CUDA_VERSION", b"BNB_ROCM_VERSION")
    for record in context.inventory:
        if (
            record.type is EntryType.FILE
            and record.native is None
            and record.size
            and record.key not in context.gone
            and record.owner.name != "bitsandbytes"
            and words_in(context.read(record), words)
        ):
            text = "names a variable that chooses another library"
            return Evidence(kind="string", text=text, file=record.deployed_path)
    return None


def _other_versions(
    wanted: Sequence[_Wanted], builds: Sequence[_Build], asking: Evidence | None
) -> Iterator[Proposal]:
    named = [(one, _VERSIONED.search(one.record.path)) for one in wanted]
    there = {(found[1], found[2]) for _, found in named if found is not None}
    used = {
        choice
        for build in builds
        for kind in _BUILT_FOR
        for choice in _choices(kind, build, {number for own, number in there if own == kind})
    }
    for one, found in named:
        if found is None:
            continue
        if (found[1], found[2]) in used:
            continue  # in use: the rule is about the others
        if asking is not None:
            yield one.stays(SkipReason.REFERENCED, asking)
            continue
        yield one.goes("; ".join(_describe(build, found[1]) for build in builds))


def _describe(build: _Build, kind: str) -> str:
    version = build.versions.get(_BUILT_FOR[kind], "")
    name = {"cuda": "CUDA", "rocm": "ROCm", "xpu": "XPU"}[kind]
    return f"{build.place} says {name} {version}" if version else f"{build.place}: not for {name}"


def _choices(kind: str, build: _Build, there: set[str]) -> Iterator[tuple[str, str]]:
    """The versions that a build of PyTorch may load: bitsandbytes takes the best that is there.

    That is the same version, or the highest lower one of the same major, or the lowest higher one.
    All of them where none is of the same major, or for XPU, where other things decide.
    """
    version = build.versions.get(_BUILT_FOR[kind], "")
    if not version:
        return
    digits = "".join(version.split(".")[:2])
    major = len(version.split(".", 1)[0])
    same = {number for number in there if number[:major] == digits[:major] and number[major:]}
    if kind == "xpu" or not same:
        yield from ((kind, number) for number in there)
        return
    wanted = int(digits[major:] or 0)
    minors = {int(number[major:]): number for number in same}
    lower = [minor for minor in minors if minor <= wanted]
    yield kind, minors[max(lower) if lower else min(minors)]


def _by_devices(
    context: Context, wanted: Sequence[_Wanted], targets: Sequence[Target]
) -> Iterator[Proposal]:
    chosen = ", ".join(str(target) for target in targets)
    for one in wanted:
        devices = one.rule.options.get("devices", ())
        if isinstance(devices, tuple) and devices:
            if not any(str(target.capability) in devices for target in targets):
                yield one.goes(f"only {', '.join(devices)} use it; [gpu] names {chosen}")
        else:
            made_for = _made_for(context, one.record)
            if made_for and not any(_may_run(target, made_for) for target in targets):
                names = ", ".join(sorted({f"{code.capability}{code.suffix}" for code in made_for}))
                yield one.goes(f"code for {names}; [gpu] names {chosen}")


def _may_run(target: Target, codes: Iterable[Code]) -> bool:
    return any(can_run(target.capability, code) is not Runs.NO for code in codes)


def _made_for(context: Context, record: FileRecord) -> tuple[Code, ...]:
    """The code of a file; nothing where it has some that slim can't judge."""
    found = read_gpu_code(context.read(record))
    if found is None or found.damage or found.blocks:
        return ()
    codes = []
    for entry in found.entries:
        match = _ARCHITECTURE.fullmatch(entry.architecture)
        kind = _KINDS.get(entry.kind)
        if match is None or kind is None:
            return ()
        capability = Capability(int(match[1]), int(match[2]))
        codes.append(Code(kind=kind, capability=capability, suffix=Suffix(match[3])))
    return tuple(codes)
