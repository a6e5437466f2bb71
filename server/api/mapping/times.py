"""Conversion of times and durations from and to messages of the contract; None stays absent."""

from datetime import UTC, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from projections.sql import Micros, micros


def timestamp(time: Micros | datetime | None) -> Timestamp | None:
    """Return the Timestamp of a time of the read models or of the domain."""
    if time is None:
        return None
    message = Timestamp()
    write_time(message, micros(time) if isinstance(time, datetime) else time)
    return message


def write_time(message: Timestamp, time: Micros) -> None:
    """Write a time of the read models into a Timestamp."""
    message.seconds, rest = divmod(time, 1_000_000)
    message.nanos = rest * 1_000


def read_time(given: Timestamp) -> datetime:
    """Return the time of a valid Timestamp, truncated to microseconds."""
    return given.ToDatetime(tzinfo=UTC)


def duration(interval: timedelta | None) -> Duration | None:
    if interval is None:
        return None
    message = Duration()
    message.FromTimedelta(interval)
    return message
