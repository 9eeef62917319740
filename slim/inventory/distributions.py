"""Installed distributions, from RECORD, METADATA and entry_points.txt of ``.dist-info`` folders.

Sources: PyPA specifications "Recording installed projects", "Core metadata" and "Entry points".
"""

from __future__ import annotations

import configparser
import csv
import io
import posixpath
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from email.parser import BytesHeaderParser

from packaging.utils import canonicalize_name

from slim.errors import UnsafeInputError
from slim.formats.base import Member, Tree
from slim.model.record import Distribution, EntryPoint, EntryType
from slim.model.stack import Layer

_LONGEST_FIELD = 32_768
_REINSTALL = "reinstall the distribution, or keep its layer as it is"
_LICENCE = re.compile(r"(licen[cs]e|notice|copying|copyright|authors)([._-].*)?\Z", re.IGNORECASE)
_CODE_SUFFIXES = (".py", ".pyc", ".pyi", ".so", ".pyd", ".dll", ".dylib", ".js", ".c", ".h")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRow:
    """One row of RECORD."""

    path: str
    """Path relative to the layer."""
    written: str
    """Path as the row spells it."""
    digest: str
    """``algorithm=urlsafe-base64``, or empty."""
    size: str
    """Bytes in decimal digits, or empty."""


def is_licence_name(path: str) -> bool:
    """True if a file is a licence by its name, whatever folder it lies in.

    Such names are LICENSE*, LICENCE*, NOTICE*, COPYING*, COPYRIGHT* and AUTHORS*. A Python module
    called ``license.py`` isn't one.
    """
    name = posixpath.basename(path)
    return bool(_LICENCE.match(name)) and not name.lower().endswith(_CODE_SUFFIXES)


def parse_record(
    text: str, *, site: str, file: str, lenient: bool = False
) -> tuple[RecordRow, ...]:
    """Parse RECORD strictly.

    ``site`` is the folder that its paths are relative to, itself relative to the layer; ``file``
    names RECORD in errors. With ``lenient``, rows that lead out of the layer are left out: a frozen
    application keeps a RECORD that names ``../bin/x``.

    Raises UnsafeInputError for anything that the specification doesn't allow, and for rows that
    lead out of the layer.
    """

    def fail(line: int, message: str) -> UnsafeInputError:
        return UnsafeInputError(message, file=file, place=f"line {line}", hint=_REINSTALL)

    rows: list[RecordRow] = []
    seen: set[str] = set()
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for fields in reader:
            line = reader.line_num
            if not fields:
                continue
            if len(fields) != 3:
                raise fail(line, f"a row has {len(fields)} columns instead of 3")
            written, digest, size = fields
            if len(written) > _LONGEST_FIELD:
                raise fail(line, f"a path of {len(written)} characters")
            path = written.replace("\\", "/")
            if path.startswith("/") or re.match(r"[A-Za-z]:", path) or "\0" in path:
                raise fail(line, f"{written!r} is an absolute path")
            joined = posixpath.normpath(posixpath.join(site, path))
            if joined == ".." or joined.startswith("../"):
                if lenient:
                    continue
                raise fail(line, f"{written!r} leads out of the layer")
            if joined in seen:
                raise fail(line, f"{written!r} stands twice")
            if size and not (size.isascii() and size.isdecimal()):
                raise fail(line, f"{size!r} is not a size in bytes")
            seen.add(joined)
            rows.append(RecordRow(path=joined, written=written, digest=digest, size=size))
    except csv.Error as error:
        raise fail(reader.line_num, f"not valid CSV: {error}") from None
    return tuple(rows)


