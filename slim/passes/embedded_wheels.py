"""Wheels that lie in a layer as files: they lose what rules take of the same files, once installed.

What stays in a wheel keeps its bytes, so that Python imports it from there and pip installs it as
before; its RECORD tells what is left. Only a wheel for every platform is looked into: one for a
platform is meant for it. A wheel that something signs, knows the digest of or may hand on to
another computer stays whole.

Source: PyPA "Binary distribution format" (RECORD lists every file of a wheel but signatures).
"""

from __future__ import annotations

import csv
import posixpath
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from slim.analysis.digest_words import spellings
from slim.errors import IntegrityError, SlimError, UnsafeInputError
from slim.formats.zip.cut import cut_zip, read_member
from slim.formats.zip.parse import ZipParser, ZipRecord
from slim.model.finding import EditSpec, Evidence, Finding
from slim.model.plan import SkipReason
from slim.model.recipe import Recipe
from slim.model.record import EntryType, FileRecord, OwnerKind
from slim.model.rule import OptionSchema, OptionValue, PassSchema, Rule, Verb
from slim.passes.base import Context, Proposal, Refusal
from slim.passes.select import LEFTOVERS
from slim.system.hashing import digests_of_pieces
from slim.system.mapped import pieces_of, words_in

EDITOR = "embedded-wheel"
_FOR_EVERY_PLATFORM = "-none-any.whl"
_ALGORITHMS = ("md5", "sha1", "sha256", "sha512")
_LARGEST = 64 << 20
"""Bytes of a wheel that is looked into; pip's has two million."""
_LARGEST_UNPACKED = 256 << 20
_LARGEST_RECORD = 4 << 20
_LARGEST_TEXT = 8 << 20
"""Bytes of a file that is searched for a wheel's digest; lock files have up to a few million."""
_MOST = 20_000
_SHOWN = 3
_SIGNATURES = ("RECORD.jws", "RECORD.p7s")


class EmbeddedWheels:
    """The pass ``embedded-wheels``."""

    schema = PassSchema(
        name="embedded-wheels",
        summary="what rules for leftovers take of a distribution, within its wheel in a layer",
        verb=Verb.REWRITE,
        options={
            "inside": OptionSchema(
                type=tuple,
                default=(),
                help="ids of the rules for leftovers that hold within the wheels, as if what is "
                "in them were installed in the layer",
            )
        },
    )

    def concerns(self, record: FileRecord) -> bool:
        """True for wheels for every platform."""
        return record.type is EntryType.FILE and record.path.endswith(_FOR_EVERY_PLATFORM)

    def propose(self, context: Context) -> Iterator[Proposal]:
        """Propose to take files out of wheels; refuse each wheel that has to stay as it is."""
        for record, rules in context.selected(self.schema.name):
            if self.concerns(record) and record.key not in context.gone:
                try:
                    proposal = _look(record, rules[0], context)
                except SlimError as error:
                    evidence = Evidence(kind="wheel", text=error.message, file=record.deployed_path)
                    proposal = _refusal(record, rules[0], evidence)
                if proposal is not None:
                    yield proposal


def _look(record: FileRecord, rule: Rule, context: Context) -> Proposal | None:
    view = context.read(record)
    records = _records(view)
    gone = _members(record, rule, records, context)
    if not gone:
        return None
    recipe = _cut(view, records, gone)
    if recipe.size >= record.size:
        return None
    known = context.facts.digests.against_change(record) or _known(record, context)
    if known is not None:
        return _refusal(record, rule, known)
    names = ", ".join(gone[:_SHOWN])
    more = f" and {len(gone) - _SHOWN} more" if len(gone) > _SHOWN else ""
    packed = sum(one.packed for one in records if one.name in gone)
    text = f"{names}{more} go out of the wheel ({packed} bytes)"
    return Finding(
        key=record.key,
        rule=rule.id,
        evidence=(Evidence(kind="members", text=text, file=record.deployed_path),),
        edit=EditSpec(editor=EDITOR, options={"members": gone}),
        size_after=recipe.size,
    )


def _refusal(record: FileRecord, rule: Rule, evidence: Evidence) -> Refusal:
    return Refusal(
        key=record.key, rule=rule.id, reason=SkipReason.UNSAFE_TO_EDIT, evidence=(evidence,)
    )


def _records(view: memoryview) -> list[ZipRecord]:
    if len(view) > _LARGEST:
        raise UnsafeInputError(f"the wheel has more than {_LARGEST} bytes")
    records = ZipParser(view, None, members=_MOST).records()
    if sum(one.size for one in records) > _LARGEST_UNPACKED:
        raise UnsafeInputError(f"the wheel unpacks to more than {_LARGEST_UNPACKED} bytes")
    return records


