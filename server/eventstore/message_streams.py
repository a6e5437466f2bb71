"""All that the log holds about one message: which streams they are, and in which order they are of use."""

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime

from domain import message as messages
from domain.errors import MessageIsArchived, MessageNotFound
from domain.event import RecordedEvent
from domain.message import Message, SubmissionState
from domain.message_events import MessageArchived, MessageSubmitted, RetryRequested
from domain.owner import ANY_OWNER, matches_owner
from domain.streams import batch_stream, message_stream, page_stream, receipts_stream
from projections.sql import Sql
from server.eventstore.commit import EventLog
from server.eventstore.stream import decoded

BATCHES_AT_ONCE = 20  # whose events are read and worked off together


def streams_of_batches(message: Message, first: int, count: int) -> list[str]:
    """The streams of some of a message's batches."""
    numbers = range(first, first + count)
    return [
        stream(message.id, message.stage, number) for number in numbers for stream in (batch_stream, receipts_stream)
    ]


def streams_of_message(message: Message, batch_number: int = 0) -> list[str]:
    """The streams of a message and of all its batches, or of one batch alone."""
    if batch_number:
        return streams_of_batches(message, batch_number, 1)
    return [message_stream(message.id), *streams_of_batches(message, 1, message.batches)]


async def events_until(
    log: EventLog, owner: str, message_id: str, time: datetime
) -> AsyncIterator[Sequence[RecordedEvent]]:
    """What happened to a message up to a time, in parts: its page's events, then each round before its batches.

    Raises MessageIsArchived, and MessageNotFound when it was not the owner's message at that time.
    """
    stream = await log.read(lambda sql: stream_of_owner(sql, owner, message_id))
    _check_not_archived(owner, stream)
    own = _until(time, stream)
    message = messages.fold(message_id, (one.event for one in own))
    if message.submission_state is not SubmissionState.SUBMITTED or not matches_owner(message.owner, owner):
        raise MessageNotFound(message_id)
    yield _until(time, await log.recorded_in([page_stream(message.page_id)]))
    for one in own:
        yield [one]
        for streams in _batches_planned_by(one, message):
            yield _until(time, await log.recorded_in(streams))


def stream_of_owner(sql: Sql, owner: str, message_id: str) -> Sequence[RecordedEvent]:
    """Return a message's stream; empty where the message is another owner's, at the cost of an unknown id.

    Of an archived message no row says whose it is: its last event does.
    """
    stream = message_stream(message_id)
    condition = "AND NOT EXISTS (SELECT 1 FROM messages WHERE message_id = :message_id AND owner <> :owner)"
    rows = sql.rows(
        f"""
        SELECT {sql.log_position} AS position, originator_version, topic, state FROM stored_events
        WHERE originator_id = :stream {"" if owner == ANY_OWNER else condition}
        ORDER BY originator_version
        """,  # noqa: S608 - our own words
        {"stream": stream, "message_id": message_id, "owner": owner},
    )
    return [RecordedEvent(row["position"], stream, row["originator_version"], decoded(stream, row)) for row in rows]


def _check_not_archived(owner: str, stream: Sequence[RecordedEvent]) -> None:
    """Whose message it was, its last event tells."""
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
    """Of each stream what had happened by then: clocks of processes differ, but a stream has no gaps."""
    later: set[str] = set()
    found = []
    for one in recorded:
        if one.event.time > time:
            later.add(one.stream)
        if one.stream not in later:
            found.append(one)
    return found
