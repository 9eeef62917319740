"""The oldest Windows that a PE file says it runs on.

Source: Microsoft, "PE Format" (optional header: versions of operating system and subsystem).
"""

from __future__ import annotations

import struct

from slim.binaries.base import Buffer
from slim.binaries.pe.headers import PeHeaders
from slim.binaries.pe.identify import describe_pe
from slim.model.floor import PlatformFloor, Runtime


def pe_floors(data: Buffer) -> tuple[PlatformFloor, ...]:
    """The oldest Windows for a program or library; none for a .NET assembly, which runs anywhere.

    Raises nothing, whatever the bytes are.
    """
    view = memoryview(data)
    info = describe_pe(view)
    if info is None or not info.dynamic or info.clr:
        return ()
    try:
        headers = PeHeaders(view)
    except struct.error:
        return ()
    version, needs = max(
        (headers.subsystem_version, "subsystem version"),
        (headers.system_version, "operating system version"),
    )
    if not any(version):
        return ()
    return (
        PlatformFloor(runtime=Runtime.WINDOWS, machine=info.machine, version=version, needs=needs),
    )
