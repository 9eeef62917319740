"""Files whose digest or signature the stack holds beside RECORD: a changed byte would break them.

Modules that check themselves come with their digest: OpenSSL's and NSS's FIPS modules, IBM's ICC,
licence daemons. The digest lies in a file of its own beside them, or stands in a text of their
distribution.
"""

from __future__ import annotations

import base64
import hashlib
import posixpath
import re
from collections.abc import Iterator, Mapping

from slim.analysis import ReadFile
from slim.model.finding import Evidence
from slim.model.record import EntryType, FileRecord, Inventory, Owner, OwnerKind

_SIDECARS = (
    *(".sig", ".sign", ".asc", ".p7s", ".minisig", ".chk", ".hmac", ".digest"),
    *(".md5", ".sha1", ".sha256", ".sha384", ".sha512"),
)
_SIGNATURES_OF_FOLDERS = ("ICCSIG.txt", "iccsig.txt")
_LARGEST_TEXT = 1 << 20
"""Bytes of a file that is looked through for digests."""
_ALGORITHMS = {"md5": 16, "sha1": 20, "sha256": 32, "sha384": 48, "sha512": 64}
_TOKEN = re.compile(rb"(?<![0-9A-Za-z+/_])[0-9A-Za-z+/_-]{22,128}(?![0-9A-Za-z+/_-])={0,2}")
_PREFIX = re.compile(rb"\A(?:md5|sha\d{1,3})-")
_HEX = re.compile(rb"[0-9a-fA-F]+\Z")


class DigestBook:
    """Digests that files of a stack state, looked for when they are first asked for."""

    def __init__(self, inventory: Inventory, read: ReadFile) -> None:
        self._inventory = inventory
        self._read = read
        self._stated: dict[tuple[str, Owner], Mapping[bytes, str]] = {}

    def against_change(self, record: FileRecord) -> Evidence | None:
        """Return what states a file's digest or signs it, if anything does."""
        return self._in_folder(record) or self._in_text(record)

    def _in_folder(self, record: FileRecord) -> Evidence | None:
        folder, name = posixpath.split(record.path)
        files = self._inventory.records[record.layer]
        stems = {name, f".{name}", name.rpartition(".")[0]}
        for stem in sorted(stems - {""}):
            for suffix in _SIDECARS:
                path = posixpath.join(folder, stem + suffix)
                if path in files and path != record.path:
                    text = "signs it, or holds its digest"
                    return Evidence(kind="digest", text=text, file=f"{record.layer}/{path}")
        while True:
            for name in _SIGNATURES_OF_FOLDERS:
                path = posixpath.join(folder, name)
                if path in files:
                    text = "signs the libraries of its folder"
                    return Evidence(kind="digest", text=text, file=f"{record.layer}/{path}")
            if not folder:
                return None
            folder = posixpath.dirname(folder)

    def _in_text(self, record: FileRecord) -> Evidence | None:
        if record.owner.kind is not OwnerKind.DISTRIBUTION:
            return None
        key = (record.layer, record.owner)
        if key not in self._stated:
            self._stated[key] = dict(self._digests(record.layer, record.owner))
        stated = self._stated[key]
        sizes = {len(digest) for digest in stated}
        for algorithm, size in _ALGORITHMS.items():
            if size not in sizes:
                continue
            if algorithm == "sha256":
                digest = bytes.fromhex(record.sha256)
            else:
                content = self._read(record)
                digest = hashlib.new(algorithm, content, usedforsecurity=False).digest()
            if digest in stated:
                text = f"states its {algorithm.upper()}"
                return Evidence(kind="digest", text=text, file=stated[digest])
        return None

    def _digests(self, layer: str, owner: Owner) -> Iterator[tuple[bytes, str]]:
        """Yield what looks like a digest in the small files of a distribution, with their paths."""
        for record in self._inventory.records[layer].values():
            if (
                record.owner != owner
                or record.type is not EntryType.FILE
                or record.native is not None
                or not 0 < record.size <= _LARGEST_TEXT
                or record.path.endswith((".dist-info/RECORD", ".pyc"))
            ):
                continue
            content = self._read(record)
            if b"\0" in bytes(content[:1024]):
                continue
            for token in _TOKEN.findall(content):
                digest = _decoded(token)
                if digest is not None:
                    yield digest, record.deployed_path


def _decoded(token: bytes) -> bytes | None:
    """Return the digest that a word spells, in hexadecimal or base64; None for any other word."""
    token = _PREFIX.sub(b"", token)
    if len(token) // 2 in _ALGORITHMS.values() and not len(token) % 2 and _HEX.match(token):
        return bytes.fromhex(token.decode("ascii"))
    bare = token.rstrip(b"=")
    size = len(bare) * 3 // 4
    if size not in _ALGORITHMS.values() or len(bare) != -(-size * 4 // 3):
        return None
    try:
        return base64.urlsafe_b64decode(
            bare.translate(bytes.maketrans(b"+/", b"-_")) + b"=" * (-len(bare) % 4)
        )
    except ValueError:
        return None
