"""Contents of edited files: a recipe over the original's bytes, applied whenever it is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from slim.errors import IntegrityError
from slim.formats.base import Content
from slim.formats.files import IN_MEMORY
from slim.formats.spool import Spool
from slim.model.recipe import Recipe
from slim.system.mapped import passing


@dataclass(frozen=True, slots=True)
class EditedContent:
    """A file as an editor leaves it. Holds the recipe alone; valid as long as the original."""

    original: Content
    recipe: Recipe
    size: int
    spool_dir: Path
    """Private folder for the bytes of a large file while they are looked at as a whole."""

    def chunks(self) -> Iterator[bytes | memoryview]:
        """The edited file in pieces of at most 1 MiB, made from the original as it is now."""
        left = self.size
        for piece in passing(self.recipe.chunks(self.original.view())):
            left -= len(piece)
            yield piece
        if left:
            raise IntegrityError(
                "the file changed while slim was reading it",
                hint="nothing else may write to the stack during a run; start again",
            )

    def view(self) -> memoryview:
        """The whole edited file: in memory, or mapped from the spool folder where it is large.

        Raises StorageError.
        """
        if self.size <= IN_MEMORY:
            return memoryview(b"".join(self.chunks()))
        with Spool(self.spool_dir) as spool:
            spool.write_all(self.chunks())
            return memoryview(spool.view())  # keeps the map, which the spool file closes without
