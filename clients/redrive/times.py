"""Times as the contract writes them."""

from datetime import datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

# A time this short ago is no surprise: writing a command, and the difference between two clocks, take as long.
_PAST_TOLERANCE = timedelta(minutes=1)


def time_passed(time: datetime, now: datetime) -> timedelta | None:
    """Return how long ago a time was; None if it is to come or less than a minute ago."""
    ago = now - time
    return ago if ago > _PAST_TOLERANCE else None


def timestamp(time: datetime | None) -> Timestamp | None:
    """The time, which has to have an offset; what is None stays absent."""
    if time is None:
        return None
    written = Timestamp()
    written.FromDatetime(time)
    return written
