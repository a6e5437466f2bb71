"""The streams of one message, and its events up to a point in time."""

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime

from domain import message as messages
from domain.errors import MessageIsArchived, MessageNotFound
from domain.event import RecordedEvent
from domain.message import Message, SubmissionState
from domain.message_events import MessageArchived, MessageSubmitted, RetryRequested
from domain.owner import ANY_OWNER, matches_owner
from domain.streams import batch_stream, message_stream, page_stream, receipts_stream
from projections.message_rows import NOT_OF_ANOTHER_OWNER
from projections.sql import Sql
from server.eventstore.commit import EventLog
from server.eventstore.stream import decode_row

BATCHES_AT_ONCE = 20  # whose events are read at once


def streams_of_batches(message: Message, first: int, count: int) -> list[str]:
    """Return the streams of some of a message's batches."""
    numbers = range(first, first + count)
    return [
        stream(message.id, message.stage, number) for number in numbers for stream in (batch_stream, receipts_stream)
    ]


def streams_of_message(message: Message, batch_number: int = 0) -> list[str]:
    """Return the streams of a message and of all its batches, or with `batch_number` those of one batch."""
    if batch_number:
        return streams_of_batches(message, batch_number, 1)
    return [message_stream(message.id), *streams_of_batches(message, 1, message.batches)]


async def events_until(
    log: EventLog, owner: str, message_id: str, time: datetime
) -> AsyncIterator[Sequence[RecordedEvent]]:
    """Yield a message's events up to a time in chunks: its page's events first, then each round before its batches.

    Raises MessageIsArchived, and MessageNotFound if the message did not exist at that time or has another owner.
    """
    stream = await log.read(lambda sql: _stream_of_owner(sql, owner, message_id))
    _check_not_archived(owner, stream)
    of_message = _until(time, stream)
    message = messages.fold(message_id, (one.event for one in of_message))
    if message.submission_state is not SubmissionState.SUBMITTED or not matches_owner(message.owner, owner):
        raise MessageNotFound(message_id)
    yield _until(time, await log.recorded_in([page_stream(message.page_id)]))
    for one in of_message:
        yield [one]
        for streams in _batches_planned_by(one, message):
            yield _until(time, await log.recorded_in(streams))


def _stream_of_owner(sql: Sql, owner: str, message_id: str) -> Sequence[RecordedEvent]:
    """Return a message's stream; empty if the message has another owner, at the same cost as for an unknown id.

    An archived message has no row that names its owner; the caller checks the owner in its last event.
    """
    stream = message_stream(message_id)
    rows = sql.rows(
        f"""
        SELECT {sql.log_position} AS position, originator_version, topic, state FROM stored_events
        WHERE originator_id = :stream {"" if owner == ANY_OWNER else f"AND {NOT_OF_ANOTHER_OWNER}"}
        ORDER BY originator_version
        """,  # noqa: S608 - our own words
        {"stream": stream, "message_id": message_id, "owner": owner},
    )
    return [RecordedEvent(row["position"], stream, row["originator_version"], decode_row(stream, row)) for row in rows]


def _check_not_archived(owner: str, stream: Sequence[RecordedEvent]) -> None:
    """Raise MessageIsArchived if the message was archived and belonged to the owner, by its last event."""
    if stream and isinstance(stream[-1].event, MessageArchived) and matches_owner(stream[-1].event.owner, owner):
        raise MessageIsArchived(stream[-1].event.message_id, stream[-1].event.file)


def _batches_planned_by(planning: RecordedEvent, message: Message) -> Iterator[Sequence[str]]:
    match planning.event:
        case MessageSubmitted(batches=count):
            first = 1
        case RetryRequested(first_batch=first, batches=count):
            pass
        case _:
            return
    for start in range(first, first + count, BATCHES_AT_ONCE):
        yield streams_of_batches(message, start, min(BATCHES_AT_ONCE, first + count - start))


def _until(time: datetime, recorded: Sequence[RecordedEvent]) -> Sequence[RecordedEvent]:
    """Return the events up to a time, none after the first later event of its stream: clocks of processes differ."""
    later: set[str] = set()
    found = []
    for one in recorded:
        if one.event.time > time:
            later.add(one.stream)
        if one.stream not in later:
            found.append(one)
    return found
