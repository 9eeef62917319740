"""Inputs to start from, built by code: what honest tools write, and what the corpus refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from slim.backup.index import render_index
from slim.model.backup import BackupAction, BackupFile, BackupIndex, BackupLayer, BackupStack
from slim.model.record import EntryType
from slim.model.stack import LayerKind, Platform
from tests.corpus.archives import ACCEPTED, COMPRESSED, TAR, ZIP
from tests.corpus.config_trials import REFUSED as CONFIGS
from tests.corpus.metadata_trials import RECORDS
from tests.corpus.natives import ALONE, EDITED
from tests.support import gpu_files as gpu
from tests.support.backup_runs import pdb
from tests.support.gpu_libraries import Library, code
from tests.support.native_headers import macho, pe
from tests.support.raw_archives import (
    PACK,
    ZipMember,
    entry,
    folder,
    gnu_long,
    hard,
    pax,
    record,
    sym,
    tar,
    zip_file,
)

_HONEST_TAR = tar(
    folder("r"),
    pax(record("path", "r/" + "n" * 110), record("mtime", "12.5")) + entry("x", b"content" * 90),
    gnu_long("L", "r/" + "m" * 110) + entry("y", b"z"),
    sym("r/l", "y"),
    entry("r/f", b"x"),
    hard("r/h", "r/f"),
)
_HONEST_ZIP = zip_file(
    ZipMember(name="r/", mode=0o040755),
    ZipMember(name="r/a", data=b"content" * 20),
    ZipMember(name="r/b", data=b"stored", method=0, descriptor=True),
    ZipMember(name="r/l", data=b"a", mode=0o120777),
)
_LONGEST = 8192
_GOLDEN = Path(__file__).parents[1] / "golden" / "expected"


def tars() -> list[bytes]:
    """The first byte: make checksums right, or don't."""
    small = [
        case.data for case in TAR if isinstance(case.data, bytes) and len(case.data) <= _LONGEST
    ]
    return [
        first + data
        for data in (_HONEST_TAR, *(one.data for one in ACCEPTED), *small)
        for first in (b"\0", b"\xff")
    ]


def zips() -> list[bytes]:
    """Honest and hostile ones."""
    return [
        _HONEST_ZIP,
        *(case.data for case in ZIP if isinstance(case.data, bytes) and len(case.data) <= _LONGEST),
    ]


def streams() -> list[bytes]:
    """The first byte chooses the format."""
    numbers = {name: bytes((number,)) for number, name in enumerate(PACK)}
    found = [numbers[name] + pack(_HONEST_TAR) for name, pack in PACK.items()]
    for case in COMPRESSED:
        name = case.file.removeprefix("layer.")
        if isinstance(case.data, bytes) and name in numbers:
            found.append(numbers[name] + case.data)
    return found


def elves() -> list[bytes]:
    """Whole and damaged ones."""
    return [case.data for case in (*EDITED, *ALONE) if case.name.endswith((".so", ".o"))]


def machos() -> list[bytes]:
    """The first byte: make page hashes right, or don't."""
    files = [case.data for case in (*EDITED, *ALONE) if case.name.endswith(".dylib")]
    files.append(
        macho(
            "@rpath/a.dylib", "weak @rpath/b.dylib", name="@rpath/c.dylib", rpaths=("@loader_path",)
        )
    )
    return [first + data for data in files for first in (b"\0", b"\xff")]


def debuggable() -> list[bytes]:
    """Everything that symbols are taken out of."""
    return [*elves(), *(data[1:] for data in machos())]


def databases() -> list[bytes]:
    """Program databases with and without a second age."""
    return [pdb(), pdb(dbi_age=None)]


