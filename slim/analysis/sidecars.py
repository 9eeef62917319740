"""Signatures and digests in files of their own, by the name of what they are of.

Such a file lies beside the file that it is of, beside a link to it, in a folder of signatures of
the same distribution, or beside a folder whose files it is of together.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property

from slim.analysis.linkage.virtual_tree import Way
from slim.model.record import UNOWNED, EntryType, FileKey, FileRecord, Inventory, Owner

_SUFFIXES = (
    *(".sig", ".sign", ".asc", ".p7s", ".minisig", ".chk", ".hmac", ".digest"),
    *(".p7", ".p7b", ".p7m", ".cms", ".tsr", ".sigstore", ".sigstore.json", ".intoto.jsonl"),
    *(".md5", ".sha1", ".sha224", ".sha256", ".sha384", ".sha512", ".sha3", ".b2", ".b3"),
    *(".checksum", ".hash", ".sum", ".crc", ".crc32", ".sfv", ".xxh", ".blake2", ".blake3"),
    *(".signature", ".jws", ".jwt", ".ed25519", ".gpg", ".pgp", ".cosign", ".cosign.bundle"),
    *(".fsv_sig", ".fsverity", ".sha256sum", ".sha512sum", ".sha1sum", ".md5sum", ".b2sum"),
    *(".mac", ".cat", ".att", ".adler32", ".sha3-256", ".sm3"),
)
_FIPS_CONFIGURATION = "fipsmodule.cnf"
"""Holds the MAC of OpenSSL's FIPS provider, wherever it lies (man page fips_config)."""
_FIPS_PROVIDER = "fips."
_SIGNATURES_OF_FOLDERS = ("ICCSIG.txt", "iccsig.txt")


class Sidecars:
    """A search for such files. ``links`` gives the ways of the stack's symbolic links."""

    def __init__(self, inventory: Inventory, links: Callable[[], Iterable[Way]] = tuple) -> None:
        self._inventory = inventory
        self._links = links

    def names_of(self, record: FileRecord) -> Iterator[FileRecord]:
        """Yield a file, and the links under whose names it is there as well."""
        yield record
        yield from self._others.get(record.key, ())

    def of(self, record: FileRecord) -> tuple[FileRecord, str] | None:
        """Return the file that signs a file or holds its digest, and what it does, in words."""
        for name in self.names_of(record):
            found = self._next_to(name) or self._of_folder(name)
            if found is not None and found[0].key != record.key:
                return found
        return self._in_other_folder(record) or self._of_fips_provider(record)

    def _next_to(self, record: FileRecord) -> tuple[FileRecord, str] | None:
        folder, name = posixpath.split(record.path)
        for stem in sorted({name, f".{name}", name.rpartition(".")[0]} - {""}):
            found = self._by_stem.get((record.layer, posixpath.join(folder, stem)))
            if found is not None and found.key != record.key:
                return found, "signs it, or holds its digest"
        return None

    def _of_folder(self, record: FileRecord) -> tuple[FileRecord, str] | None:
        files = self._inventory.records[record.layer]
        folder = posixpath.dirname(record.path)
        while True:
            for name in _SIGNATURES_OF_FOLDERS:
                found = files.get(posixpath.join(folder, name))
                if found is not None:
                    return found, "signs the libraries of its folder"
            if not folder:
                return None
            found = self._by_stem.get((record.layer, folder))
            if found is not None:
                return found, "signs its folder, or holds its digest"
            folder = posixpath.dirname(folder)

    def _in_other_folder(self, record: FileRecord) -> tuple[FileRecord, str] | None:
        for name in map(_name, self.names_of(record)):
            for owner in (record.owner, UNOWNED):
                found = self._by_name.get((record.layer, owner, name))
                if found is not None and found.key != record.key:
                    return found, "is called like a signature or digest of it"
        return None

    def _of_fips_provider(self, record: FileRecord) -> tuple[FileRecord, str] | None:
        if not _name(record).startswith(_FIPS_PROVIDER):
            return None
        for path, found in self._inventory.records[record.layer].items():
            if posixpath.basename(path) == _FIPS_CONFIGURATION:
                return found, "holds the MAC of the FIPS provider"
        return None

    @cached_property
    def _sidecars(self) -> list[tuple[FileRecord, str]]:
        """Every such file, with the path of what it is of."""
        return [
            (record, record.path[: -len(suffix)])
            for record in self._inventory
            if record.path.endswith(_SUFFIXES)
            and record.type is not EntryType.DIRECTORY
            and ".dist-info/" not in record.path
            for suffix in _SUFFIXES
            if record.path.endswith(suffix)
        ]

    @cached_property
    def _by_stem(self) -> dict[tuple[str, str], FileRecord]:
        return {(record.layer, stem): record for record, stem in reversed(self._sidecars)}

    @cached_property
    def _by_name(self) -> dict[tuple[str, Owner, str], FileRecord]:
        return {
            (record.layer, record.owner, posixpath.basename(stem)): record
            for record, stem in reversed(self._sidecars)
        }

    @cached_property
    def _others(self) -> dict[FileKey, list[FileRecord]]:
        """The links that lead to each file, of both sorts, by the file's key."""
        found: dict[FileKey, list[FileRecord]] = {}
        for record in self._inventory:
            if record.type is EntryType.HARDLINK and record.link_target is not None:
                found.setdefault((record.layer, record.link_target), []).append(record)
        for way in self._links():
            for record in way.records:
                if record.type is EntryType.FILE:
                    found.setdefault(record.key, []).append(way.link)
        return found


def _name(record: FileRecord) -> str:
    return posixpath.basename(record.path)
