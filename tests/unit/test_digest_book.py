"""Digests that files state: only those are computed that may be stated, and none is missed."""

from __future__ import annotations

import base64
import bz2
import gzip
import hashlib
import hmac
import lzma
import pickle
import random
import re
import threading
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slim.analysis import digest_words, digests
from slim.analysis.digest_words import hexadecimal_words, stated_digests
from slim.analysis.digests import DigestBook
from slim.analysis.linkage.virtual_tree import VirtualTree
from slim.analysis.readings import Readings
from slim.errors import IntegrityError
from slim.model.record import FileRecord
from slim.system.hashing import digests_of_pieces
from tests.support.virtual_stacks import (
    SITE,
    Contents,
    HardLink,
    Link,
    VirtualStack,
    make_stack,
)

LIBRARY = b"\x7fELF" + bytes(range(256)) * 4
SHA256 = hashlib.sha256(LIBRARY).hexdigest()
ALGORITHMS = (
    *("md5", "sha1", "sha224", "sha256", "sha384", "sha512"),
    *("sha3_224", "sha3_256", "sha3_384", "sha3_512", "blake2s", "blake2b"),
)
FORMS: tuple[Callable[[bytes], str], ...] = (
    lambda digest: digest.hex(),
    lambda digest: digest.hex().upper(),
    lambda digest: digest.hex(":"),
    lambda digest: base64.b64encode(digest).decode(),
    lambda digest: base64.urlsafe_b64encode(digest).decode().rstrip("="),
    lambda digest: f"sha256-{base64.b64encode(digest).decode()}",
    lambda digest: digest.hex()[:-1],
    lambda digest: f"x{digest.hex()}",
)
WORDS = st.sampled_from(
    [
        *(f"{form(hashlib.new(name, LIBRARY).digest())}" for name in ALGORITHMS for form in FORMS),
        *(
            "a_function_of_22_letter",
            "key=",
            "--",
            " ",
            "\n",
            '"',
            "é",
            "test_something_quite_long__",
        ),
        *("0" * 64, "sha512-", ":", "A" * 130, "-".join(["ab12"] * 40)),
    ]
)


def stack_of(text: str) -> VirtualStack:
    files: dict[str, Contents] = {
        "$site/p-1.dist-info/METADATA": "Name: p\nVersion: 1\n\n",
        "$site/p/core.so": LIBRARY,
        "$site/p/text.txt": text,
    }
    return make_stack({"app-x": files})


def eager(text: str) -> bool:
    """Every digest of the library, and every word that may be one, or begin its SHA-256."""
    content = text.encode()
    if any(SHA256.startswith(run.lower()) for run in re.findall("[0-9A-Fa-f]{12,}", text)):
        return True
    words = {
        decoded
        for token in digest_words._TOKEN.findall(content)
        if (decoded := digest_words._decoded(token)) is not None
    }
    words.update(
        bytes.fromhex(spelled.replace(b":", b"").decode())
        for spelled in digest_words._COLONS.findall(content)
    )
    return not words.isdisjoint({hashlib.new(name, LIBRARY).digest() for name in ALGORITHMS})


