"""Resolution of a local time to one moment: clock changes skip some local times and repeat others.

The time zone is the machine's: TZ in the environment, else the system's. `datetime.astimezone` alone returns a moment
that is one hour early for a skipped time.
"""

import time
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = 86_400.0  # seconds: larger than any offset, so that one day earlier or later is on the other side of a change


class ResolvedTime(NamedTuple):
    """The moment with its offset; `second` is the other moment with the same local time, if there is one."""

    moment: datetime
    is_skipped: bool = False
    second: datetime | None = None


def resolve_local_time(local: datetime) -> ResolvedTime:
    """Return the moment of a time without an offset.

    A skipped time is read with the offset before the change, as in iCalendar (RFC 5545): 02:30 becomes 03:30 summer
    time. For a repeated time, the first moment is taken. Raises OverflowError, ValueError or OSError if the moment is
    outside the supported years.
    """
    wall = local.replace(tzinfo=UTC)
    before, after = _offset_at(_seconds(wall) - _DAY), _offset_at(_seconds(wall) + _DAY)
    moments = sorted({_in_zone(wall - offset) for offset in (before, after)})
    fitting = [moment for moment in moments if moment.replace(tzinfo=UTC) == wall]
    if not fitting:
        return ResolvedTime(_in_zone(wall - before), is_skipped=True)
    return ResolvedTime(fitting[0], second=fitting[1] if len(fitting) > 1 else None)


def _seconds(moment: datetime) -> float:
    return (moment - _EPOCH).total_seconds()


def _offset_at(seconds: float) -> timedelta:
    """Return the offset from UTC in the machine's time zone at this Unix time."""
    return timedelta(seconds=time.localtime(seconds).tm_gmtoff)


def _in_zone(moment: datetime) -> datetime:
    return moment.astimezone(timezone(_offset_at(_seconds(moment))))
