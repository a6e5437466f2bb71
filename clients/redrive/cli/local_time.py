"""A local time as people write it, resolved to one moment: the clock may skip it or show it twice.

The zone is this machine's: TZ in the environment, else the system's. `datetime.astimezone` alone is an hour
early for a time that the clock skips.
"""

import time
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = 86_400.0  # seconds: more than any offset, so that a day before or after is on the other side of a change


class LocalTime(NamedTuple):
    """The moment, with its offset; `second` is the other moment that has the same local time."""

    moment: datetime
    is_skipped: bool = False
    second: datetime | None = None


def resolve(local: datetime) -> LocalTime:
    """Return the moment of a time without an offset.

    A skipped time is read with the offset in force before the change, as iCalendar (RFC 5545) does: 02:30 becomes 03:30
    summer time. Of a time that comes twice the first is taken. Raises OverflowError, ValueError or OSError
    where the moment is outside of the years that can be computed with.
    """
    wall = local.replace(tzinfo=UTC)
    before, after = _offset_at(_seconds(wall) - _DAY), _offset_at(_seconds(wall) + _DAY)
    moments = sorted({_in_zone(wall - offset) for offset in (before, after)})
    fitting = [moment for moment in moments if moment.replace(tzinfo=UTC) == wall]
    if not fitting:
        return LocalTime(_in_zone(wall - before), is_skipped=True)
    return LocalTime(fitting[0], second=fitting[1] if len(fitting) > 1 else None)


def _seconds(moment: datetime) -> float:
    return (moment - _EPOCH).total_seconds()


def _offset_at(seconds: float) -> timedelta:
    """Return the offset from UTC in this machine's zone, so many seconds after 1970."""
    return timedelta(seconds=time.localtime(seconds).tm_gmtoff)


def _in_zone(moment: datetime) -> datetime:
    return moment.astimezone(timezone(_offset_at(_seconds(moment))))
