"""The debug-symbols pass over small stacks."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

import pytest

from slim.binaries.elf.edit import LEVELS
from slim.errors import IntegrityError
from slim.model.finding import Finding
from slim.model.plan import SkipReason
from slim.model.record import FileKey, FileRecord
from slim.model.rule import OptionValue, Rule, Safety, Verb
from slim.passes.base import Context, Proposal, Refusal
from slim.passes.debug_symbols import EDITOR, SCHEMA, DebugSymbols, elf_symbols
from slim.verification.native.elf import check
from tests.support.elf_files import build, pattern
from tests.support.virtual_stacks import Contents, HardLink, Link, make_stack

LIBRARY = build("""
elf 64 little x86_64 shared
load 0x10000 align 0x1000
section .text progbits 200 alloc align 16
end
section .debug_info progbits 3000
section .symtab symtab 480 align 8 link .strtab
section .strtab strtab 900
""")
STRIPPED = build(
    "elf 64 little x86_64 shared\nload 0x10000 align 0x1000\n"
    "section .text progbits 200 alloc\nend\n"
)
OBJECT = build(
    "elf 64 little x86_64 relocatable\nload 0x0 align 0x10\nend\nsection .symtab symtab 480\n"
)
HOLES = build("""
elf 64 little x86_64 shared
load 0x10000 align 0x1000
section .text progbits 200 alloc align 16
end
section .symtab symtab 4800 align 8 link .strtab
section .strtab strtab 900
load 0x20000 align 0x1000
section .dynstr strtab 20 alloc
end
""")


def rule(name: str = "symbols", **options: OptionValue) -> Rule:
    return Rule(
        id=name, pass_name=SCHEMA.name, reason="never loaded", safety=Safety.SAFE, options=options
    )


def propose(
    files: Mapping[str, Contents],
    rules: Mapping[str, tuple[Rule, ...]] | None = None,
    gone: frozenset[FileKey] = frozenset(),
) -> list[Proposal]:
    """Run the pass on one layer; ``rules`` select a path (by default one selects every file)."""
    made = make_stack({"app-x": files})

    def select(pass_name: str, record: FileRecord) -> tuple[Rule, ...]:
        assert pass_name == "debug-symbols"
        return (rule(),) if rules is None else rules.get(record.path, ())

    context = Context(
        facts=made.facts,
        rules=(),
        select=select,
        gone=frozenset(gone),
    )
    return list(DebugSymbols().propose(context))


def test_a_library_with_symbols_is_rewritten() -> None:
    (found,) = propose({"lib/a.so": LIBRARY})
    assert isinstance(found, Finding)
    assert (found.key, found.rule) == (("app-x", "lib/a.so"), "symbols")
    assert found.edit is not None
    assert (found.edit.editor, found.edit.options) == (EDITOR, {"level": "unneeded"})
    (evidence,) = found.evidence
    assert ".debug_info 3000, .symtab 480, .strtab 900" in evidence.text
    assert evidence.file == "app-x/lib/a.so"
    recipe = elf_symbols(memoryview(LIBRARY), found.edit.options)
    assert recipe.size == found.size_after == len(recipe.whole(LIBRARY))
    assert recipe.held < 2000
    assert check(LIBRARY, recipe.whole(LIBRARY)) == []


def test_zeros_amid_the_image_are_told() -> None:
    (found,) = propose({"lib/a.so": HOLES})
    assert isinstance(found, Finding)
    assert [evidence.kind for evidence in found.evidence] == ["sections", "holes"]


def test_the_strongest_rule_decides() -> None:
    rules = {
        "lib/debug.so": (rule("mine", level="debug"), rule("general")),
        "lib/none.so": (rule("hands-off", level="none"), rule("general")),
        "lib/unneeded.so": (rule("general"), rule("weaker", level="none")),
    }
    found = propose(dict.fromkeys([*rules, "lib/unselected.so"], LIBRARY), rules)
    assert [(one.key[1], one.rule) for one in found] == [
        ("lib/debug.so", "mine"),
        ("lib/unneeded.so", "general"),
    ]
    sizes = [one.size_after for one in found if isinstance(one, Finding)]
    assert sizes[0] > sizes[1]


@pytest.mark.parametrize(
    ("path", "content", "kind"),
    [
        ("lib/a.so", LIBRARY + b"payload", "payload"),
        ("lib/a.so", LIBRARY[:-9], "malformed"),
        ("lib/a.so", LIBRARY[:18] + b"\xf3" + LIBRARY[19:], "unsupported"),
        ("lib/a.so", OBJECT, "object-file"),
        ("lib/empty.so", b"", "malformed"),
        ("lib/a.dylib", b"\xcf\xfa\xed\xfe" + bytes(99), "unsupported"),
    ],
)
def test_what_cannot_be_edited_is_refused_with_its_reason(
    path: str, content: bytes, kind: str
) -> None:
    (refused,) = propose({path: content})
    assert isinstance(refused, Refusal)
    assert (refused.key, refused.rule, refused.reason) == (
        ("app-x", path),
        "symbols",
        SkipReason.UNSAFE_TO_EDIT,
    )
    assert [(one.kind, one.file) for one in refused.evidence] == [(kind, f"app-x/{path}")]


@pytest.mark.parametrize(
    "files",
    [
        {"lib/a.so": STRIPPED},
        {"lib/a.dll": b"MZ" + bytes(99)},
        {"lib/a.a": b"!<arch>\n"},
        {"lib/a.py": "import b"},
    ],
)
def test_what_is_left_alone_in_silence(files: Mapping[str, Contents]) -> None:
    assert propose(files) == []


def test_a_file_with_many_names_is_edited_once() -> None:
    found = propose(
        {"lib/a.so": LIBRARY, "lib/b.so": Link("a.so"), "lib/c.so": HardLink("lib/a.so")}
    )
    assert [one.key[1] for one in found] == ["lib/a.so"]


def test_what_an_earlier_pass_removes_is_not_looked_at() -> None:
    assert propose({"lib/a.so": LIBRARY}, gone=frozenset({("app-x", "lib/a.so")})) == []


def test_the_editor_refuses_bytes_that_were_not_planned() -> None:
    with pytest.raises(IntegrityError, match="nothing to drop"):
        elf_symbols(memoryview(STRIPPED), {"level": "unneeded"})


def test_the_schema_offers_the_levels_of_the_editor() -> None:
    option = SCHEMA.options["level"]
    assert option.choices == LEVELS
    assert option.default in LEVELS
    assert DebugSymbols().schema is SCHEMA
    assert SCHEMA.verb is Verb.REWRITE


DWARF = (b".debug_info", b".debug_line", b".debug_str", b".debug_abbrev")


@pytest.mark.parametrize(
    ("strings", "level"),
    [
        ((b"/proc/self/exe", b".symtab"), "debug"),  # opens itself, looks for the section by name
        ((b"/proc/self/exe", b"no symbol table in ELF executable"), "debug"),  # libbacktrace
        ((b"dladdr", b".symtab"), "debug"),
        ((b"dl_iterate_phdr", b".symtab"), "debug"),
        ((b"/proc/self/maps", b".symtab"), "debug"),
        ((b"/proc/%d/exe", b".strtab"), "debug"),
        ((b"dladdr", b".comment"), "debug"),
        ((b"dladdr", b".debug_info"), "unneeded"),  # lines in traces
        ((b"dladdr", b".debug_info", b".symtab"), "debug"),
        ((b"dladdr", *DWARF, b".comment"), "unneeded"),
        ((b"dladdr", *DWARF), "unneeded"),
        ((b"dladdr", b".symtab", *DWARF), "unneeded"),  # LLVM, in a library that asks for paths
        ((b"/proc/self/exe", b".symtab", *DWARF), "debug"),  # LLVM's just-in-time compiler
        ((b"/proc/self/exe",), "unneeded"),
        ((b"dladdr",), "unneeded"),
        ((b".symtab",), "unneeded"),
        ((b".debug_info",), "unneeded"),
    ],
)
def test_sections_that_a_program_reads_of_itself_stay(
    strings: tuple[bytes, ...], level: str
) -> None:
    text = b"\0" + b"\0".join(strings) + b"\0"
    start = LIBRARY.index(pattern(".text", 200))
    data = LIBRARY[:start] + text + LIBRARY[start + len(text) :]
    (found,) = propose({"lib/a.so": data})
    assert isinstance(found, Finding) and found.edit is not None
    assert found.edit.options == {"level": level}


READERS: dict[str, tuple[dict[str, Contents], str]] = {
    "of symbols": ({"$site/p/a.py": "t = find('.symtab')\n"}, "debug"),
    "of debugging information": ({"$site/p/a.py": "t = find('.debug_info')\n"}, "none"),
    "of both": (
        {"$site/p/a.py": "t = find('.symtab')\n", "$site/p/b.py": "x.get_dwarf_info()\n"},
        "none",
    ),
    "a program of the product": ({"bin/nm.py": "t = find('.symtab')\n"}, "debug"),
    "a script without suffix": ({"bin/tool": "#!/usr/bin/python\nfind('.symtab')\n"}, "debug"),
    "of another distribution": (
        {
            "$site/q-1.dist-info/METADATA": "Name: q\nVersion: 1\n\n",
            "$site/q/a.py": "t = find('.symtab')\n",
        },
        "unneeded",
    ),
    "words in a text": ({"$site/p/a.md": "'.symtab'\n"}, "unneeded"),
}


@pytest.mark.parametrize("case", READERS)
def test_code_that_reads_sections_holds_them(case: str) -> None:
    more, level = READERS[case]
    package: dict[str, Contents] = {
        "$site/p-1.dist-info/METADATA": "Name: p\nVersion: 1\n\n",
        "$site/p/core.so": LIBRARY,
        **more,
    }
    (found,) = propose(package)
    if level == "none":
        assert isinstance(found, Refusal) and found.reason is SkipReason.REFERENCED
    else:
        assert isinstance(found, Finding) and found.edit is not None
        assert found.edit.options == {"level": level}
    told = [each.kind for each in found.evidence]
    assert ("reads-sections" in told) == (level != "unneeded")


@pytest.mark.parametrize("goes_first", [True, False])
def test_a_reader_holds_in_every_plan_that_it_stays_in(goes_first: bool) -> None:
    """Plans of one stack share what they found of a file: the reader may go in one of them."""
    made = make_stack(
        {
            "app-x": {
                "$site/p-1.dist-info/METADATA": "Name: p\nVersion: 1\n\n",
                "$site/p/core.so": LIBRARY,
                "$site/p/a.py": "t = find('.symtab')\n",
            }
        }
    )
    remembered: dict[tuple[FileKey, str], Proposal | None] = {}
    reader = next(record.key for record in made.facts.inventory if record.path.endswith("a.py"))
    levels = {}
    for goes in (goes_first, not goes_first):
        context = Context(
            facts=made.facts,
            rules=(),
            select=lambda _pass, _record: (rule(),),
            gone=frozenset({reader} if goes else ()),
            remembered=remembered,
        )
        (found,) = DebugSymbols().propose(context)
        assert isinstance(found, Finding) and found.edit is not None
        levels[goes] = found.edit.options["level"]
    assert levels == {True: "unneeded", False: "debug"}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("$site/p/fips.so.hmac", "?"),
        ("$site/p/.fips.so.hmac", "?"),
        ("$site/p/fips.sig", "?"),
        ("$site/p/ICCSIG.txt", "?"),
        ("$site/ICCSIG.txt", "?"),
        ("$site/p/sums.txt", "sha256"),
        ("$site/p/check.py", "sha512"),
        ("$site/p/sums.json", "md5"),
        ("$site/p/sums.cfg", "base64"),
        ("$site/p/sums.b2", "blake2b"),
        ("$site/p/sums.sha3", "sha3_256"),
        ("$site/p/only.pyc", "sha256"),
        ("$site/p/colons.txt", "colons"),
        ("$site/p/fips.so.sigstore.json", "?"),
        ("share/ssl/fipsmodule.cnf", "?"),
    ],
)
def test_a_file_whose_digest_or_signature_is_there_stays_as_it_is(path: str, text: str) -> None:
    forms = {"base64": f"sha256-{base64.b64encode(hashlib.sha256(LIBRARY).digest()).decode()}"}
    for name in ("md5", "sha256", "sha512", "sha3_256", "blake2b"):
        forms[name] = hashlib.new(name, LIBRARY).hexdigest().upper()
    forms["colons"] = hashlib.sha256(LIBRARY).digest().hex(":")
    package: dict[str, Contents] = {
        "$site/p-1.dist-info/METADATA": "Name: p\nVersion: 1\n\n",
        "$site/p/fips.so": LIBRARY,
        "$site/p/other.txt": "0" * 64 + "\n",
    }
    (found,) = propose(package)
    assert isinstance(found, Finding)
    proposals = propose({**package, path: f'digest = "{forms.get(text, text)}"\n'})
    (refusal,) = [item for item in proposals if item.key == found.key]
    assert isinstance(refusal, Refusal)
    assert refusal.reason is SkipReason.UNSAFE_TO_EDIT
    assert [evidence.kind for evidence in refusal.evidence] == ["digest"]


def test_a_digest_within_a_binary_file_keeps_what_it_is_of() -> None:
    package: dict[str, Contents] = {
        "$site/p-1.dist-info/METADATA": "Name: p\nVersion: 1\n\n",
        "$site/p/core.so": LIBRARY,
    }
    stated = b"\0\1" + hashlib.sha256(LIBRARY).digest() + b"\2"
    (finding,) = propose({**package, "$site/p/sums.bin": stated[:-4] + b"\0\0\0\0"})
    assert isinstance(finding, Finding)
    (refusal,) = propose({**package, "$site/p/sums.bin": stated})
    assert isinstance(refusal, Refusal)
    assert [evidence.text for evidence in refusal.evidence] == ["states its SHA256"]