def indexes() -> list[bytes]:
    """The index of a store that has one of everything."""
    digest = "0" * 64
    mode: dict[str, Any] = {"mode": 0o644, "mtime": 1, "rule": "r", "pass_name": "p"}
    told: dict[str, Any] = {"size": 3, "sha256": digest}
    now: dict[str, Any] = {"size_after": 1, "sha256_after": digest}
    files = (
        BackupFile(
            path="a",
            type=EntryType.FILE,
            action=BackupAction.REMOVED,
            evidence=("e",),
            **mode,
            **told,
        ),
        BackupFile(
            path="b/\udcff",
            type=EntryType.SYMLINK,
            action=BackupAction.REMOVED,
            link_target="a",
            **mode,
        ),
        BackupFile(
            path="c",
            type=EntryType.HARDLINK,
            action=BackupAction.REMOVED,
            link_target="a",
            **mode,
            **told,
        ),
        BackupFile(path="d", type=EntryType.DIRECTORY, action=BackupAction.EMPTIED, **mode),
        BackupFile(
            path="e",
            type=EntryType.FILE,
            action=BackupAction.LINKED,
            link_after="a",
            **mode,
            **told,
        ),
        BackupFile(
            path="f", type=EntryType.FILE, action=BackupAction.REWRITTEN, **mode, **told, **now
        ),
    )
    layer = BackupLayer(
        name="app",
        layer_name="app",
        kind=LayerKind.PLAIN,
        tree_before=digest,
        tree_after=digest,
        site_dirs=("lib/site-packages",),
        stdlib_dir="lib",
        hard_links={"c": "a"},
        note={"version": "1"},
        files=files,
    )
    stack = BackupStack(
        platform=Platform.parse("linux_x86_64"),
        manifest="venvstacks.json",
        folder="",
        layers=(layer,),
    )
    return [render_index(BackupIndex(slim_version="1", stacks=(stack,)))]


def pes() -> list[bytes]:
    """With all tables that are read."""
    full = pe(
        "b.dll", delayed=("c.dll",), exports=("PyInit_a",), forwards=("d.e",), strings=("libx.dll",)
    )
    old = pe("b.dll", delayed=("c.dll",), old_delays=True, machine="i686")
    return [full, old, pe("a.dll", machine="aarch64", dll=False, signed=True)]


def gpu_files() -> list[bytes]:
    """Fat binaries and bundles, each in the files that hold them."""
    packed = gpu.entry(1, 75, b"p" * 21, flags=0x8011, header_size=96, unpacked=90)
    fat = gpu.fatbin(gpu.entry(), packed)
    bundle = gpu.bundle([("hip-amdgcn-amd-amdhsa--gfx90a:xnack-", b"a" * 50)])
    small = gpu.packed_bundle(bundle)
    wrapped = (".nvFatBinSegment", gpu.wrapper(16) + gpu.wrapper(32, 64))
    return [
        gpu.elf([(".nv_fatbin", fat + b"\0" * 8 + fat), wrapped, ("__nv_relfatbin", fat)]),
        gpu.pe([(".nv_fatbin", fat), wrapped]),
        gpu.elf([(".hip_fatbin", small + gpu.packed_bundle(bundle, 1, 0))]),
        gpu.packed_bundle(bundle, 2, 0),
        fat,
        bundle[:200],
        gpu.cubin(0x6005A08),
        gpu.hsaco("amdgcn-amd-amdhsa--gfx942"),
        b"MTLB1234",
    ]


def records() -> list[bytes]:
    """RECORD, METADATA and entry points, apart by 0x1E."""
    honest = (
        b"a.py,,\na-1.0.dist-info/METADATA,sha256=AAAA,12\n../../../bin/a,,\n"
        b"a-1.0.dist-info/RECORD,,\n"
    )
    metadata = (
        b"Metadata-Version: 2.4\nName: a\nVersion: 1.0\nLicense-File: LICENSE\n"
        b"Requires-Dist: b>=1; extra == 'x'\n"
    )
    points = b"[console_scripts]\na = a:main [x]\n"
    rows = (text if isinstance(text, bytes) else text.encode() for _, text, _ in RECORDS)
    return [
        honest + b"\x1e" + metadata + b"\x1e" + points,
        *(text for text in rows if len(text) < 4096),
    ]


