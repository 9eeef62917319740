"""Takes GPU code for devices that nobody named out of ELF libraries.

Does nothing without the table ``[gpu]`` of the configuration. Files of other formats with GPU code,
and those whose GPU code can't be edited, are refused with the reason.
"""

from __future__ import annotations

import posixpath
import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from slim.binaries.gpu.edit import GpuEdit, plan_gpu_edit
from slim.binaries.gpu.read import read_gpu_code
from slim.binaries.gpu.recompress import DRIVERS
from slim.binaries.refusal import NotEditable, RefusalKind
from slim.errors import IntegrityError, StorageError
from slim.model.finding import EditSpec, Evidence, Finding
from slim.model.gpu import GpuCode as Code
from slim.model.gpu_target import GpuSettings, Target, parse_target
from slim.model.plan import SkipReason
from slim.model.recipe import Recipe
from slim.model.record import EntryType, FileRecord, NativeFormat
from slim.model.rule import OptionValue, PassSchema, Verb
from slim.passes.base import Context, Proposal, Refusal
from slim.passes.debug_symbols import level_for, unless_stated
from slim.system.hashing import sha256_of_pieces
from slim.system.mapped import pieces_of

EDITOR: Final = "gpu-code"
"""The name under which plans refer to :func:`edit_gpu_code`."""

RULE: Final = "gpu"
"""What findings name instead of a rule: the table ``[gpu]`` of the configuration."""

NVIDIA: Final = "nvidia-"
"""How the names of NVIDIA's own distributions begin."""

_NVIDIA_FILES: Final = re.compile(
    r"lib(?:cu(?:blas|blasLt|dnn|fft|fftw|rand|solver|solverMg|sparse|sparseLt|tensor|dss|pti|dart"
    r"|file)|cudnn_[a-z_]+|npp[a-z]*|nvjpeg|nvrtc|nvJitLink|nvshmem_host|nvblas|nccl|nvinfer"
    r"|nvinfer_[a-z_]+)(?:[-.][0-9a-f.]*)?\.so(?:\.[0-9]+)*"
)
"""Files of NVIDIA's libraries, as other distributions ship them, too."""

SCHEMA = PassSchema(
    name="gpu-code",
    summary="Takes GPU code for devices that nobody named out of libraries, or compresses it "
    "again. Needs [gpu].",
    verb=Verb.REWRITE,
    needs_globs=False,
)


class GpuCode:
    """The pass ``gpu-code``. It has no rules: the configuration's ``[gpu]`` says what to do."""

    @property
    def schema(self) -> PassSchema:
        """Name, verb and options."""
        return SCHEMA

    def concerns(self, record: FileRecord) -> bool:
        """True for files that may hold GPU code."""
        return record.native in (NativeFormat.ELF, NativeFormat.PE)

    def propose(self, context: Context) -> Iterable[Proposal]:
        """Propose to edit each library that gets smaller; refuse what can't or mustn't be."""
        settings = context.gpu
        if settings is None:
            return
        for record in context.inventory:
            if (
                record.type is EntryType.FILE
                and self.concerns(record)
                and record.key not in context.gone
            ):
                code = read_gpu_code(context.read(record))
                if code is not None and (code.containers or code.blocks):
                    proposal = _propose(record, code, settings, context)
                    if proposal is not None:
                        yield proposal


def is_nvidias(record: FileRecord) -> bool:
    """Return whether a file is of NVIDIA's own libraries, whose licence limits changed copies."""
    name = posixpath.basename(record.path)
    return record.owner.name.startswith(NVIDIA) or _NVIDIA_FILES.fullmatch(name) is not None


def _propose(
    record: FileRecord, code: Code, settings: GpuSettings, context: Context
) -> Proposal | None:
    if record.native is NativeFormat.PE:
        return _refusal(record, "unsupported", "GPU code in a PE file, which slim doesn't edit")
    level = level_for(record, context)
    if is_nvidias(record) and not settings.nvidia_licence_allows:
        return _held_by_licence(record, settings, context)
    edit = _plan(context.read(record), settings.targets, level, settings.recompress)
    if isinstance(edit, NotEditable):
        if edit.kind is RefusalKind.NOTHING_GAINED:
            return None
        return _refusal(record, edit.kind.value, edit.reason)
    options: dict[str, OptionValue] = {
        "architectures": tuple(str(target) for target in settings.targets),
        "level": level,
    }
    if edit.recompressed:
        options["recompress"] = True
    finding = Finding(
        key=record.key,
        rule=RULE,
        evidence=tuple(_evidence(record, edit, code, settings.targets)),
        edit=EditSpec(editor=EDITOR, options=options),
        size_after=edit.size_after,
    )
    return unless_stated(finding, record, context)


