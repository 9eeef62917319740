"""GPU code for the page: sums by architecture, owner and file, each architecture by its number."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from slim.model.gpu import GpuKind
from slim.model.gpu_audit import GpuAudit, GpuFile, architecture_order
from slim.reports.common.gpu import architecture_name
from slim.reports.common.text import printable
from slim.system.json_text import Json

_MOST_FILES = 200

_Key = tuple[GpuKind, str]


def gpu_data(audits: Sequence[GpuAudit]) -> Json | None:
    """Return what the page shows of one or several stacks; None where there is no GPU code.

    ``colours`` has for each architecture the number of its colour: its kinds have the same one.
    Code that is compressed together counts under the last name, of the colour -1.
    """
    files = [file for audit in audits for file in audit.files]
    if not files:
        return None
    keys = sorted(
        {one for file in files for one in file.architectures},
        key=lambda one: architecture_order(*one),
    )
    numbers = {key: number for number, key in enumerate(keys)}
    hues = {name: number for number, name in enumerate(dict.fromkeys(name for _, name in keys))}
    files.sort(key=lambda file: (-file.size, file.record.key))
    owners = defaultdict(list)
    for file in files:
        owners[file.record.owner.label].append(file)
    return {
        "names": [*(printable(architecture_name(*key)) for key in keys), "compressed together"],
        "colours": [*(hues[name] for _, name in keys), -1],
        "rows": [*(_row(key, files) for key in keys), _together(files)],
        "owners": sorted(
            (
                [printable(label), sum(file.size for file in own), len(own), _parts(own, numbers)]
                for label, own in owners.items()
            ),
            key=lambda row: (-row[1], row[0]),
        ),
        "files": [
            [
                printable(file.record.deployed_path),
                file.size,
                file.record.size,
                _parts([file], numbers),
            ]
            for file in files[:_MOST_FILES]
        ],
        "count": len(files),
        "damage": [printable(text) for file in files for text in file.damage],
    }


def _row(key: _Key, files: Iterable[GpuFile]) -> list[int]:
    """Bytes in files, bytes once unpacked, entries and files of an architecture."""
    own = [
        (share, file)
        for file in files
        for share in file.shares
        if (share.kind, share.architecture) == key
    ]
    return [
        sum(share.size for share, _ in own),
        sum(share.unpacked for share, _ in own),
        sum(share.entries for share, _ in own),
        len({file.record.key for _, file in own}),
    ]


def _together(files: Iterable[GpuFile]) -> list[int]:
    own = [file for file in files if file.together]
    return [sum(file.together for file in own), 0, 0, len(own)]


def _parts(files: Iterable[GpuFile], numbers: dict[_Key, int]) -> list[list[int]]:
    """``[number of the architecture, bytes]``, in the order of the architectures."""
    sums: dict[int, int] = defaultdict(int)
    for file in files:
        for share in file.shares:
            sums[numbers[share.kind, share.architecture]] += share.size
        sums[len(numbers)] += file.together
    return [[number, size] for number, size in sorted(sums.items()) if size]
