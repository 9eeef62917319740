"""Configurations and rule files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from slim.api.common import PathName, optional_path

if TYPE_CHECKING:
    from slim.config.rule_files import CheckedRules
    from slim.config.settings import Config

_LISTS = frozenset({"packs", "traces"})
"""Arguments of :func:`load_config` that are no settings: paths of further files."""


def load_config(
    file: PathName | None = None,
    *,
    inputs: Iterable[PathName] | None = None,
    keep_file: PathName | None = None,
    **settings: object,
) -> Config:
    """Read a configuration and put its parts together.

    ``file`` is a ``slim.toml``, or a ``venvstacks.toml`` or ``pyproject.toml`` with a
    ``[tool.slim]`` table. Without it, and given ``inputs``, the one in the current folder is read,
    unless that folder lies in one of them: what is slimmed or measured says nothing about how. With
    neither, the built-in rules are all there is. ``keep_file`` is a ``slim.keep.toml`` (what an
    earlier verification found must stay); without it, the one beside the configuration is read, if
    there is one. ``origin`` of the result says which file was read.

    ``settings`` beat the file, as options of the command line do, and are written as there:
    ``profile="safe"``, ``keep=["**/data/**"]``, ``drop=["sympy"]``, ``memory="2 GB"``. Their names
    are the keys of the file; ``packs`` are further rule files, ``traces`` further traces. Raises
    :class:`TypeError` for a name that there isn't.

    Raises :class:`~slim.errors.ConfigError` with everything that is wrong anywhere, and
    :class:`~slim.errors.StorageError` for a file that can't be read.
    """
    from slim.config.load import discover, lies_in
    from slim.config.load import load_config as load
    from slim.config.settings import STACK_SETTINGS
    from slim.config.verify import find_keep_file
    from slim.passes import SCHEMAS

    unknown = sorted(settings.keys() - STACK_SETTINGS.keys() - _LISTS)
    if unknown:
        raise TypeError(f"there is no setting {unknown[0]!r}")
    found = optional_path(file)
    read = None if inputs is None else [Path(path) for path in inputs]
    if found is None and read is not None:
        found = discover(*read)
    keep = optional_path(keep_file)
    if keep is None and (found or (read is not None and not lies_in(Path.cwd(), read))):
        keep = find_keep_file(found)
    if keep is not None and not keep.is_file():
        keep = None  # it is written when there is something to write
    stated = {
        name: [value] if isinstance(value, str) and _is_list(name) else value
        for name, value in settings.items()
    }
    return load(SCHEMAS, file=found, overrides=stated, keep_file=keep)


def _is_list(name: str) -> bool:
    from slim.config.settings import STACK_SETTINGS

    return name in _LISTS or STACK_SETTINGS[name].kind.adds_up


def check_rules(files: Iterable[PathName] = ()) -> CheckedRules:
    """Check rule files: the syntax, the keys, and that each rule selects what its examples say.

    ``files`` are rule packs, configurations with ``[[rule]]`` and ``[[budget]]`` tables, and files
    of budgets; without any, the built-in packs are checked. Raises
    :class:`~slim.errors.ConfigError` with every problem of every file.
    """
    from slim.config.rule_files import check_rule_files
    from slim.passes import SCHEMAS

    return check_rule_files([Path(file) for file in files], SCHEMAS)
