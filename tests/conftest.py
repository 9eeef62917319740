"""Puts the folder above on the import path, by being here.

Tests say ``from tests.support.virtual_stacks import ...``.
"""

import functools
from collections.abc import Iterator, Mapping
from unittest import mock

import pytest
from hypothesis import settings

import slim.config.load
from slim.model.rule import PassSchema, RulePack
from slim.passes import SCHEMAS
from slim.rules.loader import builtin_packs

# How long an example takes depends on who else uses the machine, and no test asserts a time.
settings.register_profile("slim", deadline=None)
settings.load_profile("slim")


@functools.cache
def _builtin() -> tuple[RulePack, ...]:
    return builtin_packs(SCHEMAS)


def _packs(schemas: Mapping[str, PassSchema]) -> tuple[RulePack, ...]:
    return _builtin() if schemas is SCHEMAS else builtin_packs(schemas)


@pytest.fixture(autouse=True, scope="session")
def _builtin_rules_are_read_once() -> Iterator[None]:
    """Configuration that is loaded a thousand times doesn't differ in the rules slim comes with."""
    with mock.patch.object(slim.config.load, "builtin_packs", _packs):
        yield
