"""Checks that run nothing: RECORD, libraries, links, licences."""

from __future__ import annotations

import base64
import posixpath
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from slim.analysis.linkage.graph import Linkage
from slim.analysis.linkage.virtual_tree import VirtualTree
from slim.errors import SlimError
from slim.formats.base import Member
from slim.inventory.distributions import RecordRow, parse_record
from slim.inventory.recorded import follow
from slim.model.outcome import Check
from slim.model.plan import Plan, Remove
from slim.model.record import (
    Distribution,
    EntryType,
    FileKey,
    FileKind,
    FileRecord,
    Inventory,
)

DROP_PASS = "packages"


def check_records(
    layer: str,
    members: Sequence[Member],
    digests: Mapping[str, str],
    distributions: Iterable[Distribution],
    before: Mapping[str, FileRecord],
    signed: Collection[str] = (),
) -> Check:
    """Check that every row of every RECORD names a file of the layer, with its hash.

    Rows of files that were ``signed`` since RECORD was written aren't asked for the hash.

    Rows that weren't true in the original (``before`` holds its files) need not be; their files
    have to be what they were. A RECORD that nobody touched may name what was never there.
    ``digests`` are the SHA-256 of the files by path, in hexadecimal.
    """
    by_path = {member.path: member for member in members}
    failures: list[str] = []
    tried = 0
    for distribution in distributions:
        path = f"{distribution.info_dir}/RECORD"
        member = by_path.get(path)
        if member is None or member.content is None:
            continue
        site = posixpath.dirname(distribution.info_dir)
        try:
            rows = parse_record(
                bytes(member.content.view()).decode("utf-8"), site=site, file=f"{layer}/{path}"
            )
        except (SlimError, UnicodeDecodeError) as error:
            problem = (
                f"{error.where}: {error.message}"
                if isinstance(error, SlimError)
                else f"{layer}/{path}: not UTF-8"
            )
            failures.append(problem)
            continue
        old = before.get(path)
        as_it_was = old is not None and bool(old.sha256) and old.sha256 == digests.get(path)
        for row in rows:
            tried += 1
            if as_it_was and row.path not in by_path and row.path not in before:
                continue  # venvstacks itself leaves rows of bytecode that it deletes
            is_untrue = row.path in distribution.differing
            if row.path in signed and row.path in by_path:
                continue
            problem = _problem(row, is_untrue, by_path, digests, before)
            if problem:
                failures.append(f"{layer}/{path}: {problem}")
    return Check(name="record", tried=tried, failures=tuple(failures))


def _problem(
    row: RecordRow,
    is_untrue: bool,
    members: Mapping[str, Member],
    digests: Mapping[str, str],
    before: Mapping[str, FileRecord],
) -> str:
    """Say what is wrong with a row, or nothing. ``is_untrue``: it wasn't true before either."""
    named = members.get(row.path)
    if named is None or named.type is EntryType.DIRECTORY:
        return f"names {row.written}, which isn't there"
    sha256 = digests.get(follow(members, row.path) or "")
    if sha256 is None:
        return ""
    if is_untrue:
        old = before.get(row.path)
        unchanged = old is None or old.sha256 in ("", sha256) or row.path.endswith(".pyc")
        return "" if unchanged else f"{row.written} isn't what it was"
    if row.digest.startswith("sha256=") and _hex(row.digest) != sha256:
        return f"the hash of {row.written} is wrong"
    return ""


def _hex(digest: str) -> str:
    text = digest.removeprefix("sha256=")
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).hex()
    except ValueError:
        return ""


def check_links(linkage: Linkage, inventory: Inventory, plan: Plan) -> Check:
    """Check that needed libraries resolve as before, and that no symbolic link dangles anew."""
    gone = frozenset(key for key, action in plan.actions.items() if isinstance(action, Remove))
    broken = linkage.broken_links(gone)
    failures = [str(link) for link in broken]
    before, after = VirtualTree(inventory), VirtualTree(inventory, gone)
    links = [
        record
        for record in inventory
        if record.type is EntryType.SYMLINK and record.key not in gone
    ]
    failures += [
        f"{record.deployed_path} -> {record.link_target}: dangles"
        for record in links
        if before.file(record.deployed_path) is not None
        and after.file(record.deployed_path) is None
    ]
    return Check(
        name="links", tried=len(linkage.resolved_links()) + len(links), failures=tuple(failures)
    )


def check_licences(inventory: Inventory, plan: Plan) -> Check:
    """Check that every licence file is there, but for those of what the user drops whole."""
    licences = [record for record in inventory if record.kind is FileKind.LICENCE]
    return Check(
        name="licences",
        tried=len(licences),
        failures=tuple(_lost((record.key for record in licences), plan)),
    )


def _lost(keys: Iterable[FileKey], plan: Plan) -> Iterator[str]:
    for key in keys:
        action = plan.actions.get(key)
        if action is not None and action.pass_name != DROP_PASS:
            yield f"{key[0]}/{key[1]}: removed or changed by {action.rule}"