@settings(max_examples=60)
@given(st.lists(WORDS, max_size=6).map("".join))
def test_what_is_computed_when_it_may_be_stated_finds_what_all_digests_would(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    folder = tmp_path_factory.mktemp("cache")
    made = stack_of(text)
    record = made.inventory.records["app-x"]["lib/python3.13/site-packages/p/core.so"]
    for place in (None, folder, folder):
        with Readings(place) as readings:
            book = DigestBook(made.inventory, made.read, readings)
            assert (book.against_change(record) is not None) == eager(text)
            with book.ahead() as begin:
                begin(record)
                assert (book.against_change(record) is not None) == eager(text)


def test_all_possible_digests_of_a_file_are_made_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    words = [hashlib.new(name, b"x", usedforsecurity=False).hexdigest() for name in ALGORITHMS]
    made = stack_of(" ".join(words))
    record = made.inventory.records["app-x"]["lib/python3.13/site-packages/p/core.so"]
    asked: list[Collection[str]] = []

    def counted(
        pieces: Iterable[bytes | memoryview], names: Collection[str]
    ) -> Mapping[str, bytes]:
        asked.append(names)
        return digests_of_pieces(pieces, names)

    monkeypatch.setattr(digests, "digests_of_pieces", counted)
    assert DigestBook(made.inventory, made.read).against_change(record) is None
    assert [sorted(names) for names in asked] == [sorted(set(ALGORITHMS) - {"sha256"})]


@given(st.lists(st.binary(max_size=5000), max_size=5))
def test_digests_of_pieces_are_those_of_the_whole(pieces: list[bytes]) -> None:
    expected = {
        name: hashlib.new(name, b"".join(pieces), usedforsecurity=False).digest()
        for name in ALGORITHMS
    }
    assert digests_of_pieces(pieces, list(ALGORITHMS)) == expected


@given(st.lists(WORDS, max_size=8).map("".join) | st.text(alphabet="a1-_+/=: ", max_size=300))
def test_splitting_finds_the_words_that_the_pattern_finds(text: str) -> None:
    content = text.encode()
    expected = {
        decoded
        for token in re.findall(digest_words._TOKEN, content)
        if (decoded := digest_words._decoded(token)) is not None
    }
    found = set(stated_digests(content))
    assert expected <= found
    assert found - expected <= {
        bytes.fromhex(spelled.replace(b":", b"").decode())
        for spelled in digest_words._COLONS.findall(content)
    }


SPELLINGS: tuple[Callable[[bytes], bytes], ...] = (
    base64.b64encode,
    base64.urlsafe_b64encode,
    lambda digest: base64.b64encode(digest).rstrip(b"="),
    lambda digest: base64.urlsafe_b64encode(digest).rstrip(b"="),
)


@pytest.mark.parametrize("spelled", SPELLINGS)
@pytest.mark.parametrize("size", sorted(set(digest_words.ALGORITHMS.values())))
def test_of_a_thousand_digests_in_base64_two_are_taken_for_names_at_most(
    spelled: Callable[[bytes], bytes], size: int
) -> None:
    made = random.Random(size)
    all_of_them = [made.randbytes(size) for _ in range(10_000)]
    found = stated_digests(b"\n".join(map(spelled, all_of_them)))
    assert set(found) <= set(all_of_them)
    missed = len(set(all_of_them) - set(found))
    assert missed <= (20 if size != 28 or spelled(b"-" * 28).endswith(b"=") else 10_000)


@pytest.mark.parametrize(
    "name",
    [
        "org/licenses/LICENSE-2",
        "test_invalid_converter",
        "TFE_Py_FastPathExecute",
        "_compute_tensor_usage_count",
        "protocol-compiler-generated",
        "ABSL_LOG_INTERNAL_CHECK_STRCASEEQ_IMPL",
        "tensorflow/core/framework/tensor_shape",
        "GEN_PASS_DECL_COLLAPSEPARALLELLOOPSTO1DPASS",
        "hwloc_topology_insert_misc_object_by_parent",
        "descriptor_table_xla_2fstream_5fexecutor_2fkernel_5fspec_2eproto",
        "FeatureSet_VisibilityFeature_DefaultSymbolVisibility_DEFAULT_SYMBOL_VISIBILITY_UNKNOWN",
    ],
)
def test_names_in_code_are_no_digests(name: str) -> None:
    assert len(name) in digest_words._SPELLED
    assert stated_digests(name.encode()) == ()
    assert len(stated_digests(f"sha256-{name}".encode())) <= 1


@pytest.mark.parametrize(
    ("word", "is_digest"),
    [
        ("d41d8cd98f00b204e9800998ecf8427e", True),
        ("1B2M2Y8AsgTpgAmY7PhCfg==", True),
        ("1B2M2Y8AsgTpgAmY7PhCfg", True),
        ("1B2M2Y8AsgTpgAmY7PhCfh", False),  # sets bits that stand for nothing
        ("abcdefghijklmnopqrstuw==", True),  # whatever it looks like: it is padded
        ("abcdefghijklmnopqrstuw", False),
        ("md5-abcdefghijklmnopqrstuw", True),
        ("1B2M2Y8_sgTpgA+Y7PhCfg", False),  # two alphabets
        ("docs.google.com/document/d/1RwGQJs4N4tawNbf809iYDRCvXoMKqDJihxzYt1ysmd8/edit", False),
    ],
)
def test_what_may_be_a_digest(word: str, is_digest: bool) -> None:
    assert bool(stated_digests(f"x = '{word}'\n".encode())) is is_digest


@given(st.text(alphabet="a1fFgG-:", max_size=300), st.integers(1, 9))
def test_hexadecimal_words_are_those_that_a_pattern_finds(text: str, least: int) -> None:
    expected = re.findall(rb"[0-9a-f]{%d,}" % least, text.encode().lower())
    assert list(hexadecimal_words(text.encode(), least)) == expected


@pytest.mark.parametrize(("text", "count"), [("", 0), (hashlib.md5(b"x").hexdigest(), 1)])
def test_no_digest_is_computed_that_no_text_could_state(
    text: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = stack_of(text)
    computed: list[str] = []
    original = DigestBook._digest

    def counted(
        book: DigestBook, record: FileRecord, algorithm: str, among: Collection[str]
    ) -> bytes:
        computed.append(algorithm)
        return original(book, record, algorithm, among)

    monkeypatch.setattr(DigestBook, "_digest", counted)
    record = made.inventory.records["app-x"]["lib/python3.13/site-packages/p/core.so"]
    assert DigestBook(made.inventory, made.read).against_change(record) is None
    assert computed == ["md5"][:count]


@pytest.mark.parametrize("asked", [True, False])
def test_digests_made_ahead_are_made_once_and_only_within_the_block(
    asked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = stack_of(hashlib.md5(b"x").hexdigest())
    record = made.inventory.records["app-x"]["lib/python3.13/site-packages/p/core.so"]
    threads: list[threading.Thread] = []

    def counted(
        pieces: Iterable[bytes | memoryview], names: Collection[str]
    ) -> Mapping[str, bytes]:
        threads.append(threading.current_thread())
        return digests_of_pieces(pieces, names)

    monkeypatch.setattr(digests, "digests_of_pieces", counted)
    book = DigestBook(made.inventory, made.read)
    with book.ahead() as begin:
        begin(record)
        begin(record)
        if asked:
            assert book.against_change(record) is None
    main = threading.main_thread()
    assert not asked or (len(threads) == 1 and threads[0] is not main)
    assert book.against_change(record) is None
    assert threads.count(main) == (0 if asked else 1)


SIZE, CRC = len(LIBRARY), zlib.crc32(LIBRARY)
MAC = hmac.new(b"key", LIBRARY, "sha256")
BASE32 = base64.b32encode(bytes.fromhex(SHA256)).decode().rstrip("=")
CID = base64.b32encode(b"\x01\x55\x12\x20" + bytes.fromhex(SHA256)).decode().rstrip("=")
BESIDE: dict[str, tuple[str, str | bytes, bool]] = {
    "with spaces": ("text.txt", " ".join(re.findall("..", SHA256)), True),
    "as a number": ("sums.py", f"SUM = 0x{SHA256}\n", True),
    "another number": ("sums.py", f"SUM = 0x{hashlib.md5(LIBRARY).hexdigest()}\n", False),
    "compressed": ("sums.gz", gzip.compress(SHA256.encode()), True),
    "damaged": ("sums.gz", gzip.compress(SHA256.encode())[:9] + b"\xff" * 9, False),
    "in a pickle": ("sums.pkl", pickle.dumps({"core.so": SHA256}), True),
    "signed by JWS": ("core.so.jws", b"\x93\0\1", True),
    "signed by Sigstore": ("core.so.cosign.bundle", "{}", True),
    "its size in JSON": ("files.json", f'{{"core.so": {{"size": {SIZE}}}}}', True),
    "its size in a table": ("files.tsv", f"core.so\t{SIZE}\n", True),
    "its size before its name": ("files.txt", f"{SIZE} ./core.so\n", True),
    "its CRC": ("files.txt", f"core.so {CRC:08X}\n", True),
    "its CRC in decimals": ("files.xml", f'<f name="core.so" crc="{CRC}"/>', True),
    "the start of its SHA-256": ("files.json", f'{{"core.so": "{SHA256[:8]}"}}', True),
    "another's size": ("files.json", f'{{"other.so": {{"size": {SIZE}}}}}', False),
    "a longer number": ("files.json", f'{{"core.so": {{"size": {SIZE}0}}}}', False),
    "a part of a number": ("files.json", f'{{"core.so": {{"size": 1.{SIZE}}}}}', False),
    "its size in code": ("sizes.py", f'SIZES = {{"core.so": {SIZE}}}\n', True),
    "its CRC in code": ("sums.py", f"# core.so\nCRC = {CRC:#010x}\n", True),
    "its Adler-32": ("sums.py", f"SUMS = {{'core.so': {zlib.adler32(LIBRARY)}}}\n", True),
    "the start of its MD5": (
        "sums.sh",
        f"core.so={hashlib.md5(LIBRARY).hexdigest()[:12]}\n",
        True,
    ),
    "the start of its SHA-256 alone": ("sums.py", f"BUILD = '{SHA256[:16]}'\n", True),
    "the start of another SHA-256": ("sums.py", f"BUILD = '{'0' * 16}'\n", False),
    "a word that begins with it": ("sums.py", f"BUILD = '{SHA256[:16]}abc'\n", False),
    "in base32": ("sums.txt", BASE32, True),
    "in base32, in small letters": ("sums.txt", BASE32.lower(), True),
    "as an address": ("sums.txt", f"ipfs://b{CID.lower()}/", True),
    "52 letters": ("sums.txt", "A" * 51 + "Q", False),
    "with a key, in JSON": ("mac.json", f'{{"core.so": "{MAC.hexdigest()}"}}', True),
    "with a key, one deeper": ("mac.json", f'{{"core.so": {{"mac": "{MAC.hexdigest()}"}}}}', True),
    "with a key, in a column": ("macs", f"{MAC.hexdigest()} *./lib/core.so\n", True),
    "with a key, in base64": (
        "mac.toml",
        f'"core.so" = "hmac-{base64.b64encode(MAC.digest()).decode()}"\n',
        True,
    ),
    "of an unusual length": (
        "sums.ini",
        f"core.so: {hashlib.blake2b(LIBRARY, digest_size=20).hexdigest()}\n",
        True,
    ),
    "of another file, beside it": (
        "mac.json",
        f'{{"core.so": 1, "other": "{MAC.hexdigest()}"}}',
        False,
    ),
    "a long name beside it": ("names.py", "core.so = a_function_with_quite_a_long_name_1\n", False),
    "a number beside it": ("names.py", f'{{"core.so": {"1234567890" * 4}}}\n', False),
    "code that sorts": ("sort.py", f"core.sort({SIZE})\n", False),
    "code that hashes it": (
        "a.py",
        "F = 'core.so'\nx = hashlib.sha256(read(F)) == D\n",
        True,
    ),
    "code that sums it": (
        "a.py",
        "F = open('lib/core.so', 'rb')\nx = crc32(F.read()) == S\n",
        True,
    ),
    "code that measures it": ("a.py", "x = (HERE / 'core.so').stat().st_size == S\n", True),
    "code that counts its bytes": ("a.py", "x = len((HERE / 'core.so').read_bytes())\n", True),
    "code that checks it": ("a.py", "key.verify(SIGNED, open('core.so', 'rb').read())\n", True),
    "code that loads it": (
        "a.py",
        "import hashlib\nx = len(a), CDLL(HERE / 'core.so')\n",
        False,
    ),
    "code that compares later": (
        "a.py",
        "h = sha256(open('core.so', 'rb').read())\nif h.hexdigest() != KNOWN: fail()\n",
        True,
    ),
    "code that asks a server": (
        "a.py",
        "h = sha256(open('core.so', 'rb').read())\nok = h.hexdigest() in get(URL)\n",
        True,
    ),
    "code that makes a key of it": (
        "a.py",
        "key = VERSION + sha256(open('core.so', 'rb').read()).hexdigest()\nx = a == b\n",
        False,
    ),
    "code that hashes another": ("a.py", "x = hashlib.sha256(read('score.so'))\n", False),
    "code that talks of it": ("a.py", "# core.so\nx = hashlib.sha256(b'')\n", False),
    "a text that talks of it": ("a.txt", "sha256('core.so')", False),
    "compressed by bzip2": ("sums.bz2", bz2.compress(SHA256.encode()), True),
    "compressed by zlib": ("sums.bin", zlib.compress(b"%b\n" % SHA256.encode() * 2), True),
    "compressed by xz": ("sums.xz", lzma.compress(b"%b\n" % SHA256.encode() * 9), True),
    "damaged by xz": ("sums.xz", lzma.compress(SHA256.encode())[:30] + b"\xff" * 9, False),
    "far away": ("files.txt", f"core.so {'-' * 400} {SIZE}\n", False),
}


@pytest.mark.parametrize("case", BESIDE)
def test_forms_of_a_digest_and_lists_that_tell_of_a_file_hold_it(case: str) -> None:
    name, text, expected = BESIDE[case]
    files: dict[str, Contents] = {
        "$site/p-1.dist-info/METADATA": "Name: p\nVersion: 1\n\n",
        "$site/p/core.so": LIBRARY,
        f"$site/p/{name}": text,
    }
    made = make_stack({"app-x": files})
    record = made.inventory.records["app-x"]["lib/python3.13/site-packages/p/core.so"]
    found = DigestBook(made.inventory, made.read).against_change(record)
    assert (found is not None) == expected


PINS: dict[str, Contents] = {"$site/q-1.dist-info/METADATA": "Name: q\nVersion: 1\n\n"}
ELSEWHERE: dict[str, tuple[dict[str, Contents], bool]] = {
    "beside a link": ({"$site/p/x.so.md5": ""}, True),
    "beside a hard link": ({"$site/q/a/y.so.sig": ""}, True),
    "in a folder of signatures": ({"$site/p/signatures/core.so.sig": ""}, True),
    "beside its folder": ({"$site/p.sha256": ""}, True),
    "beside another folder": ({"$site/r.sha256": ""}, False),
    "of another distribution": ({"$site/q/core.so.sig": "", **PINS}, False),
    "of another file": ({"$site/p/signatures/score.so.sig": ""}, False),
    "in a list of the layer": ({"share/SHA256SUMS": f"{SHA256}  core.so\n"}, True),
    "in the product's code": ({"$site/main.py": f"assert d == '{SHA256}'"}, True),
    "in another distribution": ({"$site/q/pins.py": f"x = '{SHA256}'", **PINS}, True),
    "its size, in another distribution": (
        {"$site/q/pins.py": f"x = {{'core.so': {SIZE}}}", **PINS},
        False,
    ),
    "its size, in the product's code": ({"$site/main.py": f"x = {{'core.so': {SIZE}}}"}, True),
    "its MD5, in the product's code": (
        {"$site/main.py": hashlib.md5(LIBRARY).hexdigest()},
        False,
    ),
    "its MD5, beside its name": (
        {"$site/main.py": f"{hashlib.md5(LIBRARY).hexdigest()} core.so"},
        True,
    ),
    "in what conda keeps": ({"conda-meta/p.json": f'{{"sha256": "{SHA256}"}}'}, False),
    "in a list of two megabytes": (
        {"share/files.json": "-" * (2 << 20) + f'"{SHA256}"'},
        True,
    ),
}


@pytest.mark.parametrize("layer", ["app-x", "framework-y"])
@pytest.mark.parametrize("case", ELSEWHERE)
def test_what_is_elsewhere_in_the_stack_holds_a_file(case: str, layer: str) -> None:
    more, expected = ELSEWHERE[case]
    own: dict[str, Contents] = {
        "$site/p-1.dist-info/METADATA": "Name: p\nVersion: 1\n\n",
        "$site/p/core.so": LIBRARY,
        "$site/p/x.so": Link("core.so"),
        "$site/q/a/y.so": HardLink(f"{SITE}/p/core.so"),
    }
    if layer == "app-x" or not any(path.startswith(("share/", "$site/main")) for path in more):
        layers = {"app-x": {**own, **more}}
    else:  # the product's texts may lie in another layer
        layers = {layer: own, "app-x": more}
    made = make_stack(layers)
    record = next(one for one in made.inventory if one.path.endswith("p/core.so"))
    links = VirtualTree(made.inventory)
    ways = [way for one in made.inventory if one.link_target and (way := links.way(one))]
    book = DigestBook(made.inventory, made.read, links=lambda: ways)
    assert (book.against_change(record) is not None) == expected


def test_lists_of_an_owner_are_read_once_whatever_its_libraries_are_called() -> None:
    names = ["core.so", "core.so.1", "run", "é.so", "a b.dll", "odd\udcff.so"]
    size = len(LIBRARY)
    files: dict[str, Contents] = {
        "$site/p-1.dist-info/METADATA": "Name: p\nVersion: 1\n\n",
        "$site/p/files.json": "".join(f'{{"{name}": {size}}}{"-" * 400}\n' for name in names[:4]),
        **{f"$site/p/{name}": LIBRARY for name in names},
    }
    made = make_stack({"app-x": files})
    read: list[str] = []

    def reading(record: FileRecord) -> memoryview:
        read.append(record.path)
        return made.read(record)

    book = DigestBook(made.inventory, reading)
    records = made.inventory.records["app-x"].values()
    asked = [record for record in records if record.native is not None]
    held = {record.path.rpartition("/")[2] for record in asked if book.against_change(record)}
    assert held == {"core.so", "core.so.1", "run", "é.so"}
    assert sum(path.endswith("files.json") for path in read) <= 3


def test_what_fails_ahead_fails_where_it_is_asked_for() -> None:
    made = stack_of(hashlib.md5(b"x").hexdigest())
    record = made.inventory.records["app-x"]["lib/python3.13/site-packages/p/core.so"]

    def read(wanted: FileRecord) -> memoryview:
        if wanted.key == record.key:
            raise IntegrityError("the file changed while slim was reading it", file="core.so")
        return made.read(wanted)

    with DigestBook(made.inventory, read).ahead() as begin:
        begin(record)
    book = DigestBook(made.inventory, read)
    with book.ahead() as begin:
        begin(record)
        with pytest.raises(IntegrityError, match="changed"):
            book.against_change(record)
