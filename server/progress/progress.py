"""Progress of messages, as WatchProgress shows it, and the queries for it."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from domain.fault import ErrorType
from projections import failures, message_rows
from projections.message_rows import MessageRow
from projections.sql import Sql
from server.commands.lookup import require_message


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """The progress of a message at a time; `sequence` grows with every change of the message."""

    sequence: int
    time: datetime
    message: MessageRow
    error_types: Mapping[ErrorType, int]
    messages_per_second: float
    eta: timedelta | None


class ProgressReading(NamedTuple):
    """A message's row and its failures by type, as one read found them."""

    message: MessageRow
    error_types: Mapping[ErrorType, int]


def read_first(sql: Sql, owner: str, message_id: str) -> ProgressReading:
    """Return one message of an owner; raises MessageNotFound."""
    return ProgressReading(require_message(sql, owner, message_id), failures.counts_by_type(sql, message_id))


def read_each(sql: Sql, message_ids: Collection[str]) -> Mapping[str, ProgressReading]:
    """Return those of the messages that exist, by id; three statements for any number of messages."""
    error_types = failures.counts_by_type_of_each(sql, message_ids)
    rows = message_rows.find_each(sql, message_ids)
    return {message_id: ProgressReading(row, error_types[message_id]) for message_id, row in rows.items()}