def _members(
    record: FileRecord, rule: Rule, records: list[ZipRecord], context: Context
) -> tuple[str, ...]:
    """Return the members that one of the rules named in ``inside`` takes where they are installed.

    They are asked about as files of the layer's own site-packages.
    """
    inside = rule.options.get("inside", ())
    sites = context.stack.layer(record.layer).site_dirs
    assert isinstance(inside, tuple)
    found = []
    for name in sorted(one.name for one in records) if sites else ():
        asked = context.inventory.get((record.layer, f"{sites[0]}/{name}"))
        asked = asked or replace(record, path=f"{sites[0]}/{name}")
        taken = context.strongest(LEFTOVERS.schema.name, asked)
        if taken is not None and taken.id in inside and not context.held(asked):
            found.append(name)
    return tuple(found)


def _known(record: FileRecord, context: Context) -> Evidence | None:
    """Return the file of anybody that states the wheel's digest, links to it, or may hand it on.

    RECORD is written again. A runtime knows its own folders, and installs from them on the computer
    that it runs on.
    """
    made = digests_of_pieces(pieces_of(context.read(record)), _ALGORITHMS)
    digests = {word for digest in made.values() for word in spellings(digest)}
    package, folder = posixpath.split(posixpath.dirname(record.path))
    names = {name.encode() for name in (posixpath.basename(package), folder) if name}
    for other in context.inventory:
        if other.key == record.key or other.key in context.gone:
            continue
        target = posixpath.basename(other.link_target or "")
        if target and target in {posixpath.basename(record.path), folder}:
            return Evidence(kind="link", text="may lead to it", file=other.deployed_path)
        if (
            other.type is not EntryType.FILE
            or other.native is not None
            or not 0 < other.size <= _LARGEST_TEXT
            or other.path.endswith(".dist-info/RECORD")
        ):
            continue
        found = words_in(context.read(other), digests | names)
        if found & digests:
            return Evidence(kind="digest", text="states its digest", file=other.deployed_path)
        is_own = other.layer == record.layer and other.path.startswith(f"{package}/")
        if names and names <= found and not is_own and other.owner.kind is not OwnerKind.RUNTIME:
            text = f"names its folder {folder}, and may hand it on"
            return Evidence(kind="path", text=text, file=other.deployed_path)
    return None


def cut_wheel(view: memoryview, options: Mapping[str, OptionValue]) -> Recipe:
    """Carry out an edit of this pass; plans name it by :data:`EDITOR`.

    Option: ``members``, the names of those that go. Raises UnsafeInputError for a wheel that can't
    be edited, and IntegrityError for one that isn't the one that was looked at.
    """
    gone = options["members"]
    assert isinstance(gone, tuple)
    records = _records(view)
    if not set(gone) <= {record.name for record in records}:
        raise IntegrityError(
            "the wheel has other members than it had",
            hint="it has changed since it was planned; run again",
        )
    return _cut(view, records, gone)


def _cut(view: memoryview, records: list[ZipRecord], gone: Collection[str]) -> Recipe:
    found = [
        one
        for one in records
        if one.name.endswith(".dist-info/RECORD") and one.name.count("/") == 1
    ]
    if len(found) != 1:
        raise UnsafeInputError("it has no RECORD, or several")
    info = posixpath.dirname(found[0].name)
    if any(one.name in {f"{info}/{name}" for name in _SIGNATURES} for one in records):
        raise UnsafeInputError("its RECORD is signed")
    rows = rows_without(read_member(view, found[0], _LARGEST_RECORD), gone)
    return cut_zip(view, records, gone, found[0].name, rows)


def rows_without(content: bytes, gone: Collection[str]) -> bytes:
    """Return a RECORD without the rows of some files; all others stay byte for byte.

    Raises UnsafeInputError where not each of the files has one row, or a row isn't a line of three
    columns.
    """
    left, rows = [], []
    for line in content.splitlines(keepends=True):
        try:
            fields = next(csv.reader([line.decode()], strict=True), [])
        except (csv.Error, UnicodeDecodeError):
            fields = [""]
        if fields and len(fields) != 3:
            raise UnsafeInputError("its RECORD isn't one row a line")
        if fields and fields[0] in gone:
            rows.append(fields[0])
        else:
            left.append(line)
    if sorted(rows) != sorted(gone):
        raise UnsafeInputError("its RECORD doesn't list each file once")
    return b"".join(left)
