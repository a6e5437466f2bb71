"""ListEvents: the log of one message."""

from collections.abc import Sequence

import msgspec

from domain.message import check_not_archived
from projections.recorded import Recorded
from server.commands.lookup import find_message, load_message
from server.history.message_log import streams_of_message
from server.log.commit import EventLog


class EventFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Whose events: a message's, or those of one of its batches (0 = of all)."""

    owner: str
    message_id: str
    batch_number: int = 0


async def list_events(log: EventLog, wanted: EventFilter, *, after: int, limit: int) -> Sequence[Recorded]:
    """Events in the log's order, after the last one seen; raises MessageNotFound, MessageIsArchived, Unavailable."""
    await log.read(lambda sql: find_message(sql, wanted.owner, wanted.message_id))
    message = await load_message(log, wanted.message_id)
    check_not_archived(message)
    return await log.recorded_in(streams_of_message(message, wanted.batch_number), after=after, limit=limit)
