"""Progress of a message as its watchers see it."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from domain.fault import ErrorType
from projections.message_rows import MessageRow


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a message has come, at a time; `sequence` grows with every change of the message."""

    sequence: int
    time: datetime
    message: MessageRow
    error_types: Mapping[ErrorType, int]
    messages_per_second: float
    eta: timedelta | None
