"""Sample application: does a little real work with each package, and prints one line of JSON.

The line is the same on every run of the same stack, so that two deployments can be compared by what
they print.
"""

from __future__ import annotations

import bz2
import ctypes
import decimal
import email.message
import hashlib
import importlib.metadata
import importlib.util
import io
import json
import lzma
import multiprocessing.pool
import re
import sys
import xml.etree.ElementTree as ElementTree
import zlib
from collections.abc import Callable
from pathlib import Path

import click
import elftools.elf.elffile
import jinja2
import packaging.requirements
import packaging.specifiers
import packaging.version
import pygments  # type: ignore[import-untyped]
import pygments.formatters  # type: ignore[import-untyped]
import pygments.lexers  # type: ignore[import-untyped]
import rich.console
import rich.markdown
import rich.table
import tomlkit
import zstandard

TEXT = b"the quick brown fox jumps over the lazy dog\n" * 2000


def digest(data: bytes | str) -> str:
    """A short fingerprint."""
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()[:16]


def compression() -> dict[str, object]:
    """Round trips through each compressor, one of them with a dictionary and streaming."""
    dictionary = zstandard.ZstdCompressionDict(TEXT[:1000])
    packed = zstandard.ZstdCompressor(level=19, dict_data=dictionary).compress(TEXT)
    reader = zstandard.ZstdDecompressor(dict_data=dictionary).stream_reader(io.BytesIO(packed))
    return {
        "bz2": bz2.decompress(bz2.compress(TEXT)) == TEXT,
        "lzma": lzma.decompress(lzma.compress(TEXT)) == TEXT,
        "zlib": zlib.decompress(zlib.compress(TEXT)) == TEXT,
        "zstd": reader.read() == TEXT,
        "zstd_size": len(packed),
    }


def native() -> dict[str, object]:
    """Facts about the interpreter and one of the stack's own extension modules, if they are ELF."""
    program = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    spec = importlib.util.find_spec("zstandard.backend_c")
    found: dict[str, object] = {}
    for name, path in (("program", program), ("extension", Path(str(spec and spec.origin)))):
        with path.open("rb") as file:
            magic = file.read(4)
            found[name] = magic.hex()
            if magic == b"\x7fELF":
                elf = elftools.elf.elffile.ELFFile(file)
                kinds = [segment["p_type"] for segment in elf.iter_segments()]
                found[f"{name}_elf"] = [
                    elf.get_machine_arch(),
                    elf["e_type"],
                    kinds.count("PT_LOAD"),
                ]
    return found


def text() -> dict[str, object]:
    """Tables, Markdown, highlighted code, a template, TOML and a command line, as text."""
    table = rich.table.Table("layer", "bytes", title="sample")
    for name, size in (("runtime", 1234), ("framework", 567)):
        table.add_row(name, f"{size:,}")
    output = io.StringIO()
    console = rich.console.Console(
        file=output, width=60, color_system=None, force_terminal=False, legacy_windows=False
    )
    console.print(table)
    console.print(
        rich.markdown.Markdown("# Title\n\n* one\n* *two*\n\n| a | b |\n|---|---|\n| 1 | 2 |")
    )
    lexer, formatter = (
        pygments.lexers.get_lexer_by_name("python"),
        pygments.formatters.HtmlFormatter(),
    )
    command = click.Command(
        "add", params=[click.Option(["--n"], type=int)], callback=lambda n: n + 1
    )
    document = tomlkit.parse("# kept\n[layer]\nsize = 1\n")
    document["layer"]["size"] = 2
    page = jinja2.Environment(autoescape=True).from_string(
        "{% for n in names %}<b>{{ n|title }}</b>{% endfor %}"
    )
    return {
        "click": command.main(["--n", "41"], standalone_mode=False),
        "jinja2": page.render(names=["a<b", "c"]),
        "pygments": digest(pygments.highlight("def f(x): return x + 1", lexer, formatter)),
        "rich": digest(output.getvalue()),
        "tomlkit": tomlkit.dumps(document),
    }


def versions() -> dict[str, object]:
    """The distributions of the stack, and what packaging makes of version numbers."""
    parsed = sorted(
        packaging.version.Version(version)
        for version in ("1.10", "1.9", "2.0rc1", "2.0", "1.9.post1")
    )
    names = {
        str(found.metadata["Name"]): found.version for found in importlib.metadata.distributions()
    }
    return {
        "installed": dict(sorted(names.items(), key=lambda item: item[0].lower())),
        "marker": str(packaging.requirements.Requirement('a>=1; python_version > "3"').specifier),
        "newest": str(parsed[-1]),
        "order": [str(version) for version in parsed],
        "within": packaging.specifiers.SpecifierSet("~=1.9").contains("1.10"),
    }


def standard_library() -> dict[str, object]:
    """A few corners of it. Some builds of Python lack some modules; what is missing is null."""
    message = email.message.EmailMessage()
    message["Subject"] = "größe"
    with multiprocessing.pool.ThreadPool(2) as pool:
        squares = pool.map(lambda n: n * n, range(5))
    decimal.getcontext().prec = 30
    return {
        "ctypes": ctypes.sizeof(ctypes.c_uint64),
        "decimal": str(decimal.Decimal(2).sqrt()),
        "email": digest(message.as_bytes()),
        "pool": squares,
        "re": re.sub(r"(\w+) (\w+)", r"\2 \1", "hello world"),
        "sqlite": optional(_sqlite),
        "tls": optional(_tls),
        "unicode": "ß".upper().casefold(),
        "xml": [element.tag for element in ElementTree.fromstring("<a><b/><c/></a>")],  # noqa: S314
        "zone": optional(_zone),
    }


def optional(work: Callable[[], object]) -> object:
    """The result, or None where this Python was built without the module."""
    try:
        return work()
    except ImportError:
        return None


def _sqlite() -> object:
    import sqlite3

    with sqlite3.connect(":memory:") as connection:
        connection.execute("create table t (n integer)")
        connection.executemany("insert into t values (?)", [(n,) for n in range(10)])
        row = connection.execute("select sum(n), count(*) from t").fetchone()
    connection.close()
    return list(row)


def _tls() -> object:
    import ssl

    return ssl.create_default_context().verify_mode.name


def _zone() -> object:
    import zoneinfo

    return zoneinfo.ZoneInfo.__name__


def main() -> None:
    """Print the line."""
    result = {
        "compression": compression(),
        "native": native(),
        "python": ".".join(str(part) for part in sys.version_info[:3]),
        "standard_library": standard_library(),
        "text": text(),
        "versions": versions(),
    }
    sys.stdout.write(json.dumps(result, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
