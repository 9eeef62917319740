"""Trees out of raw members, whatever container they were found in.

Every reader (tar, zip, folder) comes through here, so that all of them refuse the same things.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass

from slim.errors import LimitError, UnsafeInputError
from slim.formats.base import Content, Member, ReadOptions, Tree
from slim.formats.links import End, LinkResolver
from slim.formats.names import check_platform, display, fold, normalise
from slim.model.record import EntryType

PERMISSIONS = 0o777

_HINT = "build the archive again; it can't be unpacked the same way everywhere"


@dataclass(frozen=True, slots=True, kw_only=True)
class RawMember:
    """A member as its container states it.

    ``name`` and ``link`` are unchecked; ``mode`` may hold more than the permission bits; ``mtime``
    is in seconds since 1970, ``size`` in bytes. ``link`` of a hard link is the name of another
    member.
    """

    name: str
    type: EntryType
    mode: int
    mtime: int
    size: int = 0
    link: str | None = None
    content: Content | None = None


class Warnings:
    """Collects warnings, at most a few of each sort, so that a report stays readable."""

    MAX_EACH = 3

    def __init__(self) -> None:
        self._named: dict[str, list[str]] = {}
        self._counts: dict[str, int] = {}

    def add(self, what: str, place: str) -> None:
        """Note one more member (``place``, already safe to print) that ``what`` is true of."""
        names = self._named.setdefault(what, [])
        if len(names) < self.MAX_EACH:
            names.append(place)
        self._counts[what] = self._counts.get(what, 0) + 1

    def lines(self) -> list[str]:
        """One sentence for each sort."""
        found = []
        for what, names in self._named.items():
            more = self._counts[what] - len(names)
            found.append(f"{what}: {', '.join(names)}" + (f" and {more} more" if more else ""))
        return found


class Assembler:
    """Takes raw members in order, and gives the tree.

    ``top`` is the name that the folder being read has in its parent, for a folder; None for an
    archive, whose common top folder is found out. Raises UnsafeInputError, or LimitError past the
    member cap.
    """

    def __init__(self, source: object, options: ReadOptions, *, top: str | None = None) -> None:
        self.source = source
        self.options = options
        self.warnings = Warnings()
        self._is_folder = top is not None
        self._top = top
        self._system = str(options.platform.system) if options.platform else ""
        self._folds = options.platform is not None and options.platform.folds_names
        self._raw: dict[str, RawMember] = {}
        self._spelled: dict[str, str] = {}
        self._folders: set[str] = set()

    def add(self, raw: RawMember) -> None:
        """Check one member's name and add it."""
        limits = self.options.limits
        path = normalise(raw.name, source=self.source, limits=limits)
        place = display(path or raw.name)
        if path == "" and raw.type is not EntryType.DIRECTORY:
            raise UnsafeInputError(
                "the root isn't a folder", file=self.source, place=place, hint=_HINT
            )
        if raw.name.endswith("/") and raw.type is not EntryType.DIRECTORY:
            raise UnsafeInputError(
                "the name of a folder on something else", file=self.source, place=place, hint=_HINT
            )
        if path in self._raw:
            raise UnsafeInputError(
                "two members have this name", file=self.source, place=place, hint=_HINT
            )
        if len(self._raw) >= limits.members:
            raise LimitError(
                f"more than {limits.members} members",
                file=self.source,
                hint="raise the limit on the number of members",
            )
        check_platform(path, self.options.platform, source=self.source)
        self._claim(path)
        self._raw[path] = raw

    def _claim(self, path: str) -> None:
        """Note how a path and its folders are spelled.

        Two names that the target system takes for one are refused.
        """
        first = True
        while path:
            if not first:
                if path in self._folders:
                    return
                self._folders.add(path)
            first = False
            if self._folds:
                other = self._spelled.setdefault(fold(path), path)
                if other != path:
                    raise UnsafeInputError(
                        f"the name is the same as {display(other)} on {self._system}",
                        file=self.source,
                        place=display(path),
                        hint="rename one of them in the package that brings it",
                    )
            path = path.rpartition("/")[0]

    def finish(self, *, format_name: str, resources: ExitStack) -> Tree:
        """Check what concerns several members, and return the tree, which owns ``resources``."""
        root = "" if self._is_folder else self._common_root()
        prefix = f"{root}/" if root else ""
        root_raw = self._raw.get(root)
        members: dict[str, Member] = {}
        for path, raw in self._raw.items():
            if path in self._folders and raw.type is not EntryType.DIRECTORY:
                raise UnsafeInputError(
                    f"there are members below this {raw.type}",
                    file=self.source,
                    place=display(path),
                    hint=_HINT,
                )
            if path in ("", root):
                continue
            relative = path.removeprefix(prefix)
            members[relative] = self._member(relative, raw, prefix, members)
        self._check_links(members, root)
        root_member = self._member("", root_raw, prefix, members) if root_raw else None
        return Tree(
            root=root,
            format=format_name,
            members=members,
            root_member=root_member,
            warnings=self.warnings.lines(),
            resources=resources,
        )

    def _common_root(self) -> str:
        """The one folder that every member lies under, or ``""``."""
        tops = {path.partition("/")[0] for path in self._raw if path}
        if len(tops) != 1:
            return ""
        (top,) = tops
        is_folder = top in self._folders or self._raw[top].type is EntryType.DIRECTORY
        return top if is_folder else ""

    def _member(self, path: str, raw: RawMember, prefix: str, earlier: dict[str, Member]) -> Member:
        mode = raw.mode & PERMISSIONS
        if raw.mode & ~PERMISSIONS & 0o7777:
            self.warnings.add("setuid, setgid or sticky bit dropped", display(path or "."))
        link = raw.link
        if raw.type is EntryType.HARDLINK:
            link = self._hard_link(path, raw.link or "", prefix, earlier)
        return Member(
            path=path,
            type=raw.type,
            mode=mode,
            mtime=raw.mtime,
            size=raw.size,
            link_target=link,
            content=raw.content,
        )

    def _hard_link(self, path: str, name: str, prefix: str, earlier: dict[str, Member]) -> str:
        """The path in the tree that a hard link names: an earlier regular file."""
        target = normalise(name, source=self.source, limits=self.options.limits)
        found = earlier.get(target.removeprefix(prefix)) if target.startswith(prefix) else None
        if found is None or found.type is not EntryType.FILE:
            raise UnsafeInputError(
                f"the hard link's target {display(name)} isn't a regular file that comes before it",
                file=self.source,
                place=display(path),
                hint=_HINT,
            )
        return found.path

    def _check_links(self, members: dict[str, Member], root: str) -> None:
        key = fold if self._folds else _same
        strip = len(root) + 1 if root else 0
        links = {
            key(member.path): member.link_target or ""
            for member in members.values()
            if member.type is EntryType.SYMLINK
        }
        if not links:
            return
        present = {key(path) for path in members}
        present.update(key(path[strip:]) for path in self._folders)
        top = (self._top or root or None) if self.options.siblings else None
        resolver = LinkResolver(
            source=self.source,
            links=links,
            exists=present.__contains__,
            key=key,
            top=top,
            platform=self.options.platform,
        )
        for member in members.values():
            if member.type is not EntryType.SYMLINK:
                continue
            shown = display(f"{member.path} -> {member.link_target}")
            try:
                if resolver.resolve(member.path) is End.DANGLING:
                    self.warnings.add("symbolic link to nothing", shown)
            except UnsafeInputError:
                if not self.options.anywhere:
                    raise
                self.warnings.add(
                    "symbolic link that leads outside or in circles, kept as it is", shown
                )


