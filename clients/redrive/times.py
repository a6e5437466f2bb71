"""Times as the contract writes them."""

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp


def timestamp(time: datetime | None) -> Timestamp | None:
    """The time, which has to have an offset; what is None stays absent."""
    if time is None:
        return None
    written = Timestamp()
    written.FromDatetime(time)
    return written
