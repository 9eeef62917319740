"""The Mach-O part of the debug-symbols pass, over small stacks."""

from __future__ import annotations

import pytest

from slim.errors import IntegrityError
from slim.model.finding import Finding
from slim.model.plan import SkipReason
from slim.model.rule import OptionValue, Rule, Safety
from slim.passes.base import Context, Proposal, Refusal
from slim.passes.macho_symbols import EDITOR, macho_symbols, propose_macho
from slim.verification.native.macho import check
from tests.support.macho_files import LIBRARY, build, fat
from tests.support.virtual_stacks import make_stack

ARM = build(LIBRARY)
X86 = build(LIBRARY.replace("arm64", "x86_64").replace("signed linker libsample.dylib", ""))
IDENTITY = build(LIBRARY.replace("signed linker", "signed identity"))


def propose(
    content: bytes, platform: str = "macosx_arm64", **options: OptionValue
) -> Proposal | None:
    made = make_stack({"app-x": {"lib/a.dylib": content}}, platform=platform)
    rule = Rule(
        id="symbols",
        pass_name="debug-symbols",
        reason="never used",
        safety=Safety.SAFE,
        options=options,
    )
    context = Context(
        facts=made.facts,
        rules=(rule,),
        select=lambda _pass, _record: (rule,),
    )
    (record,) = made.inventory
    return propose_macho(record, rule, context)


@pytest.mark.parametrize(
    ("content", "platform", "options", "expected", "kinds"),
    [
        (
            ARM,
            "macosx_arm64",
            {},
            {"level": "unneeded", "machine": "aarch64"},
            ["symbols", "signed-again"],
        ),
        (
            ARM,
            "macosx_arm64",
            {"level": "debug"},
            {"level": "debug", "machine": "aarch64"},
            ["symbols", "signed-again"],
        ),
        (X86, "macosx_x86_64", {}, {"level": "unneeded", "machine": "x86_64"}, ["symbols"]),
        (
            fat(X86, ARM),
            "macosx_x86_64",
            {"level": "none"},
            {"level": "none", "machine": "x86_64"},
            ["symbols"],
        ),
        (
            fat(X86, ARM),
            "macosx_arm64",
            {"thin": False},
            {"level": "unneeded"},
            ["symbols", "signed-again"],
        ),
        (
            fat(X86, ARM),
            "macosx_universal2",
            {},
            {"level": "unneeded"},
            ["symbols", "signed-again"],
        ),
        (X86, "linux_x86_64", {}, {"level": "unneeded"}, ["symbols"]),
        (
            fat(X86, IDENTITY),
            "macosx_arm64",
            {},
            {"level": "unneeded", "machine": "aarch64"},
            ["symbols", "kept-as-it-is"],
        ),
    ],
)
def test_what_is_proposed_is_carried_out(
    content: bytes,
    platform: str,
    options: dict[str, OptionValue],
    expected: dict[str, OptionValue],
    kinds: list[str],
) -> None:
    found = propose(content, platform, **options)
    assert isinstance(found, Finding)
    assert found.edit is not None
    assert (found.rule, found.edit.editor, found.edit.options) == ("symbols", EDITOR, expected)
    assert [evidence.kind for evidence in found.evidence] == kinds
    assert {evidence.file for evidence in found.evidence} == {"app-x/lib/a.dylib"}
    made = macho_symbols(memoryview(content), found.edit.options)
    assert made.size == found.size_after == len(made.whole(content))
    assert check(content, made.whole(content)) == []


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (ARM, {"level": "none"}),
        (ARM, {"level": "none", "thin": False}),
        (fat(X86, ARM), {"level": "none", "thin": False}),
    ],
)
def test_nothing_to_propose(content: bytes, options: dict[str, OptionValue]) -> None:
    assert propose(content, **options) is None


@pytest.mark.parametrize(
    ("content", "reason", "kind"),
    [
        (IDENTITY, SkipReason.SIGNED, "signed"),
        (fat(X86), SkipReason.UNSAFE_TO_EDIT, "absent-slice"),
        (ARM + b"payload", SkipReason.UNSAFE_TO_EDIT, "payload"),
        (ARM[:-9], SkipReason.UNSAFE_TO_EDIT, "malformed"),
        (
            build(LIBRARY.replace("dylib\n", "object\n", 1)),
            SkipReason.UNSAFE_TO_EDIT,
            "object-file",
        ),
    ],
)
def test_what_cannot_be_edited_is_refused(content: bytes, reason: SkipReason, kind: str) -> None:
    refused = propose(content)
    assert isinstance(refused, Refusal)
    assert (refused.reason, [evidence.kind for evidence in refused.evidence]) == (reason, [kind])


def test_a_file_that_has_changed_since() -> None:
    with pytest.raises(IntegrityError, match="can't be edited any more") as caught:
        macho_symbols(memoryview(ARM[:-4]), {"level": "unneeded"})
    assert "run again" in (caught.value.hint or "")
