"""ListEvents: the events of a message, its batches and its page."""

from collections.abc import Sequence
from heapq import merge
from itertools import islice
from typing import NamedTuple

import msgspec

from domain.event import Event, RecordedEvent
from domain.message import Message, check_not_archived, fold
from domain.message_events import MessageCompleted, MessageSubmitted
from domain.page_events import (
    PageHeld,
    PageReleased,
    PageSettingsChanged,
    PageShared,
    PageTokenReplaced,
    PageTransferred,
)
from domain.streams import message_stream, page_stream
from projections.sql import Sql
from server.commands.lookup import require_message
from server.eventstore.commit import EventLog
from server.eventstore.message_streams import streams_of_message
from server.eventstore.stream import EVENTS_AT_ONCE, WITHOUT_END, recorded_in, recorded_within

MAX_PAGE_BYTES = 1024 * 1024  # as stored: an answer of 2 MB, below the 4 MiB that gRPC clients accept by default


_SHOWN_PAGE_EVENTS = (PageHeld, PageReleased, PageTokenReplaced, PageShared, PageTransferred)


class EventFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which events to list: of a message with its page and all batches, or of one batch alone (0: of all)."""

    owner: str
    message_id: str
    batch_number: int = 0
    without_batches: bool = False


class EventPage(NamedTuple):
    """Some events in the log's order. More follow if there are as many as the limit, or if the page is cut short."""

    events: Sequence[RecordedEvent]
    is_cut_short: bool


async def list_events(log: EventLog, wanted: EventFilter, *, after: int, limit: int) -> EventPage:
    """Return events after a position, at most MAX_PAGE_BYTES as the log stores them.

    Raises MessageNotFound, MessageIsArchived, Unavailable.
    """
    return await log.read(lambda sql: _listed(sql, wanted, after, limit))


def _listed(sql: Sql, wanted: EventFilter, after: int, limit: int) -> EventPage:
    """Read all in one snapshot: the next page would skip an event that is committed between two reads."""
    require_message(sql, wanted.owner, wanted.message_id)
    own = message_stream(wanted.message_id)
    stream = recorded_in(sql, [own], position=sql.log_position, after=0, limit=None)
    message = fold(wanted.message_id, (one.event for one in stream))
    check_not_archived(message)
    streams = [own] if wanted.without_batches else streams_of_message(message, wanted.batch_number)
    found = recorded_within(sql, streams, after=after, limit=limit, most_bytes=MAX_PAGE_BYTES)
    if wanted.batch_number:
        return EventPage(*found)
    of_page = page_events(sql, message.page_id, lifetime(message, stream), after=after, limit=limit)
    end = found.recorded[-1].position if found.is_cut_short else WITHOUT_END
    events = merge(found.recorded, (one for one in of_page if one.position < end), key=lambda one: one.position)
    return EventPage(list(islice(events, limit)), found.is_cut_short)


class Lifetime(NamedTuple):
    """The positions at which a message was submitted and completed; a resend postpones its completion."""

    begin: int
    end: int


def lifetime(message: Message, stream: Sequence[RecordedEvent]) -> Lifetime:
    """Return the lifetime of a submitted message, given its whole stream; without end while it is not completed."""
    begin = next(one.position for one in stream if isinstance(one.event, MessageSubmitted))
    if not message.completed:
        return Lifetime(begin, WITHOUT_END)
    return Lifetime(begin, max(one.position for one in stream if isinstance(one.event, MessageCompleted)))


def page_events(sql: Sql, page_id: str, life: Lifetime, *, after: int, limit: int) -> Sequence[RecordedEvent]:
    """Return the events of a page during a message's lifetime, in the log's order, after a position.

    A PutPage that changed no setting is left out, because some callers put their page before each message. The page's
    stream may be long, so it is read in parts, and no further than needed.
    """
    found: list[RecordedEvent] = []
    position = max(after, life.begin)
    while position < life.end and len(found) < limit:
        part = recorded_in(sql, [page_stream(page_id)], position=sql.log_position, after=position, limit=EVENTS_AT_ONCE)
        found += (one for one in part if _is_shown(one.event) and one.position < life.end)
        position = part[-1].position if len(part) == EVENTS_AT_ONCE else life.end
    return found[:limit]


def _is_shown(event: Event) -> bool:
    return isinstance(event, _SHOWN_PAGE_EVENTS) or (isinstance(event, PageSettingsChanged) and bool(event.changed))
