"""Files and bundles that have to be signed before the result is shipped.

Pure: computed from an inventory and a plan.

macOS runs arm64 code only if it is signed. An ad-hoc signature is written again with each edit,
which is enough to run; a release is signed with an identity, and that has to be done anew for every
file whose bytes changed. Files that carry an identity's signature are never edited, but whoever
signs a release usually signs them too. A bundle's seal (``_CodeSignature/CodeResources``) lists the
files of its folder, so it breaks when one of them goes or changes. PE files are never edited.

Source: Apple, "TN2206: macOS Code Signing In Depth"; "TN3126: Inside Code Signing: Hashes".
"""

from __future__ import annotations

from collections.abc import Iterator

from slim.model.outcome import SigningReason, ToSign
from slim.model.plan import Plan, Remove, SkipReason
from slim.model.record import FileKey, Inventory, NativeFormat
from slim.model.stack import Stack, System

CODE_RESOURCES = "/_CodeSignature/CodeResources"


def to_sign(stack: Stack, inventory: Inventory, plan: Plan) -> tuple[ToSign, ...]:
    """Return the files and bundles of macOS layers that need a signature, by layer and path."""
    layers = {layer.name for layer in stack if layer.platform.system is System.MACOS}
    found: dict[FileKey, SigningReason] = {}
    for key, reason in (*_sealed(inventory, plan), *_identities(plan), *_changed(plan)):
        if key[0] in layers:
            found[key] = reason
    return tuple(ToSign(layer=key[0], path=key[1], reason=found[key]) for key in sorted(found))


def _changed(plan: Plan) -> Iterator[tuple[FileKey, SigningReason]]:
    for key, action in plan.actions.items():
        stays = not isinstance(action, Remove) and plan.link_target(key) is None
        if stays and action.record.native is NativeFormat.MACHO:
            yield key, SigningReason.CHANGED


def _identities(plan: Plan) -> Iterator[tuple[FileKey, SigningReason]]:
    for skipped in plan.skipped:
        if skipped.reason is SkipReason.SIGNED and not plan.removes(skipped.record.key):
            yield skipped.record.key, SigningReason.IDENTITY


def _sealed(inventory: Inventory, plan: Plan) -> Iterator[tuple[FileKey, SigningReason]]:
    for layer, records in inventory.records.items():
        bundles = [
            path.removesuffix(CODE_RESOURCES)
            for path in records
            if path.endswith(CODE_RESOURCES) and not plan.removes((layer, path))
        ]
        for bundle in bundles:
            if any(key[0] == layer and key[1].startswith(f"{bundle}/") for key in plan.actions):
                yield (layer, bundle), SigningReason.SEALED_FOLDER
