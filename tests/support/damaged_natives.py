"""Damaged native files of every format, in one layer, through every pass that looks at them.

Runs in a process of its own, so that what it may take can be bounded: ``python -m
tests.support.damaged_natives PLATFORM PIECE``. It prints each seed before it is tried, and at the
end how many files could be edited, and the megabytes that the process took on top of what it began
with.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from slim.formats.base import BytesContent
from slim.passes import EDITORS
from slim.passes.debug_symbols import DebugSymbols
from slim.passes.duplicates import Duplicates
from slim.passes.dylibs import UnusedLibraries
from slim.passes.foreign import ForeignFiles
from slim.verification.oracles import Edit, refused_edits
from tests.corpus.natives import ELF, MACHO
from tests.support.elf_files import build as build_elf
from tests.support.macho_files import LIBRARY
from tests.support.macho_files import build as build_macho
from tests.support.native_headers import fat, pe
from tests.support.pass_runs import findings, propose, rule
from tests.support.virtual_stacks import make_stack

HOLES = build_elf("""
elf 64 little x86_64 shared
load 0x0 align 0x1000
section .dynsym dynsym 96 alloc align 8 link .dynstr
section .text progbits 800 alloc align 16
end
section .symtab symtab 9600 align 8 link .strtab
section .strtab strtab 900
load 0x20000 align 0x1000
section .dynstr strtab 100 alloc
end
""")
# No hash of a page tells of the damage.
UNSIGNED = build_macho(
    "\n".join(line for line in LIBRARY.splitlines() if not line.startswith("signed"))
)
SAMPLES = {
    "p/a.so": ELF,
    "p/holes.so": HOLES,
    "p/a.dylib": MACHO,
    "p/unsigned.dylib": UNSIGNED,
    "p/debug.dylib": build_macho(f"{LIBRARY}\ndwarf 3000 unmapped"),
    "p/fat.dylib": fat(build_macho(LIBRARY.replace("arm64", "x86_64")), UNSIGNED),
    "p/a.dll": pe(
        "b.dll", delayed=("c.dll",), exports=("PyInit_a",), forwards=("d.e",), strings=("libx.dll",)
    ),
    "p/a.exe": pe("a.dll", machine="aarch64", dll=False, signed=True),
}
DAMAGES = 500
"""Each of these damages every sample."""
PIECES = 4


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Flip some bytes, mostly near the start where headers are; sometimes cut the end off."""
    found = bytearray(data)
    for _ in range(chance.choice((1, 2, 8))):
        reach = chance.choice((0x40, 0x200, 0x1000, len(found)))
        found[chance.randrange(min(reach, len(found)))] = chance.randrange(256)
    return bytes(found[: chance.randrange(len(found))]) if chance.random() < 0.25 else bytes(found)


def run(platform: str, piece: int) -> int:
    """Try every sample with the damage of each seed of a piece; return how many were edited."""
    edited = 0
    for seed in range(piece, DAMAGES, PIECES):
        print(f"seed {seed}", flush=True)
        begin_case()
        chance = random.Random(f"{platform} {seed}")
        files = {path: damaged(data, chance) for path, data in SAMPLES.items()}
        made = make_stack({"app-x": files}, platform=platform)
        for one in (ForeignFiles(), UnusedLibraries(), Duplicates()):
            propose(one, made, rule(one.schema.name))
        found = findings(propose(DebugSymbols(), made, rule("debug-symbols")))
        edits = {}
        for path, finding in found.items():
            record = made.inventory.by_deployed_path[path]
            assert finding.edit is not None
            original = made.read(record)
            recipe = EDITORS[finding.edit.editor].edit(original, finding.edit.options)
            assert recipe.size == finding.size_after < record.size
            edits[record.key] = Edit(
                editor=finding.edit.editor,
                original=BytesContent(bytes(original)),
                edited=BytesContent(recipe.whole(original)),
            )
        assert refused_edits(edits) == {}, f"seed {seed}"
        edited += len(edits)
    return edited


SECONDS = 120
"""Time for one seed with all of its files, on a slow machine; a hundredth is usual."""
MEGABYTES = 256
"""Address space beyond what is there with everything imported."""


def begin_case() -> None:
    """Have the system end this process if it takes too long from now on, wherever it is stuck."""
    import signal

    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, SECONDS)


def main() -> None:
    """Set the bounds, run, and tell how much memory was taken."""
    import resource

    size = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
    limit = size + (MEGABYTES << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(run(sys.argv[1], int(sys.argv[2])))
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)


if __name__ == "__main__":
    main()
