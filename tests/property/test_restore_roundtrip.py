"""For any tree and plan, putting originals back gives the tree again, wholly or in part."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from slim.backup import restore as restoring
from slim.backup.writer import BackupWriter
from slim.formats import format_by_name, read_archive, write_archive
from slim.formats.base import BytesContent, Member, WriteOptions
from slim.formats.digests import digest_of, tree_digest
from slim.formats.spool import Spool
from slim.inventory.load import LoadedStack, load
from slim.inventory.locate import locate
from slim.model.context import RunContext
from slim.model.finding import EditSpec
from slim.model.footprint import Footprint
from slim.model.outcome import LayerOutcome
from slim.model.plan import LINK_EDITOR, Action, Plan, Remove, Rewrite
from slim.model.record import EntryType
from slim.model.settings import Effort, Level
from slim.plan.apply import Edited
from slim.plan.planned import PlannedStack
from tests.support.examples import examples
from tests.support.published_stacks import Link, distribution, raw
from tests.support.raw_archives import directory, file, hardlink, options, symlink

NAMES = st.sampled_from(["a", "b", "größe", "a.b", "pkg", "tests", "x" * 60])
FOLDERS = st.lists(NAMES, min_size=0, max_size=3).map("/".join)
CONTENTS = st.binary(max_size=40)


@st.composite
def layers(draw: st.DrawFn) -> list[Member]:
    """Layer with a distribution whose RECORD is true, and with files, folders and links of none."""
    parts = draw(
        st.dictionaries(
            st.sampled_from(["a.py", "b.py", "sub/c.py", "sub/d.bin", "tests/e.py"]), CONTENTS
        )
    )
    owned = distribution("maths", {f"maths/{name}": content for name, content in parts.items()})
    found: dict[str, Member] = {
        path: file(path, raw(content))
        for path, content in owned.items()
        if not isinstance(content, Link)
    }
    taken = {"/".join(path.split("/")[:depth]) for path in found for depth in range(1, 9)}
    for folder in draw(st.lists(FOLDERS, max_size=4, unique=True)):
        name = f"lib/{folder}/leaf-{draw(NAMES)}" if folder else "lib/leaf"
        if name in taken or any(name.startswith(f"{path}/") for path in found):
            continue
        kind = draw(st.sampled_from(["file", "link", "hard", "folder"]))
        files = sorted(path for path, member in found.items() if member.type is EntryType.FILE)
        match kind:
            case "file":
                found[name] = file(
                    name, draw(CONTENTS), mode=draw(st.sampled_from([0o644, 0o755, 0o600]))
                )
            case "link":
                found[name] = symlink(
                    name, draw(st.sampled_from(["none", "../nowhere", "no/such"]))
                )
            case "hard" if files:
                found[name] = hardlink(name, draw(st.sampled_from(files)))
            case _:
                found[name] = directory(name)
        taken.update("/".join(name.split("/")[:depth]) for depth in range(1, 9))
    folders = {
        "/".join(path.split("/")[:depth])
        for path in found
        for depth in range(1, path.count("/") + 1)
    }
    members = [
        *found.values(),
        *(directory(path) for path in folders if path and path not in found),
    ]
    return sorted(members, key=lambda member: (member.type is EntryType.HARDLINK, member.path))


def planned(data: st.DataObject, loaded: LoadedStack, layer: str) -> PlannedStack:
    """Some files go, some are shortened, some become links; RECORD follows."""
    inventory, trees = loaded.inventory, loaded.trees
    actions: dict[Any, Action] = {}
    edited: dict[Any, Edited] = {}
    linked_to = {
        m.link_target for m in trees[layer].members.values() if m.type is EntryType.HARDLINK
    }
    for path, record in inventory.records[layer].items():
        if path.endswith("/RECORD"):
            continue
        what = data.draw(st.sampled_from(["keep", "remove", "shorten", "link"]), label=path)
        common = {"record": record, "pass_name": "p", "rule": "r"}
        if what == "remove" and path not in linked_to:
            actions[record.key] = Remove(**common)
        elif what == "shorten" and record.type is EntryType.FILE and record.size:
            content = BytesContent(
                bytes(trees[layer].members[path].content.view())[: record.size // 2]
            )
            actions[record.key] = Rewrite(
                **common, edit=EditSpec(editor="e"), size_after=content.size
            )
            edited[record.key] = Edited(content=content, digest=digest_of(content))
        elif what == "link" and record.type is EntryType.FILE and path not in linked_to:
            edit = EditSpec(editor=LINK_EDITOR, options={"target": "elsewhere"})
            actions[record.key] = Rewrite(**common, edit=edit, size_after=0)
    return PlannedStack(
        loaded=loaded, plan=Plan(actions=actions), edited=edited, layers=(layer,)
    ).with_records()


@settings(max_examples=examples(25), deadline=None)
@given(members=layers(), data=st.data())
def test_what_is_kept_comes_back(members: list[Member], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        original, slimmed, store = (
            folder / part for part in ("layer.tar", "slim.tar", "kept.tar.zst")
        )
        write_archive(format_by_name("tar"), iter(members), "layer", original, WriteOptions())
        (located,) = locate(original)
        with (
            load(located, RunContext(spool_dir=folder)) as loaded,
            Spool(folder) as spool,
        ):
            (layer,) = loaded.stack.layers
            whole_plan = planned(data, loaded, "layer")
            plan, edited = whole_plan.plan, whole_plan.edited
            after = whole_plan.members_of("layer")
            before = loaded.tree_digest("layer")
            outcome = LayerOutcome(
                layer=layer,
                before=Footprint(),
                after=Footprint(),
                tree_sha256=tree_digest(after, whole_plan.digests("layer")),
            )
            writer = BackupWriter(spool)
            writer.add(whole_plan, [outcome])
            writer.write(store, WriteOptions(effort=Effort(level=Level.FAST)))
            write_archive(format_by_name("tar"), iter(after), "layer", slimmed, WriteOptions())
            globs = tuple(
                sorted(
                    data.draw(
                        st.sets(st.sampled_from(sorted(key[1] for key in plan.actions)), max_size=3)
                    )
                    if plan.actions
                    else ()
                )
            )
            stay = {
                key: one
                for key, one in plan.actions.items()
                if key[1] not in globs and one.pass_name != "record"
            }
            partly = replace(
                whole_plan,
                plan=replace(plan, actions=stay),
                edited={key: one for key, one in edited.items() if key in stay},
            ).with_records()
            expected = {member.path for member in partly.members_of("layer") if member.path}
        (whole,) = restoring.restore(
            restoring.RestoreRequest(backup=store, source=slimmed, output=folder / "whole.tar")
        )
        assert whole.layers[0].tree_sha256 == before
        if globs and any(not glob.endswith("/RECORD") for glob in globs):
            request = restoring.RestoreRequest(
                backup=store, source=slimmed, output=folder / "some.tar", globs=globs
            )
            restoring.restore(request)
            with read_archive(folder / "some.tar", options(folder)) as some:
                assert set(some.members) == expected
                for glob in globs:
                    assert glob in some.members
            request = replace(
                request, source=folder / "some.tar", output=folder / "rest.tar", globs=()
            )
            (rest,) = restoring.restore(request)
            assert rest.layers[0].tree_sha256 == before
