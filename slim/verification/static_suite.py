"""Check ``links`` where nothing is run: a suite whose deployment is a set of removed files."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Self

from slim.analysis.linkage.graph import BrokenLink, Linkage
from slim.formats.base import Member
from slim.model.record import FileKey
from slim.model.verify import Broken, Subject


@dataclass(kw_only=True)
class StaticSuite:
    """Libraries that resolve with some removals taken back. Its ``after`` is itself."""

    linkage: Linkage
    gone: Collection[FileKey]
    back: set[FileKey] = field(default_factory=set)

    @property
    def after(self) -> Self:
        """Deployment that files are put into."""
        return self

    def put(self, member: Member, layer: str) -> None:
        """Put the file back."""
        self.back.add((layer, member.path))

    def take_back(self, key: FileKey) -> None:
        """Take the file away again."""
        self.back.discard(key)

    def broken(self) -> list[Broken]:
        """List every link that resolved in the original and doesn't now."""
        return [_broken(link) for link in self.linkage.broken_links(set(self.gone) - self.back)]

    def still_broken(self, broken: Sequence[Broken]) -> list[Broken]:
        """List those of ``broken`` that are broken now."""
        wanted = {one.subject for one in broken}
        return [one for one in self.broken() if one.subject in wanted]


def _broken(link: BrokenLink) -> Broken:
    name = f"{link.record.path} needs {link.name} in a process of {link.context}"
    return Broken(
        subject=Subject(check="links", layer=link.record.layer, name=name),
        before=f"found {link.target.deployed_path}",
        after=f"{link.target.deployed_path} isn't found",
    )
