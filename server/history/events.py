"""ListEvents: the log of one message."""

from collections.abc import Sequence
from heapq import merge
from itertools import islice

import msgspec

from domain.message import check_not_archived, fold
from domain.streams import message_stream
from projections.recorded import Recorded
from projections.sql import Sql
from server.commands.lookup import find_message
from server.history.message_log import streams_of_message
from server.history.page_log import lifetime, page_events
from server.log.commit import EventLog
from server.log.stream import recorded_in


class EventFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Whose events: a message's with its page's and its batches', or those of one batch alone (0 = of all)."""

    owner: str
    message_id: str
    batch_number: int = 0
    without_batches: bool = False


async def list_events(log: EventLog, wanted: EventFilter, *, after: int, limit: int) -> Sequence[Recorded]:
    """Events in the log's order, after the last one seen; raises MessageNotFound, MessageIsArchived, Unavailable."""
    return await log.read(lambda sql: _listed(sql, wanted, after, limit))


def _listed(sql: Sql, wanted: EventFilter, after: int, limit: int) -> Sequence[Recorded]:
    """All in one snapshot: what is committed between two reads would be passed over by the next page."""
    find_message(sql, wanted.owner, wanted.message_id)
    own = message_stream(wanted.message_id)
    stream = recorded_in(sql, [own], position=sql.log_position, after=0, limit=None)
    message = fold(wanted.message_id, (one.event for one in stream))
    check_not_archived(message)
    streams = [own] if wanted.without_batches else streams_of_message(message, wanted.batch_number)
    found = recorded_in(sql, streams, position=sql.log_position, after=after, limit=limit)
    if wanted.batch_number:
        return found
    of_page = page_events(sql, message.page_id, lifetime(message, stream), after=after, limit=limit)
    return list(islice(merge(found, of_page, key=lambda one: one.position), limit))