def _held_by_licence(
    record: FileRecord, settings: GpuSettings, context: Context
) -> Proposal | None:
    """Return the refusal of a file of NVIDIA's; None where nothing would become of it anyway."""
    edit = plan_gpu_edit(context.read(record), settings.targets, "none")
    if isinstance(edit, GpuEdit):
        what = f"of which {_won(edit)} bytes of GPU code would go"
    elif edit.kind is RefusalKind.NOTHING_GAINED and settings.recompress:
        what = "which isn't compressed again"
    else:
        return None
    text = (
        f"NVIDIA's library, {what}: its licence doesn't let changed copies be passed on; "
        "nvidia_licence_allows = true in [gpu] says yours does"
    )
    evidence = Evidence(kind="licence", text=text, file=record.deployed_path)
    return Refusal(key=record.key, rule=RULE, reason=SkipReason.LICENCE, evidence=(evidence,))


def _refusal(record: FileRecord, kind: str, reason: str) -> Refusal:
    evidence = Evidence(kind=kind, text=reason, file=record.deployed_path)
    return Refusal(
        key=record.key, rule=RULE, reason=SkipReason.UNSAFE_TO_EDIT, evidence=(evidence,)
    )


def _gone(edit: GpuEdit) -> str:
    """Return the entries that go, in words."""
    return ", ".join(f"{name} {size}" for name, _, size in edit.gone)


def _won(edit: GpuEdit) -> int:
    """Return the bytes of GPU code that go."""
    return edit.saved + sum(size for _, _, size in edit.gone)


def _evidence(
    record: FileRecord, edit: GpuEdit, code: Code, targets: Iterable[Target]
) -> Iterable[Evidence]:
    file = record.deployed_path
    kept = ", ".join(map(str, targets))
    if edit.gone:
        text = f"GPU code that {kept} doesn't need (bytes): {_gone(edit)}; {edit.left} bytes stay"
        yield Evidence(kind="gpu-code", text=text, file=file)
    if edit.recompressed:
        number = "1 entry" if edit.recompressed == 1 else f"{edit.recompressed} entries"
        text = (
            f"{number} of GPU code become Zstandard, {edit.saved} bytes less; needs a driver from "
            f"{DRIVERS} on"
        )
        yield Evidence(kind="gpu-code-compressed", text=text, file=file)
    for block in code.blocks:
        text = f"{block.section or block.kind.value} stays as it is: {block.size} bytes"
        yield Evidence(kind="kept-as-it-is", text=text, file=file)
    other = sum(one.size for one in code.containers if one.section not in edit.sections)
    if other:
        text = f"GPU code outside of {' and '.join(edit.sections)} stays as it is: {other} bytes"
        yield Evidence(kind="kept-as-it-is", text=text, file=file)
    if edit.stripped:
        sections = ", ".join(f"{name} {size}" for name, size in edit.stripped)
        yield Evidence(
            kind="sections",
            text=f"sections that are never loaded go first (bytes): {sections}",
            file=file,
        )


_LATEST: OrderedDict[tuple[object, ...], GpuEdit] = OrderedDict()
"""Edits that compress again, by content and options: it takes minutes, so it is done once."""
_MOST_LATEST: Final = 64


def _plan(
    view: memoryview, targets: Sequence[Target], level: str, recompress: bool
) -> GpuEdit | NotEditable:
    """Plan an edit. Raises StorageError where there is no room for what is compressed."""
    if not recompress:
        return plan_gpu_edit(view, targets, level)
    key = (sha256_of_pieces(pieces_of(view)), tuple(map(str, targets)), level)
    if key in _LATEST:
        return _LATEST[key]
    try:
        edit = plan_gpu_edit(view, targets, level, recompress=True)
    except OSError as error:
        raise StorageError.from_os_error(error, file="a temporary file") from error
    if isinstance(edit, GpuEdit):
        _LATEST[key] = edit
        while len(_LATEST) > _MOST_LATEST:
            _LATEST.popitem(last=False)
    return edit


def edit_gpu_code(view: memoryview, options: Mapping[str, OptionValue]) -> Recipe:
    """Carry out an edit of this pass: return the recipe of the new content.

    Raises :class:`slim.errors.IntegrityError` for a file that can't be edited: none is proposed
    that can't, so these aren't the bytes that were looked at.
    """
    names = options["architectures"]
    targets = [parse_target(name) for name in (names if isinstance(names, tuple) else ())]
    edit = _plan(view, targets, str(options["level"]), bool(options.get("recompress")))
    if isinstance(edit, NotEditable):
        raise IntegrityError(
            f"the file can't be edited any more: {edit.reason}",
            hint="it has changed since it was planned; run again",
        )
    return edit.recipe
