"""The pass ``embedded-wheels``: what goes out of wheels in a layer, and which stay whole."""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace

import pytest

from slim.errors import SlimError
from slim.model.plan import SkipReason
from slim.model.rule import Rule
from slim.passes import SCHEMAS
from slim.passes import embedded_wheels as subject
from slim.passes.embedded_wheels import EmbeddedWheels, cut_wheel, rows_without
from slim.rules.loader import builtin_packs
from slim.verification.embedded_wheels import check
from tests.support.embedded_wheels import ALL, PIP, PROGRAM, launchers, made_up, rows_of, wheel
from tests.support.pass_runs import findings, propose, refusals
from tests.support.raw_archives import ZipMember, zip_file
from tests.support.virtual_stacks import Contents, HardLink, Link, make_stack

RULES = {rule.id: rule for pack in builtin_packs(SCHEMAS) for rule in pack.rules}
OURS = RULES["ensurepip-launchers"]
LAUNCHERS = tuple(rule for name, rule in RULES.items() if name.startswith("launchers-"))
BUNDLED = "$stdlib/ensurepip/_bundled"
WHERE = "cpython3.13/lib/python3.13/ensurepip/_bundled"
GONE = tuple(sorted(launchers(*ALL)))


def look(
    content: bytes,
    *,
    name: str = PIP,
    platform: str = "linux_x86_64",
    application: Mapping[str, Contents] | None = None,
    runtime: Mapping[str, Contents] | None = None,
    rules: tuple[Rule, ...] = (OURS, *LAUNCHERS),
    folder: str = BUNDLED,
) -> tuple[object, object]:
    """The names that go out of one wheel, and why it is refused."""
    layers: dict[str, Mapping[str, Contents]] = {
        "cpython3.13": {
            "$stdlib/ensurepip/__init__.py": "",
            f"{folder}/{name}": content,
            **(runtime or {}),
        },
        "app-main": application or {},
    }
    proposals = propose(EmbeddedWheels(), make_stack(layers, platform=platform), *rules)
    found, refused = findings(proposals), refusals(proposals)
    gone = [one.edit.options["members"] for one in found.values() if one.edit is not None]
    return (gone[0] if gone else ()), [
        (one.reason, one.evidence[0].kind, one.evidence[0].text, one.evidence[0].file)
        for one in refused.values()
    ]


@pytest.mark.parametrize(
    ("platform", "left"),
    [
        ("linux_x86_64", ()),
        ("linux_aarch64", ()),
        ("macosx_arm64", ()),
        ("win_amd64", ("t64", "w64")),
        ("win_arm64", ("t64-arm", "w64-arm")),
        ("win32", ALL),
    ],
)
def test_launchers_go_as_they_do_where_they_are_installed(
    platform: str, left: tuple[str, ...]
) -> None:
    gone, refused = look(wheel(made_up(*ALL)), platform=platform)
    assert gone == tuple(sorted(launchers(*ALL).keys() - launchers(*left).keys()))
    assert refused == []


def test_launchers_of_setuptools_go_too() -> None:
    """CPython 3.11 bundles setuptools."""
    names = [f"setuptools/{name}.exe" for name in ("cli-32", "cli", "gui-32", "gui-64")]
    files = {"setuptools/__init__.py": b"", **dict.fromkeys(names, PROGRAM)}
    content = wheel(files, info="setuptools-65.5.0.dist-info")
    assert look(content, name="setuptools-65.5.0-py3-none-any.whl") == (tuple(names), [])


def test_rules_that_are_named_are_there_and_name_no_package() -> None:
    inside = OURS.options["inside"]
    assert isinstance(inside, tuple)
    for name in inside:
        assert RULES[name].pass_name == "leftovers"
        assert RULES[name].package is None
        assert RULES[name].safety <= OURS.safety
        assert not RULES[name].unless


def test_a_launcher_stays_where_its_rule_is_off() -> None:
    assert look(wheel(made_up(*ALL)), rules=(OURS,)) == ((), [])


