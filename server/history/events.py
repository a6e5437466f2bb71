"""ListEvents: the log of one message."""

from collections.abc import Sequence
from heapq import merge
from itertools import islice
from typing import NamedTuple

import msgspec

from domain.message import check_not_archived, fold
from domain.streams import message_stream
from projections.recorded import Recorded
from projections.sql import Sql
from server.commands.lookup import find_message
from server.history.message_log import streams_of_message
from server.history.page_log import lifetime, page_events
from server.log.commit import EventLog
from server.log.stream import WITHOUT_END, recorded_in, recorded_within

MOST_BYTES = 1024 * 1024  # of one page: an answer of 2 MB, below the 4 MiB that a gRPC client takes if nothing is set


class EventFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Whose events: a message's with its page's and its batches', or those of one batch alone (0 = of all)."""

    owner: str
    message_id: str
    batch_number: int = 0
    without_batches: bool = False


class EventPage(NamedTuple):
    """Some events in the log's order; more follow if they are as many as were asked for, or cut short."""

    events: Sequence[Recorded]
    is_cut_short: bool


async def list_events(log: EventLog, wanted: EventFilter, *, after: int, limit: int) -> EventPage:
    """Return events after the last one seen, of at most MOST_BYTES as the log keeps them.

    Raises MessageNotFound, MessageIsArchived, Unavailable.
    """
    return await log.read(lambda sql: _listed(sql, wanted, after, limit))


def _listed(sql: Sql, wanted: EventFilter, after: int, limit: int) -> EventPage:
    """All in one snapshot: what is committed between two reads would be passed over by the next page."""
    find_message(sql, wanted.owner, wanted.message_id)
    own = message_stream(wanted.message_id)
    stream = recorded_in(sql, [own], position=sql.log_position, after=0, limit=None)
    message = fold(wanted.message_id, (one.event for one in stream))
    check_not_archived(message)
    streams = [own] if wanted.without_batches else streams_of_message(message, wanted.batch_number)
    found = recorded_within(sql, streams, after=after, limit=limit, most_bytes=MOST_BYTES)
    if wanted.batch_number:
        return EventPage(*found)
    of_page = page_events(sql, message.page_id, lifetime(message, stream), after=after, limit=limit)
    end = found.recorded[-1].position if found.is_cut_short else WITHOUT_END
    events = merge(found.recorded, (one for one in of_page if one.position < end), key=lambda one: one.position)
    return EventPage(list(islice(events, limit)), found.is_cut_short)
