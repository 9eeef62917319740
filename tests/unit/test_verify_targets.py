"""What the dynamic checks try: the public modules of the original."""

from __future__ import annotations

from slim.model.verify import VerifySettings
from slim.verification.dynamic.targets import find_targets
from tests.support.virtual_stacks import make_stack


def test_libraries_beside_modules_are_no_modules() -> None:
    stack = make_stack(
        {
            "cpython3.13": {},
            "framework-a": {
                "$site/maths/__init__.py": "",
                "$site/maths/fast.cpython-313-x86_64-linux-gnu.so": b"\x7fELF",
                "$site/maths/libmaths.so": b"\x7fELF",
                "$site/maths/_private.py": "",
            },
        }
    )
    found = find_targets(stack.stack, stack.inventory, stack.read, VerifySettings())
    assert {subject.name for subject in found.modules} == {"maths", "maths.fast"}
