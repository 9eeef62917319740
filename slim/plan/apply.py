"""Turns a plan into the members of the new layers. Knows Remove and Rewrite, and nothing of rules.

Contents are edited lazily: an edited file is a recipe over the original's bytes until it is hashed
or written. RECORD is written again once for each distribution, at the end, when every size and hash
is known.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from slim.errors import SlimError
from slim.formats.base import BytesContent, Content, Member, Tree
from slim.formats.digests import digest_of
from slim.formats.edited import EditedContent
from slim.inventory.distributions import RecordRow, read_record, render_record
from slim.inventory.recorded import follow, row_for
from slim.model.finding import EditSpec, Evidence
from slim.model.plan import Plan, Remove, Rewrite
from slim.model.record import Distribution, EntryType, FileKey, Inventory
from slim.passes import EDITORS

RECORD_PASS = "record"
RECORD_RULE = "record-update"
"""Pseudo rule of RECORD files.

They are written again because their distribution changed, or because they named files that aren't
there.
"""

_MAX_ROUNDS = 8
"""How often RECORDs are written again because another one, which they list, was."""

_LINK_MODE = 0o755
"""Permissions of links, which mean nothing but are written; venvstacks writes these, too."""
_SITE = "site-packages/"
_CODE_SUFFIXES = (".py", ".pyc", ".so", ".pyd")


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """New content of a file, with its SHA-256 (raw digest)."""

    content: Content
    digest: bytes


def edit_files(
    plan: Plan, trees: Mapping[str, Tree], spool_dir: Path
) -> tuple[dict[FileKey, Edited], dict[FileKey, str]]:
    """Run every rewrite of the plan. Large contents are looked at from ``spool_dir``.

    Returns the new contents, and for those that failed the reason in words.
    """
    edited: dict[FileKey, Edited] = {}
    failed: dict[FileKey, str] = {}
    for key, action in plan.actions.items():
        if not isinstance(action, Rewrite) or action.link_target is not None:
            continue
        member = trees[key[0]].members[key[1]]
        assert member.content is not None
        try:
            recipe = EDITORS[action.edit.editor].edit(member.content.view(), action.edit.options)
        except SlimError as error:
            failed[key] = error.message
            continue
        if recipe.size != action.size_after:
            failed[key] = (
                f"the edit gave {recipe.size} bytes instead of the {action.size_after} "
                "that were planned"
            )
            continue
        content = EditedContent(
            original=member.content, recipe=recipe, size=recipe.size, spool_dir=spool_dir
        )
        edited[key] = Edited(content=content, digest=digest_of(content))
    return edited, failed


def update_records(
    plan: Plan,
    inventory: Inventory,
    trees: Mapping[str, Tree],
    edited: Mapping[FileKey, Edited],
    layers: Iterable[str],
) -> tuple[Plan, dict[FileKey, Edited]]:
    """Write RECORD again for each distribution that changed or that lists what isn't there.

    Rows that weren't true before stay as they are. A RECORD that another one lists comes first.
    Returns the plan with a Rewrite for each such RECORD, and the new contents. Source: PyPA
    "Recording installed projects": each file is listed with its hash and size; RECORD itself has
    neither.
    """
    actions = dict(plan.actions)
    contents = dict(edited)
    waiting = [
        distribution
        for layer in layers
        for distribution in inventory.distributions.get(layer, {}).values()
    ]
    for _ in range(_MAX_ROUNDS):
        written: set[FileKey] = set()
        for distribution in waiting:
            key = (distribution.layer, f"{distribution.info_dir}/RECORD")
            record = inventory.get(key)
            if record is None or isinstance(actions.get(key), Remove):
                continue
            new = _new_record(distribution, trees[key[0]], plan, contents)
            if new is None or (key in contents and new == bytes(contents[key].content.view())):
                continue
            content = BytesContent(new)
            contents[key] = Edited(content=content, digest=digest_of(content))
            actions[key] = Rewrite(
                record=record,
                pass_name=RECORD_PASS,
                rule=RECORD_RULE,
                edit=EditSpec(editor="record"),
                size_after=content.size,
                evidence=(
                    Evidence(kind="record", text="rows, hashes and sizes as the files now are"),
                ),
            )
            written.add(key)
        waiting = _listing(written, inventory)
        if not waiting:
            break
    return replace(plan, actions=dict(sorted(actions.items()))), contents


def _listing(records: set[FileKey], inventory: Inventory) -> list[Distribution]:
    """Return the distributions whose RECORD lists one of these RECORDs with a true hash."""
    layers = {layer for layer, _ in records}
    return [
        distribution
        for layer in sorted(layers)
        for distribution in inventory.distributions.get(layer, {}).values()
        if any(
            (layer, path) in records
            for path in distribution.files - distribution.differing
            if path.endswith("/RECORD") and path != f"{distribution.info_dir}/RECORD"
        )
    ]


def _new_record(
    distribution: Distribution, tree: Tree, plan: Plan, edited: Mapping[FileKey, Edited]
) -> bytes | None:
    """Return the bytes of the new RECORD, or None where the old one is true already."""
    rows = read_record(tree, distribution.info_dir, layer=distribution.layer)
    kept = tuple(_rows(rows, distribution, tree, plan, edited))
    if kept == rows:
        return None
    member = tree.members[f"{distribution.info_dir}/RECORD"]
    assert member.content is not None
    newline = "\r\n" if b"\r\n" in bytes(member.content.view()[:4096]) else "\n"
    return render_record(kept, newline=newline).encode("utf-8")


def _rows(
    rows: Iterable[RecordRow],
    distribution: Distribution,
    tree: Tree,
    plan: Plan,
    edited: Mapping[FileKey, Edited],
) -> Iterator[RecordRow]:
    for row in rows:
        key = (distribution.layer, row.path)
        if row.path not in distribution.files or plan.removes(key):
            continue
        link = plan.link_target(key)
        path = row.path
        if link is not None:
            path = posixpath.normpath(posixpath.join(posixpath.dirname(path), link))
        new = edited.get((distribution.layer, follow(tree.members, path) or path))
        if new is None or row.path in distribution.differing:
            yield row
        else:
            yield row_for(row, new.digest, new.content.size)


def new_members(
    layer: str, tree: Tree, plan: Plan, edited: Mapping[FileKey, Edited]
) -> list[Member]:
    """Return the members of the new layer, in the order of the old one.

    Its root folder comes first, where the old layer has a member for it.
    Folders that held something and hold nothing any more go, but for those of a package that stays
    which held no code: the package may list them, or write into them; and for those that a link or
    the interpreter looks for. Folders that were empty before stay.
    """
    kept: list[Member] = []
    emptied: set[str] = set()
    full: set[str] = set()
    for path, member in tree.members.items():
        if plan.removes((layer, path)):
            emptied.update(_parents(path))
            continue
        if member.type is not EntryType.DIRECTORY:
            full.update(_parents(path))
        kept.append(member)
    empty_before = [
        path
        for path, member in tree.members.items()
        if member.type is EntryType.DIRECTORY and path not in full and path not in emptied
    ]
    for path in empty_before:
        full.update((path, *_parents(path)))
    code = {
        folder
        for path in tree.members
        if path.endswith(_CODE_SUFFIXES)
        for folder in _parents(path)
    }
    gone = {path for path in emptied - full if path in code or not _in_package(path, full)}
    passed = {path for member in kept for path in _passed(member)} if gone else set()
    for path in [path for path in gone if path in passed or _is_landmark(path, full)]:
        gone.difference_update((path, *_parents(path)))
    root = [] if tree.root_member is None else [tree.root_member]
    return [
        *root,
        *(_edited(member, layer, plan, edited) for member in kept if not _is_gone(member, gone)),
    ]


def _passed(member: Member) -> Iterator[str]:
    """Yield the folders that a link's target enters and leaves again, as in ``tests/../data``.

    The system looks each of them up. Only those that no other link leads to are told.
    """
    if member.type is not EntryType.SYMLINK or ".." not in (member.link_target or ""):
        return
    place = posixpath.dirname(member.path).split("/")
    entered = 0
    for part in (member.link_target or "").split("/"):
        if part in ("", "."):
            continue
        if part != "..":
            place.append(part)
            entered += 1
            continue
        if entered:
            yield "/".join(place).lstrip("/")
            entered -= 1
        if not place:
            return
        place.pop()


def _is_landmark(path: str, full: set[str]) -> bool:
    """True for the folder of a standard library by which the interpreter finds itself.

    getpath.py takes its exec_prefix from where lib-dynload is, empty or not.
    """
    folder, _, name = path.rpartition("/")
    return name == "lib-dynload" and folder in full


def _in_package(path: str, full: set[str]) -> bool:
    """True for a folder right below one of a package that holds something still."""
    folder = posixpath.dirname(path)
    return folder in full and _SITE in folder


def _is_gone(member: Member, gone: set[str]) -> bool:
    return member.type is EntryType.DIRECTORY and member.path in gone


def _parents(path: str) -> Iterator[str]:
    folder = posixpath.dirname(path)
    while folder:
        yield folder
        folder = posixpath.dirname(folder)


def _edited(member: Member, layer: str, plan: Plan, edited: Mapping[FileKey, Edited]) -> Member:
    """Return the member with its new content, or as the link that it becomes.

    Hard links need no edit: they share the bytes of their target.
    """
    link = plan.link_target((layer, member.path))
    if link is not None:
        return replace(
            member, type=EntryType.SYMLINK, mode=_LINK_MODE, content=None, size=0, link_target=link
        )
    new = edited.get((layer, member.path))
    return member if new is None else replace(member, content=new.content, size=new.content.size)
