"""Files that no rule may remove, each with its reason, and distributions that may not change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from slim.errors import UnsafeInputError
from slim.model.record import Distribution, EntryType, FileKind, FileRecord, Inventory
from slim.model.stack import Layer
from slim.plan.draft import Draft

_KEPT_METADATA = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "top_level.txt")
_RECORD_SIGNATURES = ("RECORD.jws", "RECORD.p7s")
_STAYING_TOP = ("postinstall.py",)
_UNLIKE_RECORD = "it differs from its RECORD, so somebody changed it"


def protected_paths(layer: Layer, inventory: Inventory) -> dict[str, str]:
    """Return the paths in a layer that no rule may remove, with the reason in words."""
    found: dict[str, str] = {}
    for distribution in inventory.distributions.get(layer.name, {}).values():
        for name in _KEPT_METADATA:
            found[f"{distribution.info_dir}/{name}"] = (
                "importlib.metadata, pip or an entry point reads it"
            )
        found.update(dict.fromkeys(unlike_record(distribution, inventory), _UNLIKE_RECORD))
        for path in distribution.licences:
            found[path] = "a licence has to be shipped with the code it covers"
    launch = launch_files(layer, inventory.records[layer.name])
    found.update(dict.fromkeys(launch, "the application is launched through it"))
    for path, record in inventory.records[layer.name].items():
        if path in _STAYING_TOP or path.startswith("share/venv/metadata/"):
            found[path] = "the installer's post-install step reads it"
        elif record.kind is FileKind.LICENCE:
            found[path] = "a licence has to be shipped with the code it covers"
    return found


def unlike_record(distribution: Distribution, inventory: Inventory) -> Iterator[str]:
    """Yield the files of a distribution that differ from RECORD, and those whose bytes they share.

    They and their rows stay as they are: they aren't removed, and no byte of them is edited.
    Bytecode isn't among them: Python writes it again at will.
    """
    records = inventory.records[distribution.layer]
    for path in distribution.differing:
        if not path.endswith(".pyc"):
            yield path
            record = records[path]
            if record.type is EntryType.HARDLINK and record.link_target is not None:
                yield record.link_target


def launch_files(layer: Layer, records: Mapping[str, FileRecord]) -> tuple[str, ...]:
    """Return the files of a layer's launch module: a module, or a package with its ``__main__``."""
    if not layer.launch_module:
        return ()
    stem = layer.launch_module.replace(".", "/")
    candidates = (
        f"{site}/{stem}{tail}"
        for site in layer.site_dirs
        for tail in (".py", "/__init__.py", "/__main__.py")
    )
    return tuple(path for path in candidates if path in records)


def check_signed_records(inventory: Inventory, draft: Draft) -> None:
    """Raise UnsafeInputError where a distribution changes whose RECORD is signed.

    A signed RECORD can't be written again, so its distribution goes whole or stays as it is.
    Source: PyPA "Binary distribution format" (``RECORD.jws``, ``RECORD.p7s``).
    """
    for layer, distributions in inventory.distributions.items():
        for distribution in distributions.values():
            changed = [
                path for path in sorted(distribution.files) if (layer, path) in draft.actions
            ]
            whole = (layer, f"{distribution.info_dir}/RECORD") in draft.actions
            if not changed or whole:
                continue
            for name in _RECORD_SIGNATURES:
                path = f"{distribution.info_dir}/{name}"
                if path in inventory.records[layer]:
                    raise UnsafeInputError(
                        f"signs the RECORD of {distribution.name}, which an edit of {changed[0]} "
                        "would make untrue",
                        file=f"{layer}/{path}",
                        hint="keep the distribution as it is, with a keep glob for its files",
                    )
