"""Files whose digest or signature the stack holds beside RECORD: a changed byte would break them.

Modules that check themselves come with their digest: OpenSSL's and NSS's FIPS modules, IBM's ICC,
licence daemons. The digest lies in a file of its own beside them, or stands in a text of their
distribution.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial, reduce
from zlib import crc32

from slim.analysis import ReadFile
from slim.analysis.ahead.crew import Wanted
from slim.analysis.digest_words import (
    ALGORITHMS,
    HEAD,
    STATED,
    Stated,
    hint_of,
    stated_in,
    words_near,
)
from slim.analysis.readings import Readings
from slim.analysis.remembering import Form
from slim.model.finding import Evidence
from slim.model.record import EntryType, FileKey, FileRecord, Inventory, Owner, OwnerKind
from slim.system.hashing import digests_of_pieces
from slim.system.mapped import pieces_of

_SIDECARS = (
    *(".sig", ".sign", ".asc", ".p7s", ".minisig", ".chk", ".hmac", ".digest"),
    *(".p7", ".p7b", ".p7m", ".cms", ".tsr", ".sigstore", ".sigstore.json", ".intoto.jsonl"),
    *(".md5", ".sha1", ".sha224", ".sha256", ".sha384", ".sha512", ".sha3", ".b2", ".b3"),
    *(".checksum", ".hash", ".sum", ".crc", ".crc32", ".sfv", ".xxh", ".blake2", ".blake3"),
    *(".signature", ".jws", ".jwt", ".ed25519", ".gpg", ".pgp", ".cosign", ".cosign.bundle"),
)
_LISTS = (
    *(".json", ".xml", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf", ".properties"),
    *(".txt", ".csv", ".tsv", ".manifest", ".list", ".lst", ".files", ".index"),
)
_ARCHIVES = (".whl", ".a")
_Listed = Mapping[bytes, Sequence[tuple[str, frozenset[bytes]]]]
"""Lists that have a name, and the words around it, by that name."""
_FIPS_CONFIGURATION = "fipsmodule.cnf"
"""Holds the MAC of OpenSSL's FIPS provider, wherever it lies (man page fips_config)."""
_FIPS_PROVIDER = "fips."
_SIGNATURES_OF_FOLDERS = ("ICCSIG.txt", "iccsig.txt")
_LARGEST_TEXT = 1 << 20
"""Bytes of a file that is looked through for digests."""
_LARGEST_BINARIES = 32 << 20
"""Bytes of an owner's small binary files that are searched, the smallest files first."""
_IN_BINARY = ("sha256", "sha1", "sha512")


_DIGEST: Form[bytes] = Form("digest", bytes.hex, bytes.fromhex)


