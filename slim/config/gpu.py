"""The ``[gpu]`` table of a configuration: what may be done to code for GPUs."""

from __future__ import annotations

from typing import Final

from slim.model.gpu_cards import card_names
from slim.model.gpu_target import GpuSettings, Target, parse_target
from slim.system.key_path import item_path
from slim.system.toml_table import Table, did_you_mean

KEYS: Final = ("architectures", "recompress", "nvidia_licence_allows")


def read_gpu(table: Table) -> GpuSettings | None:
    """Read the ``[gpu]`` table, or None where there is none; every mistake is noted."""
    inner = table.table("gpu")
    if inner is None:
        return None
    inner.allow(KEYS)
    targets = _targets(inner)
    recompress = inner.flag("recompress") or False
    if not {"architectures", "recompress"} & inner.values.keys() or (
        "architectures" not in inner.values and inner.values.get("recompress") is False
    ):
        inner.note(
            "architectures",
            "is missing: nothing says what to do with GPU code",
            'architectures = ["sm_90"], or recompress = true',
        )
    return GpuSettings(
        targets=targets,
        recompress=recompress,
        nvidia_licence_allows=inner.flag("nvidia_licence_allows") or False,
    )


def _targets(table: Table) -> tuple[Target, ...]:
    targets: list[Target] = []
    for text in table.texts("architectures"):
        index = list(table.strings("architectures")).index(text)
        place = item_path("architectures", index)
        try:
            target = parse_target(text)
        except ValueError as error:
            table.note(place, str(error), did_you_mean(text, card_names()))
            continue
        same = next((one for one in targets if one.capability == target.capability), None)
        if same is not None:
            table.note(place, f"{text[:80]!r} is {target.capability}, which is listed already")
            continue
        targets.append(target)
    value = table.values.get("architectures")
    if isinstance(value, list) and not value:
        table.note("architectures", "name at least one, or leave the key out")
    return tuple(targets)