def test_other_rules_take_nothing_out_of_wheels() -> None:
    every = tuple(rule for rule in RULES.values() if rule.pass_name == "leftovers")
    content = made_up("t32") | {"pip/core.pyx": b"x" * 99, "pip/x.pyi": b"y" * 99}
    gone, _ = look(wheel(content), rules=(OURS, *every))
    assert gone == tuple(launchers("t32"))


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("pip-26.0-py3-none-win_amd64.whl", BUNDLED),
        ("pip-26.0-cp313-cp313-linux_x86_64.whl", BUNDLED),
        ("pip-26.0.zip", BUNDLED),
        (PIP, "$site/virtualenv/seed/wheels/embed"),
        (PIP, "share/for-other-computers"),
    ],
)
def test_wheels_that_no_rule_is_about_stay(name: str, folder: str) -> None:
    assert look(wheel(made_up(*ALL)), name=name, folder=folder) == ((), [])


CONTENT = wheel(made_up(*ALL))
SHA256 = hashlib.sha256(CONTENT)


@pytest.mark.parametrize(
    ("layer", "path", "text", "kind"),
    [
        ("app", "pylock.toml", f'sha256 = "{SHA256.hexdigest()}"', "digest"),
        ("app", "req.txt", f"pip==26 --hash=sha256:{SHA256.hexdigest().upper()}", "digest"),
        ("app", "lock.json", b64encode(SHA256.digest()).decode(), "digest"),
        ("app", "sums", hashlib.md5(CONTENT).hexdigest() + "  pip", "digest"),
        ("app", "x.pyc", b"\0" + hashlib.sha512(CONTENT).hexdigest().encode(), "digest"),
        ("runtime", "$stdlib/ensurepip/__init__.py", SHA256.hexdigest(), "digest"),
        ("runtime", f"{BUNDLED}/{PIP}.asc", "signed", "digest"),
        ("app", "$site/seeds.py", "open(dirname(ensurepip.__file__) + '/_bundled')", "path"),
        ("app", "$site/seeds.py", "import ensurepip", None),
        ("app", "$site/pip-1.dist-info/RECORD", f"x,sha256={SHA256.hexdigest()},1\n", None),
        ("runtime", "$stdlib/_sysconfigdata.py", "'ensurepip ensurepip/_bundled'", None),
        ("runtime", "$stdlib/ensurepip/__main__.py", "ensurepip/_bundled", None),
        ("runtime", "wheels/pip.whl", HardLink(f"lib/python3.13/ensurepip/_bundled/{PIP}"), "link"),
        ("app", "wheels/pip.whl", Link(f"../../cpython3.13/lib/ensurepip/_bundled/{PIP}"), "link"),
        ("app", "wheels", Link("../cpython3.13/lib/python3.13/ensurepip/_bundled"), "link"),
        ("app", "bin/python", Link("../../cpython3.13/bin/python"), None),
    ],
)
def test_a_wheel_that_something_knows_stays(
    layer: str, path: str, text: Contents, kind: str | None
) -> None:
    files: Mapping[str, Contents] = {path: text}
    gone, refused = (
        look(CONTENT, application=files) if layer == "app" else look(CONTENT, runtime=files)
    )
    if kind is None:
        assert (gone, refused) == (GONE, [])
        return
    assert gone == ()
    ((reason, found, _, file),) = refused  # type: ignore[misc]
    assert (reason, found) == (SkipReason.UNSAFE_TO_EDIT, kind)
    assert path.rpartition("/")[2] in file


def test_virtualenv_checks_its_wheels() -> None:
    """As ``BUNDLE_SHA256`` of virtualenv's ``seed/wheels/embed/__init__.py`` does."""
    rule = replace(OURS, globs=("$site/virtualenv/seed/wheels/embed/*.whl",), layers=frozenset())
    folder = "$site/virtualenv/seed/wheels/embed"
    files = {f"{folder}/__init__.py": f'BUNDLE_SHA256 = {{"{PIP}": "{SHA256.hexdigest()}"}}\n'}
    gone, refused = look(CONTENT, folder=folder, runtime=files, rules=(rule, *LAUNCHERS))
    assert gone == ()
    ((_, _, text, file),) = refused  # type: ignore[misc]
    assert text == "states its digest"
    assert file.endswith("embed/__init__.py")


