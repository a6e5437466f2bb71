"""Conversions of times for requests."""

from datetime import datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

# A time counts as passed only after this: typing a command takes as long, and clocks differ by as much.
_PAST_TOLERANCE = timedelta(minutes=1)


def time_since(time: datetime, now: datetime) -> timedelta | None:
    """Return how long ago a time was; None if it is in the future or less than a minute ago."""
    ago = now - time
    return ago if ago > _PAST_TOLERANCE else None


def to_timestamp(time: datetime | None) -> Timestamp | None:
    """Return the time as a Timestamp; None for None. The time must have an offset."""
    if time is None:
        return None
    written = Timestamp()
    written.FromDatetime(time)
    return written
