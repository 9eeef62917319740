"""Finds the part of a large old file that a part of the new one most likely was.

A dictionary holds :data:`slim.delta.frames.DICTIONARY` bytes, so of a larger old file it is a
window. Where content was taken out or put in decides where the window has to lie: a library that
lost the symbols at its end has the rest where it was, one that lost a section in the middle has the
end at the same distance from its own. So the likely windows are asked for samples of the new part.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from slim.delta.frames import DICTIONARY
from slim.formats.base import Content
from slim.system.mapped import seen

_SAMPLES = 24
_SAMPLE = 48
"""Bytes of a sample: long enough to be nowhere else by chance."""
_DIVERSE = 12
"""Fewest different bytes of a sample; paddings and tables of zeros are everywhere."""
_TRIES = 32
"""Places that are tried, one sample's length apart, before a sample is left out."""


@dataclass
class Follower:
    """Chooses windows of an old file for the parts of the new one, from its first part on.

    The choice depends on the contents alone.
    """

    old: Content
    new: Content
    _moved: int = 0
    """How much farther the last part that was found began in the old file."""

    def window(self, offset: int, length: int) -> tuple[int, int]:
        """Return offset and length of the window for the new file's part.

        That is the one with most samples of the part; of equal ones the first of: the same
        place in proportion to the sizes, as far as the last part had moved, the same distance from
        the beginning, and from the end.
        """
        old_size, new_size = self.old.size, self.new.size
        if old_size <= DICTIONARY:
            return 0, old_size
        middle = offset + length // 2
        places = (
            middle * old_size // new_size,
            middle + self._moved,
            middle,
            old_size - (new_size - middle),
        )
        # Room on both sides, for content that moved a little.
        last = old_size - DICTIONARY
        starts = dict.fromkeys(max(0, min(place - DICTIONARY // 2, last)) for place in places)
        best, most = next(iter(starts)), 0
        samples = dict(self._samples(offset, length)) if len(starts) > 1 else {}
        for start in starts:
            found = self._found(start, samples) if most < len(samples) else {}
            if len(found) > most:
                best, most = start, len(found)
                self._moved = sorted(found[at] - at for at in found)[most // 2]
        return best, DICTIONARY

    def _samples(self, offset: int, length: int) -> Iterator[tuple[int, bytes]]:
        """Yield places in the new file, and what is there."""
        view = self.new.view()
        step = max(length // _SAMPLES, _SAMPLE)
        for start in range(offset, offset + length - _SAMPLE, step):
            stop = min(start + _TRIES * _SAMPLE, offset + length - _SAMPLE)
            for at in range(start, stop, _SAMPLE):
                sample = bytes(view[at : at + _SAMPLE])
                if len(set(sample)) >= _DIVERSE:
                    yield at, sample
                    break
        seen(view, length)

    def _found(self, start: int, samples: dict[int, bytes]) -> dict[int, int]:
        """Return places in the old file of the samples in a window, by places in the new file."""
        view = self.old.view()
        window = bytes(view[start : start + DICTIONARY])
        seen(view, DICTIONARY)
        places = {at: window.find(sample) for at, sample in samples.items()}
        return {at: start + place for at, place in places.items() if place >= 0}