def render_record(rows: Iterable[RecordRow], *, newline: str = "\n") -> str:
    """The text of a RECORD with these rows, in the order given."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator=newline)
    for row in rows:
        writer.writerow((row.written, row.digest, row.size))
    return out.getvalue()


def read_record(
    tree: Tree, info_dir: str, *, layer: str, lenient: bool = False
) -> tuple[RecordRow, ...]:
    """Rows of a distribution's RECORD; empty where it has none.

    ``lenient`` as in :func:`parse_record`, whose errors are raised.
    """
    member = tree.members.get(f"{info_dir}/RECORD")
    if member is None or member.content is None:
        return ()
    file = f"{layer}/{info_dir}/RECORD"
    try:
        text = bytes(member.content.view()).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnsafeInputError(
            f"not valid UTF-8 at byte {error.start}", file=file, hint=_REINSTALL
        ) from None
    return parse_record(text, site=posixpath.dirname(info_dir), file=file, lenient=lenient)


def find_distributions(
    layer: Layer, tree: Tree, *, lenient: bool = False
) -> tuple[dict[str, Distribution], list[str]]:
    """Distributions in the layer's site-packages folders, by normalised name, and warnings.

    With ``lenient``, for looking only, rows that lead out of the layer are left out, and a RECORD
    that can't be read is as if there were none. Bytecode that RECORD lists and that isn't there is
    no warning: venvstacks never ships any.

    Raises UnsafeInputError for a RECORD that can't be right.
    """
    sites = set(layer.site_dirs)
    infos = sorted(
        {
            posixpath.dirname(path)
            for path in tree.members
            if path.endswith(".dist-info/METADATA")
            and posixpath.dirname(posixpath.dirname(path)) in sites
        }
    )
    inside = _inside(infos, tree)
    distributions: dict[str, Distribution] = {}
    warnings: list[str] = []
    for info in infos:
        try:
            distribution, phantom = _distribution(layer, tree, info, inside[info], lenient=lenient)
        except UnsafeInputError as error:
            if not lenient:
                raise
            warnings.append(f"{error.where}: {error.message}; its rows don't count")
            distribution, phantom = _distribution(layer, tree, info, inside[info], recorded=False)
        if phantom:
            count = "1 row" if phantom == 1 else f"{phantom} rows"
            warnings.append(
                f"{layer.name}/{info}/RECORD: {count} for files that aren't there; dropped"
            )
        if distribution.name in distributions:
            warnings.append(
                f"{layer.name}/{info}: {distribution.name} is installed twice in this layer"
            )
            continue
        distributions[distribution.name] = distribution
    return distributions, warnings


def _inside(infos: Iterable[str], tree: Tree) -> dict[str, list[str]]:
    """Paths in each of these ``.dist-info`` folders."""
    paths: dict[str, list[str]] = {info: [] for info in infos}
    for path in tree.members:
        end = path.find(".dist-info/")
        while end >= 0:
            own = paths.get(path[: end + len(".dist-info")])
            if own is not None:
                own.append(path)
            end = path.find(".dist-info/", end + 1)
    return paths


def _distribution(
    layer: Layer,
    tree: Tree,
    info: str,
    inside: Iterable[str],
    *,
    recorded: bool = True,
    lenient: bool = False,
) -> tuple[Distribution, int]:
    def text(name: str) -> bytes:
        member = tree.members.get(f"{info}/{name}")
        return (
            bytes(member.content.view())
            if member is not None and member.content is not None
            else b""
        )

    headers = BytesHeaderParser().parsebytes(text("METADATA"))
    folder_name, _, folder_version = (
        posixpath.basename(info).removesuffix(".dist-info").partition("-")
    )
    rows = read_record(tree, info, layer=layer.name, lenient=lenient) if recorded else ()
    files = frozenset(row.path for row in rows if _is_file(tree.members.get(row.path)))
    declared = [str(value).strip() for value in headers.get_all("License-File", [])]
    return (
        Distribution(
            layer=layer.name,
            name=canonicalize_name(str(headers.get("Name", folder_name)).strip()),
            version=str(headers.get("Version", folder_version)).strip(),
            info_dir=info,
            files=files,
            licences=frozenset(_licences(info, files, declared, tree.members, inside)),
            requires=tuple(str(value).strip() for value in headers.get_all("Requires-Dist", [])),
            entry_points=tuple(parse_entry_points(text("entry_points.txt"))),
        ),
        sum(row.path not in files and not row.path.endswith(".pyc") for row in rows),
    )


def _is_file(member: Member | None) -> bool:
    return member is not None and member.type is not EntryType.DIRECTORY


def _licences(
    info: str,
    files: frozenset[str],
    declared: list[str],
    members: Mapping[str, Member],
    inside: Iterable[str],
) -> Iterable[str]:
    for name in declared:
        for folder in (f"{info}/licenses", info):
            path = posixpath.normpath(f"{folder}/{name}")
            if path in members:
                yield path
    yield from (
        path for path in inside if path.startswith((f"{info}/licenses/", f"{info}/license_files/"))
    )
    yield from (path for path in files if is_licence_name(path))


def parse_entry_points(raw: bytes) -> Iterable[EntryPoint]:
    """Yield the lines of an ``entry_points.txt``; nothing for one that can't be parsed."""
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    keep_case: Callable[[str], str] = str
    parser.optionxform = keep_case  # type: ignore[method-assign,assignment]
    try:
        parser.read_string(raw.decode("utf-8", "replace"))
    except configparser.Error:
        return
    for group in parser.sections():
        for name, value in parser.items(group):
            yield EntryPoint(group=group, name=name, value=value)
