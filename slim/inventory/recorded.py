"""Rows of RECORD that the installed files don't bear out: changed files, other forms of hash.

A user appends a company's CA to certifi's bundle, a library appends to its log, two distributions
install the same file, a wheel writes its digests in hexadecimal. None of that is slim's to mend:
such a file and its row stay as they are.

Sources: PyPA "Recording installed projects" and "Binary distribution format" (a hash is SHA-256 or
better, in URL-safe base64 without padding).
"""

from __future__ import annotations

import base64
import hashlib
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from slim.formats.base import Content, Member, Tree
from slim.formats.names import display
from slim.inventory.distributions import RecordRow, read_record
from slim.model.record import Distribution, EntryType, FileRecord

_SIZES: Final = {"sha256": 32, "sha384": 48, "sha512": 64}
"""Bytes of a digest by algorithm, for those that the specification allows."""
_MAX_LINKS: Final = 40
"""Links in a row that Linux follows at most; path_resolution(7)."""
_MAX_NAMES: Final = 3
"""Files that a warning names; the rest is counted."""


def row_for(row: RecordRow, sha256: bytes, size: int) -> RecordRow:
    """Return a row that is true of a new content (SHA-256 as bytes, size in bytes).

    What the row doesn't state, it doesn't state afterwards.
    """
    digest = base64.urlsafe_b64encode(sha256).rstrip(b"=").decode("ascii")
    return replace(
        row,
        digest=f"sha256={digest}" if row.digest else "",
        size=str(size) if row.digest or row.size else "",
    )


def follow(members: Mapping[str, Member], path: str) -> str | None:
    """Return the path in the layer whose bytes are read at ``path``; None where it leads out."""
    for _ in range(_MAX_LINKS):
        member = members.get(path)
        if member is None or member.type is EntryType.DIRECTORY:
            return None
        if member.type is EntryType.FILE:
            return path
        target = member.link_target or ""
        if member.type is EntryType.SYMLINK:
            target = posixpath.join(posixpath.dirname(path), target)
        path = posixpath.normpath(target)
    return None


def with_differing(
    distributions: Mapping[str, Distribution],
    tree: Tree,
    records: Mapping[str, FileRecord],
    *,
    lenient: bool = False,
) -> tuple[dict[str, Distribution], list[str]]:
    """Distributions of a layer with the rows that aren't true noted, and warnings about those.

    ``records`` are the layer's files. Bytecode is no warning: Python writes it again at will.
    """
    noted: dict[str, Distribution] = {}
    changed_paths: dict[str, list[str]] = {}
    other_paths: dict[str, list[str]] = {}
    for name, distribution in distributions.items():
        changed: list[str] = []
        other: list[str] = []
        for path, is_form in _differing(distribution, tree, records, lenient=lenient):
            (other if is_form else changed).append(path)
        noted[name] = replace(distribution, differing=frozenset([*changed, *other]))
        changed_paths[name] = [path for path in changed if not path.endswith(".pyc")]
        other_paths[name] = [path for path in other if not path.endswith(".pyc")]
    warnings = [
        warning
        for name, distribution in noted.items()
        for warning in (
            *_changed(distribution, changed_paths[name], noted.values()),
            *_other_form(distribution, other_paths[name]),
        )
    ]
    return noted, warnings


def _differing(
    distribution: Distribution,
    tree: Tree,
    records: Mapping[str, FileRecord],
    *,
    lenient: bool,
) -> Iterator[tuple[str, bool]]:
    """Yield the path of each row that isn't true, and True where its form of hash is the reason."""
    if not distribution.files:
        return
    rows = read_record(tree, distribution.info_dir, layer=distribution.layer, lenient=lenient)
    for row in rows:
        if row.path not in distribution.files:
            continue
        path = follow(tree.members, row.path)
        content = None if path is None else tree.members[path].content
        if path is None or content is None:
            continue
        form, is_true = judge(row, bytes.fromhex(records[path].sha256), content)
        if not form or not is_true:
            yield row.path, not form


def judge(row: RecordRow, sha256: bytes, content: Content) -> tuple[bool, bool]:
    """Return whether a row's form of hash is one that can be compared, and whether it is true.

    A row without a hash is true if its size is, or if it has none.
    """
    if not row.digest:
        return True, not row.size or (row.size.lstrip("0") or "0") == str(content.size)
    algorithm, _, text = row.digest.partition("=")
    size = _SIZES.get(algorithm)
    if size is None:
        return False, False
    bare = text.rstrip("=")
    try:
        stated = base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return False, False
    if len(stated) != size:
        return False, False
    if algorithm == "sha256":
        return True, stated == sha256
    state = hashlib.new(algorithm)
    for piece in content.chunks():
        state.update(piece)
    return True, stated == state.digest()


def _changed(
    distribution: Distribution, paths: list[str], installed: Iterable[Distribution]
) -> Iterator[str]:
    """Yield a warning about files that changed, and one about each other owner of such files."""
    own = [other for other in installed if other.name != distribution.name]
    left = list(paths)
    for other in own:
        shared = [path for path in left if path in other.files - other.differing]
        if shared:
            left = [path for path in left if path not in shared]
            yield (
                f"{_where(distribution)}: {other.name} installed {_files(shared, 'the same file')} "
                f"with another content: {_names(shared)}; {_stay(shared)}"
            )
    if left:
        yield (
            f"{_where(distribution)}: {_files(left, '1 file')} changed since the installation: "
            f"{_names(left)}; {_stay(left)}"
        )


def _other_form(distribution: Distribution, paths: list[str]) -> Iterator[str]:
    if paths:
        yield (
            f"{_where(distribution)}: {_files(paths, '1 file')} with a hash that can't be compared "
            f"(not SHA-256 or better in URL-safe base64): {_names(paths)}; {_stay(paths)}"
        )


def _where(distribution: Distribution) -> str:
    return display(f"{distribution.layer}/{distribution.info_dir}/RECORD")


def _files(paths: list[str], single: str) -> str:
    return single if len(paths) == 1 else f"{len(paths):,} files"


def _stay(paths: list[str]) -> str:
    if len(paths) == 1:
        return "it stays as it is, and so does its row"
    return "they stay as they are, and so do their rows"


def _names(paths: list[str]) -> str:
    shown = ", ".join(display(path) for path in paths[:_MAX_NAMES])
    more = len(paths) - _MAX_NAMES
    return f"{shown} and {more:,} more" if more > 0 else shown