class DigestBook:
    """Digests that files of a stack state, looked for when they are first asked for."""

    def __init__(
        self, inventory: Inventory, read: ReadFile, readings: Readings | None = None
    ) -> None:
        self._inventory = inventory
        self._read = read
        self._readings = readings or Readings()
        self._stated: dict[tuple[str, Owner], Mapping[bool, Mapping[bytes, str]]] = {}
        self._binaries: dict[tuple[str, Owner], list[FileRecord]] = {}
        self._contents: tuple[tuple[str, Owner], list[tuple[FileRecord, bytes]]] | None = None
        self._lists: dict[tuple[str, Owner], _Listed] = {}
        self._is_text: dict[FileKey, bool] = {}
        self._made: tuple[FileKey, Mapping[str, bytes]] | None = None
        self._begun: dict[FileKey, Future[Mapping[str, bytes]]] = {}

    def against_change(self, record: FileRecord) -> Evidence | None:
        """Return what states a file's digest or signs it, if anything does."""
        return (
            self._in_folder(record)
            or self._in_text(record)
            or self._in_binary(record)
            or self._in_list(record)
        )

    @contextmanager
    def ahead(self) -> Iterator[Callable[[FileRecord], None]]:
        """Give what has a file's digests made in the background, before they are asked for.

        Hashing doesn't hold the interpreter's lock, so that this thread goes on meanwhile. What
        wasn't begun by the end of the block is left out.
        """
        with ThreadPoolExecutor(max_workers=1) as thread:
            try:
                yield partial(self._begin, thread)
            finally:
                for begun in self._begun.values():
                    begun.cancel()
                self._begun.clear()

    def _begin(self, thread: ThreadPoolExecutor, record: FileRecord) -> None:
        if record.key in self._begun or self._in_folder(record) is not None:
            return
        wanted = {
            algorithm
            for algorithm in (*self._stated_for(record), *self._held_for(record))
            if algorithm != "sha256" and not self._readings.knows(_DIGEST, record, algorithm)
        }
        if wanted:
            self._begun[record.key] = thread.submit(self._digests_of, record, wanted)

    def _digests_of(self, record: FileRecord, wanted: Collection[str]) -> Mapping[str, bytes]:
        return digests_of_pieces(pieces_of(self._read(record)), wanted)

    def stating_sha256(self, record: FileRecord) -> Evidence | None:
        """Return the small file of a file's owner that states its SHA-256, if there is one."""
        digest = bytes.fromhex(record.sha256)
        for stated in self._stated_by(record.layer, record.owner).values() if digest else ():
            if digest in stated:
                return Evidence(kind="digest", text="states its SHA-256", file=stated[digest])
        return None

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
        if name.startswith(_FIPS_PROVIDER):
            for path in files:
                if posixpath.basename(path) == _FIPS_CONFIGURATION:
                    text = "holds the MAC of the FIPS provider"
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

    def _stated_for(self, record: FileRecord) -> Collection[str]:
        """Return the algorithms of which a text of a file's owner may state the digest."""
        if record.owner.kind is OwnerKind.RUNTIME:
            return ()
        sizes = {len(digest) for digest in self._stated_by(record.layer, record.owner)[True]}
        return [name for name, size in ALGORITHMS.items() if size in sizes]

    def _in_text(self, record: FileRecord) -> Evidence | None:
        possible = self._stated_for(record)
        if self._held_for(record):  # not of a runtime, whose files aren't read for it
            in_binary = self._stated_by(record.layer, record.owner)[False]
            if (digest := bytes.fromhex(record.sha256)) in in_binary:
                return Evidence(kind="digest", text="states its SHA256", file=in_binary[digest])
        for algorithm in possible:
            stated = self._stated_by(record.layer, record.owner)[True]
            digest = self._digest(record, algorithm, possible)
            if digest in stated:
                text = f"states its {algorithm.upper()}"
                return Evidence(kind="digest", text=text, file=stated[digest])
        return None

    def _held_for(self, record: FileRecord) -> Collection[str]:
        """Return the algorithms of which a small binary file may hold the digest."""
        if record.owner.kind is OwnerKind.RUNTIME:
            return ()
        others = self._small_binaries(record.layer, record.owner)
        return _IN_BINARY if any(other.key != record.key for other in others) else ()

    def _in_binary(self, record: FileRecord) -> Evidence | None:
        """Return the small binary file of the same owner that holds a digest byte for byte."""
        for algorithm in self._held_for(record):
            digest = self._digest(record, algorithm, _IN_BINARY)
            for other, content in self._contents_of(record.layer, record.owner):
                if digest in content and other.key != record.key:
                    text = f"states its {algorithm.upper()}"
                    return Evidence(kind="digest", text=text, file=other.deployed_path)
        return None

    def _in_list(self, record: FileRecord) -> Evidence | None:
        """Return the list of the same owner that says how long a file is, or a sum of it.

        Sums are the CRC-32, which is only made where the name stands, and the beginning of the
        SHA-256.
        """
        if record.owner.kind is OwnerKind.RUNTIME or not record.size:
            return None
        found = self._listed_by(record.layer, record.owner).get(_name(record), ())
        if not found:
            return None
        crc = reduce(lambda sum_, piece: crc32(piece, sum_), pieces_of(self._read(record)), 0)
        sums = {b"%d" % record.size, b"%d" % crc, b"%08x" % crc}
        begun = record.sha256[:8].encode()
        for path, words in found:
            if words & sums or any(word.startswith(begun) for word in words):
                text = "states its size, or a sum of it"
                return Evidence(kind="digest", text=text, file=path)
        return None

    def _listed_by(self, layer: str, owner: Owner) -> _Listed:
        """Return what an owner's small texts say of its native files and archives, by name."""
        if (layer, owner) not in self._lists:
            listed: dict[bytes, list[tuple[str, frozenset[bytes]]]] = {}
            names = {
                _name(record)
                for record in self._inventory.by_owner.get((layer, owner), ())
                if record.native is not None or record.path.endswith(_ARCHIVES)
            }
            hints = frozenset(map(hint_of, names))
            for record in self._small_files(layer, owner) if names else ():
                if record.path.endswith(_LISTS) and ".dist-info/" not in record.path:
                    for name, words in words_near(bytes(self._read(record)), names, hints):
                        listed.setdefault(name, []).append((record.deployed_path, words))
            self._lists[layer, owner] = listed
        return self._lists[layer, owner]

    def _small_binaries(self, layer: str, owner: Owner) -> list[FileRecord]:
        """Return the small binary files of an owner, the smallest first."""
        if (layer, owner) not in self._binaries:
            found: list[FileRecord] = []
            left = _LARGEST_BINARIES
            for record in sorted(self._small_files(layer, owner), key=lambda record: record.size):
                if record.size > left:
                    break
                if self._is_binary(record):
                    left -= record.size
                    found.append(record)
            self._binaries[layer, owner] = found
        return self._binaries[layer, owner]

    def _contents_of(self, layer: str, owner: Owner) -> list[tuple[FileRecord, bytes]]:
        """Return an owner's small binary files with their bytes. Only the last owner's are kept."""
        if self._contents is None or self._contents[0] != (layer, owner):
            found = self._small_binaries(layer, owner)
            self._contents = ((layer, owner), [(each, bytes(self._read(each))) for each in found])
        return self._contents[1]

    def _digest(self, record: FileRecord, algorithm: str, among: Collection[str]) -> bytes:
        """The digest of a file; where it isn't known, it is made with the others that are asked."""
        if algorithm == "sha256":
            return bytes.fromhex(record.sha256)

        def make() -> bytes:
            if self._made is None or self._made[0] != record.key or algorithm not in self._made[1]:
                begun = self._begun.get(record.key)
                made = {} if begun is None else begun.result()
                if algorithm not in made:
                    made = self._digests_of(record, [name for name in among if name != "sha256"])
                self._made = (record.key, made)
            return self._made[1][algorithm]

        return self._readings.of_record(_DIGEST, record, make, algorithm)

    def _is_binary(self, record: FileRecord) -> bool:
        if record.path.endswith(".pyc"):
            return b"\0" in bytes(self._read(record)[:HEAD])
        if record.key not in self._is_text:
            self._stated_in(record)
        return not self._is_text[record.key]

    def _small_files(self, layer: str, owner: Owner) -> Iterator[FileRecord]:
        for record in self._inventory.by_owner.get((layer, owner), ()):
            if (
                record.type is EntryType.FILE
                and record.native is None
                and 0 < record.size <= _LARGEST_TEXT
                and not record.path.endswith(".dist-info/RECORD")
                and not (record.path.endswith(".pyc") and "__pycache__" in record.path)
            ):
                yield record

    def _stated_by(self, layer: str, owner: Owner) -> Mapping[bool, Mapping[bytes, str]]:
        """Return what looks like a digest in the small texts of an owner, with their paths.

        Those of its texts are at True, those of its binary files at False.
        """
        if (layer, owner) not in self._stated:
            found: dict[bool, dict[bytes, str]] = {True: {}, False: {}}
            files = list(self._small_files(layer, owner))
            self._readings.ahead(map(self._wanted, files))
            for record in files:
                stated = self._stated_in(record)
                for digest in stated.digests:
                    found[stated.is_text][digest] = record.deployed_path
            self._stated[layer, owner] = found
        return self._stated[layer, owner]

    def _stated_in(self, record: FileRecord) -> Stated:
        wanted = self._wanted(record)
        found = self._readings.of_record(
            STATED, record, lambda: stated_in(wanted.read(), wanted.variant), wanted.variant
        )
        self._is_text[record.key] = found.is_text
        return found

    def _wanted(self, record: FileRecord) -> Wanted:
        variant = "bytecode" if record.path.endswith(".pyc") else ""
        return Wanted.of(STATED.name, variant, record, self._read)


def _name(record: FileRecord) -> bytes:
    return posixpath.basename(record.path).encode("utf-8", "surrogateescape")
