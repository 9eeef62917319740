"""Puts the folder above on the import path, by being here.

Tests say ``from tests.support.virtual_stacks import ...``.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING
from unittest import mock

import pytest
from hypothesis import settings

import slim.config.load
from slim.rules.loader import builtin_packs
from tests.support.builtin_rules import read_once

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import LoadScopeScheduling

# How long an example takes depends on who else uses the machine, and no test asserts a time.
settings.register_profile("slim", deadline=None)
settings.load_profile("slim")

# What one test reads may help another, but never what a developer ran before, or the other way.
if "SLIM_CACHE_DIR" not in os.environ:
    os.environ["SLIM_CACHE_DIR"] = tempfile.mkdtemp(prefix="slim-test-cache.")
    atexit.register(shutil.rmtree, os.environ["SLIM_CACHE_DIR"], ignore_errors=True)


@pytest.fixture(autouse=True, scope="session")
def _builtin_rules_are_read_once() -> Iterator[None]:
    with mock.patch.object(slim.config.load, "builtin_packs", read_once(builtin_packs)):
        yield


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling | None:
    if config.getvalue("dist") != "loadgroup":
        return None
    from tests.support.scheduling import GroupScheduling  # there is xdist, or nobody would ask

    return GroupScheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In workers, begin with slow tests, so that at the end none waits for another."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.get_closest_marker("slow") is None)
