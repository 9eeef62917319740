"""The seam between the library graph and the loaders of the systems: edges, processes, rules.

Each system's loader is a module beside this one that ends with its :class:`LoaderRules`; the table
of them is :data:`slim.analysis.linkage.loaders.LOADERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, Protocol, Self, TypeVar

from slim.analysis import ReadFile
from slim.analysis.linkage.virtual_tree import VirtualTree
from slim.binaries.base import Dynamic
from slim.model.record import FileKey, FileRecord, Inventory, Owner

D = TypeVar("D", bound=Dynamic)


class FoundBy(StrEnum):
    """The way by which a needed library was found. The values are stable."""

    RPATH = "rpath"
    LIBRARY_PATH = "library-path"
    RUNPATH = "runpath"
    PATH = "path"
    LOADED = "loaded"
    SONAME = "soname"
    SAME_FOLDER = "same-folder"
    PROGRAM_FOLDER = "program-folder"
    DLL_FOLDER = "dll-folder"
    HOST = "host"


@dataclass(frozen=True, slots=True)
class Edge:
    """``importer`` needs ``name`` and gets ``target``.

    ``target`` is None where no file of the stack answers.
    """

    importer: FileRecord
    name: str
    target: FileRecord | None
    found_by: FoundBy


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process that a layer's wrapper starts.

    ``layers`` are those that it sees, ``library_path`` is its library path, ``base_rpaths`` are the
    folders that the run paths of its program give, ``programs`` those that the program may lie in.
    """

    layer: str
    layers: tuple[str, ...]
    library_path: tuple[str, ...]
    base_rpaths: tuple[str, ...]
    programs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedFolder:
    """A deployed folder that Python files (``sources``) of one owner add to the search."""

    path: str
    layer: str
    owner: Owner
    sources: frozenset[FileKey]


@dataclass(slots=True)
class LoadedImage(Generic[D]):
    """An image in a process: the path that it was found by, and the image that loaded it."""

    record: FileRecord
    path: str
    dynamic: D
    loader: Self | None

    def chain(self) -> Iterator[Self]:
        """The image, the one that loaded it, and so on."""
        image: Self | None = self
        while image is not None:
            yield image
            image = image.loader


L = TypeVar("L", bound=LoadedImage[Any])


def load_all(first: L, need: Callable[[L, str, list[L]], tuple[Edge, L | None]]) -> list[Edge]:
    """Load what an image needs, what that needs, and so on, breadth first; return every edge once.

    ``need`` gives the edge of an image and a name that it needs, and the image that is loaded for
    it; None where none is, or where it is among those that are loaded.
    """
    loaded = [first]
    edges: list[Edge] = []
    for image in loaded:
        for name in dict.fromkeys(image.dynamic.needed):
            edge, new = need(image, name, loaded)
            edges.append(edge)
            if new is not None:
                loaded.append(new)
    return edges


class Loader(Protocol):
    """The loader of one process."""

    def load(self, root: FileRecord, path: str) -> list[Edge]:
        """Load ``root``, found at the deployed path ``path``, and all that it needs.

        Gives every edge once.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownNames:
    """The names under which a stack's native files can be found.

    ``files`` are file names, ``folded`` the same in lower case, ``loaded`` the names that loaded
    images answer to.
    """

    files: Collection[str]
    folded: Collection[str]
    loaded: Collection[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoaderRules(Generic[D]):
    """The rules by which one system's loader works on one native format, whose facts are a ``D``.

    ``start`` makes the loader of a process: from the process, the files, what each native file of
    the format needs, and the folders that Python files add. ``may_find`` tells quickly whether a
    search for what a file needs could find anything: most files need libraries of the host only.
    ``same_machine`` tells whether two images can live in one process. ``answers_to`` gives the name
    that a loaded image answers to, by its path and facts, and ``asked`` the form of a needed name
    that is compared with it. ``run_paths`` gives the folders that the run path of a program in a
    folder gives (the folders of programs are given too, and whether the file was found by a link);
    ``added_folders`` those that Python files add to the search for some libraries.
    """

    start: Callable[[Process, VirtualTree, Mapping[FileKey, D], tuple[AddedFolder, ...]], Loader]
    may_find: Callable[[D, KnownNames], bool]
    same_machine: Callable[[D, D], bool]
    answers_to: Callable[[str, D], str | None] = lambda _path, dynamic: dynamic.soname
    asked: Callable[[str], str] = lambda name: name
    run_paths: Callable[[D, str, tuple[str, ...], bool], tuple[str, ...]] = (
        lambda _dynamic, _folder, _programs, _linked: ()
    )
    added_folders: Callable[[Inventory, ReadFile, Collection[FileKey]], tuple[AddedFolder, ...]] = (
        lambda _inventory, _read, _libraries: ()
    )
