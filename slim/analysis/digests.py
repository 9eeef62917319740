"""Files whose digest or signature the stack holds beside RECORD: a changed byte would break them.

Modules that check themselves come with their digest: OpenSSL's and NSS's FIPS modules, IBM's ICC,
licence daemons. The digest lies in a file of its own (:mod:`slim.analysis.sidecars`), or stands in
a text: of their distribution, of the product itself, or of whoever pins them by SHA-256.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property, partial

from slim.analysis import ReadFile
from slim.analysis.ahead.crew import Wanted
from slim.analysis.digest_lists import NearName, hint_of, is_sum, sums_of, words_near
from slim.analysis.digest_words import (
    ALGORITHMS,
    HEAD,
    STATED,
    Stated,
    hexadecimal_words,
    stated_in,
)
from slim.analysis.linkage.virtual_tree import Way
from slim.analysis.readings import Readings
from slim.analysis.remembering import Form
from slim.analysis.sidecars import Sidecars
from slim.model.finding import Evidence
from slim.model.record import (
    UNOWNED,
    EntryType,
    FileKey,
    FileRecord,
    Inventory,
    Owner,
    OwnerKind,
)
from slim.system.hashing import digests_of_pieces
from slim.system.mapped import pieces_of

_CODE = (".py", ".pyw")
_ARCHIVES = (".whl", ".a")
_Listed = Mapping[bytes, Sequence[tuple[str, NearName]]]
"""What texts say beside a name, by that name, each with the text's path."""
_CONDAS = re.compile(r"(?:.*/)?conda-meta/[^/]+\.json\Z")
"""What conda keeps of its packages, as pip does in RECORD."""
_LARGEST_TEXT = 1 << 20
"""Bytes of a file that is looked through for digests."""
_LARGEST_LIST = 32 << 20
"""Bytes of a list of sums that is looked through for SHA-256s, by its name."""
_LISTS = (
    *(".json", ".xml", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf", ".properties"),
    *(".txt", ".csv", ".tsv", ".manifest", ".list", ".lst", ".files", ".index", "SUMS", "sums"),
)
_LARGEST_BINARIES = 32 << 20
"""Bytes of an owner's small binary files that are searched, the smallest files first."""
_IN_BINARY = ("sha256", "sha1", "sha512")
_HEAD = 12
"""Characters of the shortest beginning of a SHA-256, in hexadecimal, that is looked for alone."""
_PINS = "states its SHA-256"


_DIGEST: Form[bytes] = Form("digest", bytes.hex, bytes.fromhex)
_SUMS: Form[tuple[int, int]] = Form("sums", list, lambda stored: (int(stored[0]), int(stored[1])))


class DigestBook:
    """Digests that files of a stack state, looked for when they are first asked for.

    ``links`` gives the ways of the stack's symbolic links.
    """

    def __init__(
        self,
        inventory: Inventory,
        read: ReadFile,
        readings: Readings | None = None,
        links: Callable[[], Iterable[Way]] = tuple,
    ) -> None:
        self._inventory = inventory
        self._sidecars = Sidecars(inventory, links)
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
            or self._elsewhere(record)
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

    def _sums_of(self, record: FileRecord) -> tuple[int, int]:
        return sums_of(pieces_of(self._read(record)))

    def stating_sha256(self, record: FileRecord) -> Evidence | None:
        """Return the small file of a file's owner that states its SHA-256, if there is one."""
        digest = bytes.fromhex(record.sha256)
        for stated in self._stated_by(record.layer, record.owner).values() if digest else ():
            if digest in stated:
                return Evidence(kind="digest", text=_PINS, file=stated[digest])
        return None

    def _in_folder(self, record: FileRecord) -> Evidence | None:
        found = self._sidecars.of(record)
        if found is None:
            return None
        return Evidence(kind="digest", text=found[1], file=found[0].deployed_path)

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

    def _elsewhere(self, record: FileRecord) -> Evidence | None:
        """Return the text of the product or of another distribution that pins a file's SHA-256."""
        path = self._pinned.get(record.sha256.encode())
        return None if path is None else Evidence(kind="digest", text=_PINS, file=path)

    @cached_property
    def _pinned(self) -> Mapping[bytes, str]:
        """The texts that state the SHA-256 of a native file or archive, by that, in small letters.

        All texts but those of the runtime are searched for it, in hexadecimal, or for its
        beginning. Those of no distribution are the product's own, which may have any spelling.
        """
        wanted: dict[bytes, set[bytes]] = {}
        for record in filter(_may_change, self._inventory):
            digest = record.sha256.encode()
            wanted.setdefault(digest[:_HEAD], set()).add(digest)
        found: dict[bytes, str] = {}
        for layer, owner in self._inventory.by_owner:
            if owner == UNOWNED:
                for digest, path in self._stated_by(layer, owner)[True].items():
                    found.setdefault(digest.hex().encode(), path)
            if owner.kind is not OwnerKind.RUNTIME:
                for record in self._small_files(layer, owner, _LARGEST_LIST):
                    for word in hexadecimal_words(bytes(self._read(record)), _HEAD):
                        for digest in wanted.get(word[:_HEAD], ()):
                            if digest.startswith(word):
                                found.setdefault(digest, record.deployed_path)
        return found

    def _in_list(self, record: FileRecord) -> Evidence | None:
        """Return the text that says how long a file is, a sum of it, or what may be its digest."""
        if not record.size:
            return None
        owners = [(layer, UNOWNED) for layer in self._inventory.records]
        if record.owner.kind is OwnerKind.DISTRIBUTION:
            owners.insert(0, (record.layer, record.owner))
        for layer, owner in owners:
            listed = self._listed_by(layer, owner)
            for name in dict.fromkeys(map(_name, self._sidecars.names_of(record))):
                for path, near in listed.get(name, ()):
                    text = self._claim_of(record, near)
                    if text:
                        return Evidence(kind="digest", text=text, file=path)
        return None

    def _claim_of(self, record: FileRecord, near: NearName) -> str:
        """Return what a text says of a file that it names, in words; empty for nothing."""

        def digests() -> Mapping[str, bytes]:
            return {name: self._digest(record, name, tuple(ALGORITHMS)) for name in ALGORITHMS}

        def sums() -> Iterable[int]:
            return self._readings.of_record(_SUMS, record, partial(self._sums_of, record))

        if is_sum(near.words, record.size, record.sha256, sums, digests):
            return "states its size, or a sum of it"
        if near.is_checked:
            return "names it, and compares digests or sizes of files"
        return "names it beside what may be its digest or signature" if near.has_digest else ""

    def _listed_by(self, layer: str, owner: Owner) -> _Listed:
        """Return what an owner's small texts say of native files and archives, by name.

        Those of a distribution speak of its own files, those of none of any file.
        """
        if (layer, owner) not in self._lists:
            listed: dict[bytes, list[tuple[str, NearName]]] = {}
            names = self._all_names if owner == UNOWNED else self._names_of(layer, owner)
            hints = frozenset(map(hint_of, names))
            for record in self._small_files(layer, owner) if names else ():
                if ".dist-info/" not in record.path and not self._is_binary(record):
                    content, is_code = bytes(self._read(record)), record.path.endswith(_CODE)
                    for name, near in words_near(content, names, hints, is_code=is_code):
                        listed.setdefault(name, []).append((record.deployed_path, near))
            self._lists[layer, owner] = listed
        return self._lists[layer, owner]

    def _names_of(self, layer: str, owner: Owner) -> frozenset[bytes]:
        records = filter(_may_change, self._inventory.by_owner.get((layer, owner), ()))
        return frozenset(
            _name(name) for record in records for name in self._sidecars.names_of(record)
        )

    @cached_property
    def _all_names(self) -> frozenset[bytes]:
        return frozenset().union(
            *(self._names_of(layer, owner) for layer, owner in self._inventory.by_owner)
        )

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

    def _small_files(
        self, layer: str, owner: Owner, largest: int = _LARGEST_TEXT
    ) -> Iterator[FileRecord]:
        """Yield an owner's files that may be texts; larger ones only under the name of a list."""
        for record in self._inventory.by_owner.get((layer, owner), ()):
            limit = largest if record.path.endswith(_LISTS) else _LARGEST_TEXT
            if (
                record.type is EntryType.FILE
                and record.native is None
                and 0 < record.size <= limit
                and not record.path.endswith(".dist-info/RECORD")
                and not (record.path.endswith(".pyc") and "__pycache__" in record.path)
                and _CONDAS.match(record.path) is None
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


def _may_change(record: FileRecord) -> bool:
    """Return whether a file is one that slim may edit: native, or an archive."""
    return record.native is not None or record.path.endswith(_ARCHIVES)


def _name(record: FileRecord) -> bytes:
    return posixpath.basename(record.path).encode("utf-8", "surrogateescape")