RECORD = "pip-26.0.dist-info/RECORD"
FILES = made_up(*ALL)
MEMBERS = [ZipMember(name=name, data=data) for name, data in FILES.items()]
ROWS = "\n".join([*rows_of(FILES), f"{RECORD},,\n"]).encode()
PLAIN = [*MEMBERS, ZipMember(name=RECORD, data=ROWS)]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"x", "end record"),
        (b"", None),
        (CONTENT[:-9], "end record"),
        (CONTENT + b"x", "end record"),
        (b"#!python\n" + CONTENT, "central directory"),
        (zip_file(*PLAIN, prefix=b"#!python\n", shift=9), "bytes of no member"),
        (zip_file(*PLAIN, before_directory=b"signed"), "bytes of no member"),
        (zip_file(*PLAIN, comment=b"kept"), "end record"),
        (zip_file(*PLAIN[:-1]), "no RECORD"),
        (zip_file(*PLAIN, ZipMember(name="x-1.dist-info/RECORD", data=b"")), "several"),
        (zip_file(*PLAIN, ZipMember(name="pip-26.0.dist-info/RECORD.jws", data=b"{}")), "signed"),
        (zip_file(*PLAIN, ZipMember(name="pip-26.0.dist-info/RECORD.p7s", data=b"{}")), "signed"),
        (zip_file(*PLAIN, PLAIN[0]), "one name"),
        (
            zip_file(*MEMBERS, ZipMember(name=RECORD, data=ROWS.replace(b"t32.exe", b"t33.exe"))),
            "list",
        ),
        (zip_file(*MEMBERS, ZipMember(name=RECORD, data=ROWS + ROWS.splitlines()[2])), "list"),
        (zip_file(*MEMBERS, ZipMember(name=RECORD, data=b'"a\nb",,\n' + ROWS)), "one row a line"),
        (zip_file(*MEMBERS, ZipMember(name=RECORD, data=b"\xff,,\n" + ROWS)), "one row a line"),
        (zip_file(*MEMBERS, ZipMember(name=RECORD, data=ROWS, crc=7)), "CRC"),
        (zip_file(*MEMBERS, ZipMember(name=RECORD, data=ROWS, size=9)), "as long as"),
        (zip_file(*MEMBERS, ZipMember(name=RECORD, packed=b"\xff\xff", size=9)), "decompressed"),
        (zip_file(*MEMBERS, ZipMember(name=RECORD, size=1 << 31)), "unpacks to more"),
        (zip_file(*MEMBERS, ZipMember(name=RECORD, size=5 << 20)), "more than"),
        (zip_file(*PLAIN[1:], replace(PLAIN[0], flags=1)), "encrypted"),
        (zip_file(*PLAIN[1:], replace(PLAIN[0], method=14)), "compression method"),
        (zip_file(*PLAIN[1:], replace(PLAIN[0], local_name="pip/__init__.px")), "another name"),
    ],
)
def test_a_wheel_that_is_not_plain_stays_whole(content: bytes, word: str | None) -> None:
    gone, refused = look(content)
    assert gone == ()
    if word is not None:
        ((reason, kind, text, _),) = refused  # type: ignore[misc]
        assert (reason, kind) == (SkipReason.UNSAFE_TO_EDIT, "wheel")
        assert word in text


def test_64_bit_fields_in_local_headers_stay_as_they_are() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name, data in [*FILES.items(), (RECORD, ROWS)]:
            with made.open(zipfile.ZipInfo(name), "w", force_zip64=True) as member:
                member.write(data)
    data = out.getvalue()
    assert look(data) == (GONE, [])
    after = cut_wheel(memoryview(data), {"members": GONE}).whole(data)
    assert check(memoryview(data), memoryview(after)) == []


