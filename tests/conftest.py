"""Puts the folder above on the import path, by being here.

Tests say ``from tests.support.virtual_stacks import ...``.
"""

from hypothesis import settings

# How long an example takes depends on who else uses the machine, and no test asserts a time.
settings.register_profile("slim", deadline=None)
settings.load_profile("slim")
