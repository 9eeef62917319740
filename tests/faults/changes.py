"""Changes of an input while it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from tests.support.published_stacks import write_archive

Change = tuple[str, Callable[[Path], object]]
"""What happens, and the function that lets it happen to the input."""


def _other_archive(folder: Path) -> None:
    write_archive(folder / "new.tar.xz", "cpython", {"lib/python3.13/os.py": "y = 2\n"})
    (folder / "new.tar.xz").replace(folder / "cpython.tar.xz")


def _cut_archive(folder: Path) -> None:
    with (folder / "framework-b.tar.xz").open("r+b") as file:
        file.truncate(100)


def _flipped_archive(folder: Path) -> None:
    with (folder / "framework-b.tar.xz").open("r+b") as file:
        file.seek(60)
        file.write(b"\xff\xff")


STACK_CHANGES: tuple[Change, ...] = (
    ("an archive is replaced", _other_archive),
    ("an archive is cut", _cut_archive),
    ("bytes of an archive change", _flipped_archive),
)
FOLDER_CHANGES: tuple[Change, ...] = (
    ("a file changes", lambda folder: (folder / "lib/python3.13/os.py").write_text("y = 2\n")),
    ("a file grows", lambda folder: (folder / "lib/python3.13/site.py").write_text("x = 1\n" * 50)),
    ("a file goes", lambda folder: (folder / "lib/python3.13/os.py").unlink()),
    ("a file comes", lambda folder: (folder / "lib/python3.13/new.py").write_text("x = 1\n")),
)  # fmt: skip


def within(name: str, changes: Iterable[Change]) -> tuple[Change, ...]:
    """The same in a folder of the input."""
    return tuple(
        (f"{name}: {what}", lambda folder, change=change: change(folder / name))
        for what, change in changes
    )