def test_a_wheel_with_a_zip64_end_record_stays_whole() -> None:
    end = len(CONTENT) - 22
    count, size, offset = struct.unpack_from("<HII", CONTENT, end + 10)
    record = struct.pack(
        "<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, offset
    ) + struct.pack("<4sIQI", b"PK\6\7", 0, end, 1)
    gone, refused = look(CONTENT[:end] + record + CONTENT[end:])
    assert gone == ()
    ((_, _, text, _),) = refused  # type: ignore[misc]
    assert "zip64" in text


def test_a_huge_wheel_is_not_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "_LARGEST", len(CONTENT) - 1)
    gone, refused = look(CONTENT)
    assert gone == ()
    ((_, _, text, _),) = refused  # type: ignore[misc]
    assert "more than" in text


def test_nothing_is_proposed_where_nothing_is_gained() -> None:
    """A RECORD that is stored may be larger than what goes."""
    small = {f"pip/{number:03}.py": b"" for number in range(300)} | launchers("t32")
    small["pip/_vendor/distlib/t32.exe"] = b"MZ"
    assert look(wheel(small)) == ((), [])


def test_an_edit_of_another_wheel_fails() -> None:
    data = wheel(made_up("t32"))
    with pytest.raises(SlimError, match="other members"):
        cut_wheel(memoryview(data), {"members": tuple(launchers("w32"))})


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_rows_that_stay_keep_their_bytes(newline: bytes) -> None:
    lines = [b'"a, b.py",sha256=x,1', b"gone.exe,,", b"", b"c.py,,", b"RECORD,,"]
    left = [line for line in lines if not line.startswith(b"gone")]
    found = rows_without(newline.join(lines), ["gone.exe"])
    assert found == newline.join(left)


def edited(content: bytes = CONTENT) -> bytes:
    return cut_wheel(memoryview(content), {"members": GONE}).whole(content)


def test_the_oracle_accepts_what_the_editor_makes() -> None:
    assert check(memoryview(CONTENT), memoryview(edited())) == []


def remade(**changes: bytes) -> bytes:
    """The edited wheel, compressed again with other bytes in some members."""
    with zipfile.ZipFile(io.BytesIO(edited())) as opened:
        members = {name: opened.read(name) for name in opened.namelist()}
    members |= {name.replace("__", "/", 1): data for name, data in changes.items()}
    return zip_file(*(ZipMember(name=name, data=data, method=0) for name, data in members.items()))


GOOD = edited()
LEFT = {name: data for name, data in FILES.items() if name not in GONE}


@pytest.mark.parametrize(
    ("after", "word"),
    [
        (CONTENT, "smaller"),
        (b"PK", "can't be read"),
        (GOOD[:-4], "can't be read"),
        (GOOD.replace(b"__init__", b"__inat__"), "other members"),
        (wheel(FILES | {"pip/__init__.py": b""}), "has changed"),
        (
            wheel({name: data for name, data in LEFT.items() if "__init__" not in name}),
            "no program",
        ),
        (wheel(LEFT | {"pip/__init__.py": b"__version__ = '26.1'\n"}), "have changed"),
        (wheel(dict(reversed(LEFT.items()))), "another order"),
        (wheel(LEFT, rows=rows_of(LEFT)[1:]), "other rows"),
        (wheel(LEFT, rows=rows_of(FILES)), "doesn't list"),
        (wheel(LEFT, rows=[*rows_of(LEFT)[:-1], "pip-26.0.dist-info/WHEEL,sha256=x,1"]), "true of"),
        (GOOD.replace(b"\x21\0", b"\x22\0", 1), ""),
        (b"\0" + GOOD, "bytes of no member"),
        (wheel(LEFT, rows=[*rows_of(LEFT), "x,shake_128=x,1"]), "doesn't list"),
        (wheel(LEFT, rows=[*rows_of(LEFT)[:-1], "pip-26.0.dist-info/WHEEL,shake_128=x,1"]), "read"),
        (wheel(LEFT, rows=[*rows_of(LEFT), "", "x"]), "doesn't list"),
    ],
)
def test_the_oracle_refuses_anything_else(after: bytes, word: str) -> None:
    problems = check(memoryview(CONTENT), memoryview(after))
    assert problems
    assert any(word in problem for problem in problems), problems
