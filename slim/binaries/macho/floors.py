"""The oldest macOS that a Mach-O file says it runs on.

Source: Apple's ``mach-o/loader.h`` (``build_version_command``, ``version_min_command``).
"""

from __future__ import annotations

from slim.binaries.base import UNKNOWN_MACHINE, Buffer
from slim.binaries.macho.identify import MACHINES
from slim.model.floor import PlatformFloor, Runtime


def macho_floors(data: Buffer) -> tuple[PlatformFloor, ...]:
    """The oldest macOS for each image of a file; nothing for images that don't say.

    Raises nothing, whatever the bytes are.
    """
    # macholib is loaded with the first Mach-O file, not with the command line.
    from slim.binaries.macho.load_commands import Malformed, read_images

    try:
        images = list(read_images(memoryview(data)))
    except Malformed:
        return ()
    return tuple(
        PlatformFloor(
            runtime=Runtime.MACOS,
            machine=MACHINES.get(image.cpu, UNKNOWN_MACHINE),
            version=image.minimum,
            needs=image.minimum_from,
        )
        for image in images
        if image.minimum is not None
    )
