"""Progress of messages as their watchers see it, and how it is read."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from domain.fault import ErrorType
from projections import failures, message_rows
from projections.message_rows import MessageRow
from projections.sql import Sql


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a message has come, at a time; `sequence` grows with every change of the message."""

    sequence: int
    time: datetime
    message: MessageRow
    error_types: Mapping[ErrorType, int]
    messages_per_second: float
    eta: timedelta | None


class Look(NamedTuple):
    """A message as it is in the database, and its failures by type."""

    message: MessageRow
    error_types: Mapping[ErrorType, int]


def looks_at(sql: Sql, message_ids: Collection[str]) -> Mapping[str, Look]:
    """The messages that there are, however many in three statements."""
    error_types = failures.counts_by_type_of_each(sql, message_ids)
    found = message_rows.find_each(sql, message_ids)
    return {message_id: Look(message, error_types[message_id]) for message_id, message in found.items()}
