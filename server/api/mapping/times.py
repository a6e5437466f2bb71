"""Times and spans as the contract writes them; what is None stays absent."""

from datetime import UTC, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from projections.sql import Micros, micros


def timestamp(time: Micros | datetime | None) -> Timestamp | None:
    """A time, given as the read models or as the domain keep it."""
    if time is None:
        return None
    written = Timestamp()
    write_time(written, micros(time) if isinstance(time, datetime) else time)
    return written


def write_time(written: Timestamp, time: Micros) -> None:
    """The same in its place in an answer."""
    written.seconds, rest = divmod(time, 1_000_000)
    written.nanos = rest * 1_000


def read_time(given: Timestamp) -> datetime:
    """A time that was checked; what is finer than a microsecond is dropped."""
    return given.ToDatetime(tzinfo=UTC)


def duration(span: timedelta | None) -> Duration | None:
    """A span."""
    if span is None:
        return None
    written = Duration()
    written.FromTimedelta(span)
    return written
