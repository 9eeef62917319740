"""The long description in METADATA: the project's README, which no installed code needs.

``importlib.metadata`` and pip read the headers; the body (or a ``Description`` header) is for a
package index. The headers stay byte for byte, so that names, versions and requirements can't
change.

Source: PyPA "Core metadata specifications" (Description may be the message body).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from slim.model.finding import EditSpec, Evidence, Finding
from slim.model.recipe import Kept, Recipe
from slim.model.record import FileRecord, OwnerKind
from slim.model.rule import OptionValue, PassSchema, Verb
from slim.passes.base import Context

EDITOR = "metadata-description"
_BODY = re.compile(rb"\r?\n(\r?\n)")


def without_description(raw: bytes) -> bytes:
    """Return METADATA without its body; as it is where no blank line follows the headers."""
    match = _BODY.search(raw)
    return raw if match is None else raw[: match.start(1)]


def edit_description(view: memoryview, options: Mapping[str, OptionValue]) -> Recipe:
    """Carry out an edit of this pass; plans name it by :data:`EDITOR`."""
    return Recipe((Kept(0, len(without_description(bytes(view)))),))


class Description:
    """The pass ``description``, which cuts the body of each distribution's METADATA."""

    schema = PassSchema(
        name="description",
        summary="the long description in METADATA (its headers stay as they are)",
        verb=Verb.REWRITE,
        needs_globs=False,
    )

    def concerns(self, record: FileRecord) -> bool:
        """True for the METADATA of a distribution."""
        return record.path.endswith(".dist-info/METADATA")

    def propose(self, context: Context) -> Iterator[Finding]:
        """Propose to shorten each METADATA that has a body."""
        for layer, distributions in context.inventory.distributions.items():
            for distribution in distributions.values():
                record = context.inventory.get((layer, f"{distribution.info_dir}/METADATA"))
                if (
                    record is None
                    or record.key in context.gone
                    or record.owner.kind is not OwnerKind.DISTRIBUTION
                ):
                    continue
                rules = context.select(self.schema.name, record)
                if not rules:
                    continue
                size = len(without_description(bytes(context.read(record))))
                if size < record.size:
                    what = (
                        f"{record.size - size} bytes of long description, "
                        "which only a package index shows"
                    )
                    yield Finding(
                        key=record.key,
                        rule=rules[0].id,
                        evidence=(Evidence(kind="metadata", text=what),),
                        edit=EditSpec(editor=EDITOR),
                        size_after=size,
                    )
