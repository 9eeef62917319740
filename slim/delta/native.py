"""Native files whose references a delta knows: ELF, PE, and Mach-O, thin and universal."""

from __future__ import annotations

from slim.binaries.elf.layout import MAGIC as ELF_MAGIC
from slim.binaries.macho.fat import is_fat, read_fat
from slim.binaries.macho.structs import MAGIC_64
from slim.binaries.pe.identify import MAGIC as PE_MAGIC
from slim.binaries.refusal import Refused
from slim.delta.image import NativeImage
from slim.delta.native_elf import elf_image
from slim.delta.native_macho import macho_image
from slim.delta.native_pe import pe_image


def native_images(content: bytes) -> dict[str, NativeImage]:
    """Return the images of a file that a delta knows something about, by machine where several.

    They are in the order in which they lie in the file.
    """
    image = None
    if content.startswith(ELF_MAGIC):
        image = elf_image(content)
    elif content.startswith(MAGIC_64):
        image = macho_image(content, 0, len(content))
    elif content.startswith(PE_MAGIC):
        image = pe_image(content)
    elif is_fat(memoryview(content)):
        return _slices(content)
    return {} if image is None else {"": image}


def _slices(content: bytes) -> dict[str, NativeImage]:
    try:
        slices = read_fat(memoryview(content))
    except Refused:
        return {}
    images = {one.machine: macho_image(content, one.offset, one.size) for one in slices}
    return {machine: image for machine, image in images.items() if image is not None}
