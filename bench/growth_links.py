"""How time grows with symbolic links and with hard links.

    python bench/growth_links.py [--links N]

Makes a layer of N files and N links to them (half of the files go), or of N links to one package,
and runs slim on 1x and 4x of it (``--level fast``). Prints seconds of processor time, and the
exponent of their growth: 1 is linear.
"""

from __future__ import annotations

import argparse
import io
import math
import sys
import tarfile
import tempfile
from pathlib import Path

from measuring import Measure, measured

SITE = "lib/python3.13/site-packages"
PACK = """schema = 1
description = "Half of the files"
[[rule]]
id = "half"
pass = "tests"
safety = "standard"
reason = "Half of the files"
remove = ["**/even/**"]
"""


PACKAGE = b"package"
"""Stands for symbolic links to one package, where tar's types stand for links to files."""


def layer(target: Path, count: int, kind: bytes) -> None:
    """A layer archive of so many files, and as many links of a tar type to them."""
    with tarfile.open(target, "w:gz", compresslevel=1) as archive:
        if kind == PACKAGE:
            archive.addfile(tarfile.TarInfo(f"layer/{SITE}/real/even/__init__.py"))
            for number in range(count):
                info = tarfile.TarInfo(f"layer/{SITE}/link{number}")
                info.type, info.linkname = tarfile.SYMTYPE, "real"
                archive.addfile(info)
            return
        names = [
            f"{SITE}/package{number // 100}/{('even', 'odd')[number % 2]}/file{number}.txt"
            for number in range(count)
        ]
        for name in names:
            info = tarfile.TarInfo(f"layer/{name}")
            info.size = len(name)
            archive.addfile(info, io.BytesIO(name.encode()))
        for number, name in enumerate(names):
            info = tarfile.TarInfo(f"layer/{SITE}/package{number // 100}/link{number}.txt")
            info.type = kind
            short = "/".join(name.split("/")[-2:])
            info.linkname = f"layer/{name}" if kind == tarfile.LNKTYPE else short
            archive.addfile(info)


def main() -> int:
    """Run the bench."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--links", type=int, default=5000)
    links = parser.parse_args().links
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "pack.toml").write_text(PACK, "utf-8")
        kinds = {
            tarfile.SYMTYPE: "symbolic links",
            tarfile.LNKTYPE: "hard links",
            PACKAGE: "to one package",
        }
        for kind, name in kinds.items():
            seconds = []
            for scale in (1, 4):
                archive = folder / f"layer{scale}.tar.gz"
                layer(archive, links * scale, kind)
                command = [sys.executable, "-m", "slim", "run", archive, "-o", folder / "out"]
                options = ["--force", "--no-config", "-q", "--level", "fast"]
                measure = Measure(name)
                arguments = [*map(str, command), *options, "--pack", f"{folder}/pack.toml"]
                if not measured(arguments, measure):
                    print(measure.failed, file=sys.stderr)
                    return 1
                seconds.append(measure.processor[0])
            exponent = math.log(seconds[1] / seconds[0], 4)
            print(f"{name:15} {seconds[0]:7.1f} s {seconds[1]:7.1f} s  exponent {exponent:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
