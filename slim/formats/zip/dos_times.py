"""Times of zip files: DOS dates and times, taken as UTC as venvstacks writes them.

They tell two seconds apart, from 1980 to 2107. Source: PKWARE APPNOTE.TXT 6.3.10, 4.4.6.
"""

from __future__ import annotations

import datetime
from typing import Final

_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_EARLIEST: Final = (1980, 1, 1, 0, 0, 0)
_LATEST: Final = (2107, 12, 31, 23, 59, 58)


def dos_to_unix(date: int, time: int) -> int:
    """Seconds since 1970 of a DOS date and time; 1980-01-01 where it is no date."""
    try:
        moment = datetime.datetime(
            1980 + (date >> 9),
            date >> 5 & 15,
            date & 31,
            time >> 11,
            time >> 5 & 63,
            (time & 31) * 2,
            tzinfo=datetime.UTC,
        )
    except ValueError:
        moment = datetime.datetime(1980, 1, 1, tzinfo=datetime.UTC)
    return int((moment - _EPOCH).total_seconds())


def unix_to_dos(mtime: int) -> tuple[int, int]:
    """DOS time and date of seconds since 1970, clamped to what there is."""
    moment = _EPOCH + datetime.timedelta(seconds=mtime)
    year, month, day, hour, minute, second = min(max(moment.timetuple()[:6], _EARLIEST), _LATEST)
    return hour << 11 | minute << 5 | second // 2, (year - 1980) << 9 | month << 5 | day
