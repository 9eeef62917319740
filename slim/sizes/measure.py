"""Measures anything that has sizes: a stack, an archive, a folder, a report, a report in git."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from slim.binaries.elf.edit import ElfEdit, plan_edit
from slim.config.settings import Config
from slim.errors import ConfigError
from slim.inventory.load import LoadedStack, load
from slim.inventory.locate import locate
from slim.inventory.located import Located
from slim.model.context import RunContext
from slim.model.diff import Cell, MeasuredLayer, Snapshot
from slim.model.footprint import Footprint
from slim.model.plan import Plan
from slim.model.progress import Progress, Silent
from slim.model.record import FileKey, NativeFormat
from slim.model.stack import StackKind
from slim.plan.accounts import cells
from slim.sizes.report_file import is_report, parse_report
from slim.sources.base import Holds
from slim.sources.fetch import fetched, parse
from slim.system.regular import read_input
from slim.system.workspace import workspace

LARGEST_REPORT = 256 << 20
"""Bytes of a JSON report that slim is willing to parse."""


def measure(
    source: str,
    config: Config,
    platforms: Sequence[str] = (),
    progress: Progress | None = None,
) -> tuple[Snapshot, ...]:
    """Measure what ``source`` names.

    Returns one snapshot for each platform, in the order of their manifests. ``source`` may be a
    published, exported or built stack, a layer archive, a plain folder, a JSON report
    of ``slim run`` (what came out of it), ``slim audit`` or ``slim check``, or ``REF:PATH``, the
    report at a path of a git commit.

    Raises the errors of :mod:`slim.errors`.
    """
    named = parse(source, wanted=Holds.STACK | Holds.REPORT)
    with fetched(named) as path:
        if named.is_report or (path.is_file() and path.suffix == ".json"):
            text = read_input(path, LARGEST_REPORT, noun="report", source=source)
            if named.is_report or is_report(text):
                return _only(parse_report(text, source), platforms, source)
        stacks = locate(path, platforms=platforms, any_archive=True)
        with workspace() as spool:
            context = config.context(spool, progress or Silent())
            return tuple(_measure(located, context) for located in stacks)


def snapshot_of(loaded: LoadedStack) -> Snapshot:
    """Measure a stack that is open already."""
    stack, inventory = loaded.stack, loaded.inventory
    names = {layer.name: layer.layer_name for layer in stack}
    measured = cells(inventory, Plan(actions={}))
    contents: dict[str, Footprint] = {}
    for cell in measured:
        contents[cell.layer] = contents.get(cell.layer, Footprint()) + cell.before
    return Snapshot(
        source=stack.source,
        kind=stack.kind.value,
        platform=stack.platform.tag,
        layers=tuple(
            MeasuredLayer(
                name=layer.name,
                layer_name=layer.layer_name,
                kind=layer.kind.value,
                footprint=contents.get(layer.name, Footprint())
                + Footprint(archive=layer.archive.size if layer.archive else 0),
                archive_sha256=layer.archive.sha256 if layer.archive else "",
                tree_sha256=loaded.tree_digest(layer.name),
            )
            for layer in stack
        ),
        cells=tuple(
            Cell(
                layer=names[cell.layer],
                owner=cell.owner.name,
                version=cell.owner.version,
                category=cell.category.value,
                footprint=cell.before,
            )
            for cell in measured
        ),
        records={(names[record.layer], record.path): record for record in inventory},
        debug=_debug(loaded, names),
    )


def _measure(located: Located, context: RunContext) -> Snapshot:
    """Measure one stack.

    Stacks are read as strictly as by a run, so that owners are told by the same evidence; anything
    else as by an audit, which reads more and asks names where there is no RECORD.
    """
    lenient = located.kind in (StackKind.ARCHIVE, StackKind.FOLDER)
    with load(located, context, lenient=lenient) as loaded:
        return snapshot_of(loaded)


def _debug(loaded: LoadedStack, names: Mapping[str, str]) -> dict[FileKey, int]:
    """Bytes of debugging sections in ELF files, where there are any."""
    found: dict[FileKey, int] = {}
    for record in loaded.inventory:
        if record.native is not NativeFormat.ELF:
            continue
        edit = plan_edit(loaded.read(record), "debug")
        size = sum(size for _, size in edit.dropped) if isinstance(edit, ElfEdit) else 0
        if size:
            found[(names[record.layer], record.path)] = size
    return found


def _only(
    snapshots: tuple[Snapshot, ...], platforms: Sequence[str], source: str
) -> tuple[Snapshot, ...]:
    if not platforms:
        return snapshots
    missing = sorted(set(platforms) - {snapshot.platform for snapshot in snapshots})
    if missing:
        known = ", ".join(sorted({snapshot.platform for snapshot in snapshots}))
        raise ConfigError(
            f"no stack for platform {', '.join(missing)}", file=source, hint=f"there is: {known}"
        )
    return tuple(snapshot for snapshot in snapshots if snapshot.platform in platforms)
