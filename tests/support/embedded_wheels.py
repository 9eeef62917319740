"""Wheels for tests: of made-up files, and pip's as its installation here tells it."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
from collections.abc import Mapping

from tests.support.native_headers import pe
from tests.support.raw_archives import ZipMember, zip_file

PIP = "pip-26.0-py3-none-any.whl"
PROGRAM = pe(dll=False) + bytes(range(256)) * 8
_LEFT_OUT = ("INSTALLER", "REQUESTED", "RECORD", "direct_url.json")


def launchers(*names: str) -> dict[str, bytes]:
    """Windows launchers where distlib has them in pip."""
    return {f"pip/_vendor/distlib/{name}.exe": PROGRAM + name.encode() for name in names}


ALL = ("t32", "t64", "t64-arm", "w32", "w64", "w64-arm")


def made_up(*names: str) -> dict[str, bytes]:
    """Files of a wheel called pip with these launchers, and modules around them."""
    return {
        "pip/__init__.py": b"__version__ = '26.0'\n",
        "pip/_vendor/distlib/scripts.py": b"import os\n" * 40,
        **launchers(*names),
        "pip/_vendor/rich/a, b.txt": b"a name with a comma\n",
        "pip-26.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: pip\nVersion: 26.0\n",
        "pip-26.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\n",
    }


def rows_of(files: Mapping[str, bytes]) -> list[str]:
    """Rows of RECORD for these files."""
    return [
        "{},sha256={},{}".format(
            f'"{name}"' if "," in name else name,
            base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode(),
            len(data),
        )
        for name, data in files.items()
    ]


def wheel(
    files: Mapping[str, bytes], *, info: str = "pip-26.0.dist-info", rows: list[str] | None = None
) -> bytes:
    """A wheel of these files, with a true RECORD at its end, or one of these rows."""
    told = rows_of(files) if rows is None else rows
    record = "\n".join([*told, f"{info}/RECORD,,", ""]).encode()
    members = [ZipMember(name=name, data=data) for name, data in files.items()]
    return zip_file(*members, ZipMember(name=f"{info}/RECORD", data=record))


def pip_wheel() -> tuple[str, bytes]:
    """Name and bytes of pip's wheel, made of its installation here; KeyError where it's not whole.

    Raises importlib.metadata.PackageNotFoundError where there is no pip.
    """
    found = importlib.metadata.distribution("pip")
    files = {
        str(path).replace("\\", "/"): path.locate().read_bytes()  # type: ignore[attr-defined]
        for path in found.files or ()
        if not str(path).startswith("..")
        and "__pycache__" not in path.parts
        and path.name not in _LEFT_OUT
    }
    info = f"pip-{found.version}.dist-info"
    return f"pip-{found.version}-py3-none-any.whl", wheel(files, info=info)
