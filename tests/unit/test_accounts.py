"""Every byte is told, five ways."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from slim.model.finding import EditSpec
from slim.model.plan import Action, Plan, Remove, Rewrite
from slim.model.record import EntryType, FileKey, FileKind, FileRecord, Inventory, Owner, OwnerKind
from slim.plan.accounts import account, footprints

OWNERS = [Owner(kind=OwnerKind.DISTRIBUTION, name=name, version="1") for name in ("a", "b")]


@st.composite
def stacks(draw: st.DrawFn) -> tuple[Inventory, Plan]:
    records: dict[str, dict[str, FileRecord]] = {}
    actions: dict[FileKey, Action] = {}
    for layer in ("one", "two"):
        records[layer] = {}
        for index in range(draw(st.integers(0, 6))):
            record = FileRecord(
                layer=layer,
                path=f"f{index}",
                type=EntryType.FILE,
                kind=draw(st.sampled_from([FileKind.PYTHON, FileKind.TESTS, FileKind.LIBRARY])),
                owner=draw(st.sampled_from(OWNERS)),
                size=draw(st.integers(0, 10**12)),
                mode=0o644,
                bytecode_size=draw(st.integers(0, 1000)),
            )
            records[layer][record.path] = record
            match draw(st.sampled_from(["keep", "remove", "rewrite"])):
                case "remove":
                    actions[record.key] = Remove(
                        record=record, pass_name="p", rule=draw(st.sampled_from(["r", "s"]))
                    )
                case "rewrite":
                    actions[record.key] = Rewrite(
                        record=record,
                        pass_name="q",
                        rule="t",
                        edit=EditSpec(editor="e"),
                        size_after=draw(st.integers(0, record.size + 10)),
                    )
    return Inventory(records=records), Plan(actions=actions)


@given(stacks())
def test_all_accounts_reconcile_with_the_files(stack: tuple[Inventory, Plan]) -> None:
    inventory, plan = stack
    accounts = account(inventory, plan)
    before = sum(record.size for record in inventory)
    after = sum(footprints(inventory, plan, layer)[1].unpacked for layer in inventory.records)
    for rows in (accounts.by_layer, accounts.by_owner, accounts.by_category):
        assert sum(row.before for row in rows) == before
        assert sum(row.after for row in rows) == after
    for rows in (accounts.by_pass, accounts.by_rule):
        assert sum(row.saved for row in rows) == before - after
    for rows in (
        accounts.by_layer,
        accounts.by_owner,
        accounts.by_category,
        accounts.by_pass,
        accounts.by_rule,
    ):
        assert len({row.label for row in rows}) == len(rows)
        assert all(row.before - row.removed - row.shrunk == row.after for row in rows)