def _same(name: str) -> str:
    return name


def check_again(
    tree: Tree, source: object, options: ReadOptions, *, top: str | None = None
) -> None:
    """Check a tree that was read before the platform was known, now that ``options`` give it.

    That concerns names that collide or don't exist there, and where links lead. ``top`` is as for
    :class:`Assembler`. Raises UnsafeInputError.
    """
    reassemble(tree, tree.members.values(), source, options, top=top)


def assemble(
    source: object,
    raw: Iterable[RawMember],
    options: ReadOptions,
    *,
    format_name: str,
    resources: ExitStack,
    top: str | None = None,
) -> Tree:
    """Check the members and return the tree; see :class:`Assembler`."""
    assembler = Assembler(source, options, top=top)
    for member in raw:
        assembler.add(member)
    return assembler.finish(format_name=format_name, resources=resources)


def reassemble(
    tree: Tree,
    members: Iterable[Member],
    source: object,
    options: ReadOptions,
    *,
    top: str | None = None,
) -> Tree:
    """A tree with other members than ``tree``, which are checked as those of any input are.

    Contents stay those of whatever they were read from, which has to stay open. ``top`` is as for
    :class:`Assembler`.
    """
    prefix = f"{tree.root}/" if tree.root else ""
    everything = [] if tree.root_member is None else [tree.root_member]
    raw = (
        RawMember(
            name=(prefix + member.path).removesuffix("/") or ".",
            type=member.type,
            mode=member.mode,
            mtime=member.mtime,
            size=member.size,
            link=f"{prefix}{member.link_target}"
            if member.type is EntryType.HARDLINK
            else member.link_target,
            content=member.content,
        )
        for member in (*everything, *members)
    )
    return assemble(source, raw, options, format_name=tree.format, resources=ExitStack(), top=top)