def manifests() -> list[bytes]:
    """What venvstacks writes, and shapes of JSON."""
    layer = {
        "install_target": "app",
        "layer_name": "app",
        "required_layers": ["fw"],
        "runtime_layer": "cpython",
        "archive_name": "app.tar.xz",
        "archive_size": 1,
        "archive_hashes": {"sha256": "0" * 64},
        "target_platform": "linux_x86_64",
        "python_implementation": "cpython@3.13.0",
        "app_launch_module": "main",
    }
    below = [{"install_target": "fw", "runtime_layer": "cpython"}]
    sections = {
        "runtimes": [{"install_target": "cpython"}],
        "frameworks": below,
        "applications": [layer],
    }
    whole = json.dumps({"layers": sections}).encode()
    return [
        whole,
        b"\xef\xbb\xbf{}",
        b'{"layers": {"runtimes": [], "runtimes": NaN}}',
        b"[" * 2000,
        b'"\\ud800"',
        b"1" * 4000,
    ]


def reports() -> list[bytes]:
    """What slim itself writes."""
    names = (
        "audit.json",
        "check-within.json",
        "json-dry.json",
        "json-finished.json",
        "diff-same.json",
    )
    return [(_GOLDEN / name).read_bytes() for name in names]


def globs() -> list[bytes]:
    """A pattern and a path."""
    patterns = [
        "**/tests/**",
        "$site/a/*.py",
        "*a" * 8 + "b",
        "**/b/**/c/**",
        "[!a-z]x?",
        "{a,b}/{c,d}",
        "a/",
        "**/*.txt",
    ]
    protected = ["share/**", "**/licenses/*", "**/*.dist-info/*", "postinstall.*", "**/[A-Z]*"]
    return [f"{pattern}\na/b/tests/c.py".encode() for pattern in (*patterns, *protected)]


def configs() -> list[bytes]:
    """What the documentation shows, and what the corpus refuses."""
    whole = b"""schema = 1
profile = "standard"
packs = []
disable = ["man-pages"]
keep = ["**/share/doc/ours/**"]
drop = ["maths-docs", {name = "six", despite = ["plots"]}]
bytecode = "none"
format = "tar.xz"
jobs = 2
[limits]
members = 200_000
total = "128 GiB"
[layer."cpython3.13"]
profile = "safe"
[verify]
timeout = 10
[[verify.command]]
layer = "app"
argv = ["python", "-m", "app"]
output = ["^ok"]
ready = { port = 8000 }
request = [{ path = "/" }]
[[budget]]
unpacked = "1 GiB"
[[rule]]
id = "own"
pass = "leftovers"
reason = "a test"
safety = "safe"
remove = ["a/**"]
package = "x >= 1"
[rule.examples]
match = ["a/b"]
"""
    return [whole, *(text.encode() for _, text, _ in CONFIGS if len(text) < 4096)]


def sources() -> list[bytes]:
    """Every way to import that is looked for."""
    return [
        b"import a.b as c, d\nfrom . import e\nfrom ..f import g as h, i\nfrom j import *\n",
        b"import importlib\nm = importlib.import_module('.a', __package__)\nn = "
        b"__import__('b.c')\n",
        b"try:\n    import a\nexcept ImportError:\n    a = None\nif TYPE_CHECKING:\n    import b\n",
        b"__all__ = ['a', 'b']\n_lazy = {'c': 'd.e'}\ndef __getattr__(name):\n    import f\n",
        b"# coding: latin-1\nx = '\xe9'\nimport a\n",
        b"x = f'{__import__(\"a\")}'; import b; from c import (d,\n e)\n",
        b"(" * 300 + b")" * 300,
        b"import runpy\nrunpy.run_module('a.b')\nsubprocess.run([sys.executable, '-m', 'c'])\n",
    ]


def gpu_libraries() -> list[bytes]:
    """Libraries out of which GPU code can go, in each layout that the editor knows."""
    small = [code(80, 90, size=3000), code(75, 86, 90, size=3000)]
    return [
        Library(containers=small).build(),
        Library(containers=small, last=True, prelinked=True).build(),
        Library(containers=small, wrapped=(1,)).build(),
        Library(containers=small, align=0x2000).build(),
        Library(containers=small, wrapped=(0, 1, 1)).build(),
        Library(containers=small, relocatable=[code(75, 90, size=6000), small[1]]).build(),
        Library(containers=small[:1], relocatable=small, last=True, prelinked=True).build(),
    ]
