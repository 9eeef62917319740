"""Facts that slim reads in PE files, with LIEF as the judge, on wheels for Windows."""

from __future__ import annotations

from pathlib import Path

import lief
import pytest

from slim.binaries import describe, read_floors
from slim.binaries.pe.dynamic import read_pe_dynamic
from slim.model.record import NativeFormat
from tests.support.platform_wheels import download, members

pytestmark = [pytest.mark.network, pytest.mark.slow]

PACKAGES = ("cryptography", "lxml", "numpy", "pillow", "pythonnet", "pywin32")
CLR = lief.PE.DataDirectory.TYPES.CLR_RUNTIME_HEADER
CERTIFICATE = lief.PE.DataDirectory.TYPES.CERTIFICATE_TABLE


@pytest.mark.parametrize("package", PACKAGES)
def test_lief_says_the_same(package: str, tmp_path: Path) -> None:
    (wheel,) = download(tmp_path, ["win_amd64"], package)
    tried = 0
    for path, data in members(wheel):
        info = describe(data)
        if info is None or info.format is not NativeFormat.PE:
            continue
        binary = lief.PE.parse(data)
        assert binary is not None, path
        headers = binary.optional_header
        tried += 1
        assert info.clr == (binary.data_directory(CLR).size > 0), path
        assert info.signed == (binary.data_directory(CERTIFICATE).size > 0), path
        assert info.bits == (64 if binary.abstract.header.is_64 else 32), path
        found = read_pe_dynamic(data)
        assert found is not None, path
        imported = {entry.name for entry in binary.imports}
        delayed = {entry.name for entry in binary.delay_imports}
        assert set(found.needed) >= imported | delayed, path
        assert found.delayed == delayed - imported, path
        versions = (
            (headers.major_subsystem_version, headers.minor_subsystem_version),
            (headers.major_operating_system_version, headers.minor_operating_system_version),
        )
        floors = [floor.version for floor in read_floors(data)]
        assert floors == ([] if info.clr else [max(versions)]), path
    assert tried
    assert any_clr(wheel) == (package == "pythonnet")


def any_clr(wheel: Path) -> bool:
    infos = (describe(data) for _, data in members(wheel))
    return any(info is not None and info.clr for info in infos)
