"""Durable and atomic output.

A result is staged beside the target, made durable, and appears with one rename. After a kill at any
moment the target is the old set or the new one. What a killed run leaves behind (a staging folder,
a set that was being replaced) is cleaned up or put back by the next run on the same target. Two
runs on one target can't meet: the second fails at once.

Sources: rename(2), renameat2(2) (RENAME_EXCHANGE), fsync(2), flock(2).
"""

from __future__ import annotations

import contextlib
import ctypes
import glob
import os
import secrets
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from slim.errors import ConfigError, StorageError
from slim.system.interrupts import defer_signals, deliver_signals
from slim.system.locking import try_lock
from slim.system.workspace import remove_tree

_STAGING = ".slim-staging-"
_OLD = ".slim-old-"
_LOCK = ".slim-lock-"
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def check_target(target: Path, source: Path, *, force: bool) -> None:
    """Refuse a target that exists (without ``force``), or that would mix with the input.

    Raises ConfigError.
    """
    if target.is_symlink() and not target.exists():
        raise ConfigError(
            "is a link that leads nowhere", file=target, hint="remove it, or give another place"
        )
    here, there = target.resolve(), source.resolve()
    folder = there if there.is_dir() else there.parent
    if there.is_dir() and (here == there or there in here.parents):
        raise ConfigError(
            "the output lies inside the input",
            file=target,
            hint="choose a folder outside of the stack",
        )
    if here in (there, *there.parents) and target.exists():
        raise ConfigError("the input lies inside the output, which would replace it", file=target)
    if here == folder:
        raise ConfigError(
            "the output is the folder that holds the input",
            file=target,
            hint="choose another folder",
        )
    if target.exists() and not force:
        raise ConfigError(
            "exists already",
            file=target,
            hint="--force replaces it, once the new result is verified",
        )
    if target.exists() and any(
        place == here or here in place.parents for place in (Path.home(), Path.cwd())
    ):
        raise ConfigError(
            "holds the home or the current folder; --force won't replace that", file=target
        )


@contextlib.contextmanager
def staging(target: Path) -> Iterator[Path]:
    """A private folder beside ``target``, removed at the end unless :func:`publish` has taken it.

    Cleans up after killed runs first. Raises ConfigError where another run works on the same
    target, StorageError where the place can't be written.
    """
    # resolve() would follow a link at the target itself.
    target = Path(os.path.abspath(target))  # noqa: PTH100
    try:
        with defer_signals():
            target.parent.mkdir(parents=True, exist_ok=True)
            with _locked(target):
                _recover(target)
                folder = Path(
                    tempfile.mkdtemp(prefix=f"{_STAGING}{target.name}.", dir=target.parent)
                )
                with _removed(folder), deliver_signals():
                    yield folder
    except OSError as error:
        raise StorageError.from_os_error(error, file=error.filename or target.parent) from None


def clean_up(target: Path) -> None:
    """Remove what a killed run left beside ``target``, or put back what it had moved aside.

    Does nothing where another run works on the target, and nothing that the system refuses.
    """
    target = Path(os.path.abspath(target))  # noqa: PTH100
    if not target.parent.is_dir():
        return
    with contextlib.suppress(ConfigError, StorageError, OSError), _locked(target):
        _recover(target)


@contextlib.contextmanager
def _removed(folder: Path) -> Iterator[None]:
    """Remove the staging folder at the end.

    That it can't be removed is an error only if there is no other.
    """
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            remove_tree(folder)
        raise
    try:
        remove_tree(folder)
    except OSError as error:
        raise _left(error, folder) from None


def _left(error: OSError, path: Path) -> StorageError:
    return StorageError(
        f"can't be removed: {error.strerror}",
        file=path,
        hint="the run is done but for this; remove it, or let the next run do it",
    )


@contextlib.contextmanager
def _locked(target: Path) -> Iterator[None]:
    """Hold an advisory lock on a file beside the target.

    The kernel frees it however the process ends.
    """
    path = target.parent / f"{_LOCK}{target.name}"
    while True:
        file = path.open("a+b")
        if not try_lock(file.fileno()):
            file.close()
            raise ConfigError(
                "another run of slim is writing it", file=target, hint="wait until it is done"
            )
        if _is_same(file.fileno(), path):
            break
        file.close()  # its last holder removed the file between our open and our lock
    with file:
        try:
            yield
        except BaseException:
            with contextlib.suppress(OSError):
                path.unlink()
            raise
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise _left(error, path) from None


def _is_same(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _recover(target: Path) -> None:
    """Put back an old set that a killed run had moved aside, and remove what it left half done."""
    for old in sorted(_siblings(target, _OLD)):
        if os.path.lexists(target):
            _remove(old)
        else:
            old.rename(target)
    for left in _siblings(target, _STAGING):
        _remove(left)


def _siblings(target: Path, prefix: str) -> Iterator[Path]:
    return target.parent.glob(f"{glob.escape(prefix + target.name)}.*")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        remove_tree(path)
    else:
        path.unlink()


def publish(staged: Path, target: Path, *, force: bool) -> None:
    """Make ``staged`` (in the staging folder) appear as ``target``. Raises StorageError."""
    for folder, _, files in os.walk(staged):
        for name in files:
            if not (Path(folder) / name).is_symlink():
                sync(Path(folder) / name)
        sync(Path(folder))
    if staged.is_file():
        sync(staged)
    with defer_signals():
        try:
            if not os.path.lexists(target):
                staged.rename(target)
            elif not force:
                raise StorageError(
                    "appeared while slim was running", file=target, hint="remove it, or use --force"
                )
            else:
                _replace(staged, target)
        except OSError as error:
            raise StorageError.from_os_error(error, file=target) from None
        try:
            sync(target.parent)
        except StorageError as error:
            error.hint = (
                f"{target} is complete, but may not outlive a power failure; "
                "see to the disk, and run again"
            )
            raise


def _replace(staged: Path, target: Path) -> None:
    if staged.is_file() and target.is_file():
        staged.replace(target)
        return
    if _exchange(staged, target):
        return  # the old set lies in the staging folder now, and goes with it
    old = target.with_name(f"{_OLD}{target.name}.{secrets.token_hex(4)}")
    target.rename(old)
    try:
        staged.rename(target)
    except OSError:
        old.rename(target)
        raise
    try:
        _remove(old)
    except OSError as error:
        raise _left(error, old) from None


def _exchange(one: Path, other: Path) -> bool:
    """Swap two paths in one step, where kernel and file system can. False where they can't."""
    if not sys.platform.startswith("linux"):
        return False
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    result = renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    return bool(result == 0)


def sync(path: Path) -> None:
    """Make a file or folder durable. Windows has no folder handles to sync."""
    if sys.platform == "win32" and path.is_dir():
        return
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StorageError.from_os_error(error, file=path) from None
