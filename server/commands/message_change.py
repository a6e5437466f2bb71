"""One event on a message's stream, appended at the version that it was decided on; a conflict decides again."""

from collections.abc import Callable

from domain.errors import Aborted
from domain.event import RequestStamp
from domain.message import Message, check_not_archived
from domain.message_events import MessageEvent
from domain.streams import message_stream
from projections.sql import Sql
from server.commands.identity import first_answer
from server.commands.lookup import find_message, load_message
from server.commands.retry_planning import awaiting_automatic_round
from server.log.commit import Commit, Committed, EventLog, StreamEvents

REDOS = 20

Decide = Callable[[Message, bool], MessageEvent | None]  # the message, and whether a round would find somebody to retry


async def change(log: EventLog, owner: str, message_id: str, stamp: RequestStamp | None, decide: Decide) -> None:
    """Appends what is decided, if anything, unless the request was carried out before.

    Raises MessageNotFound, MessageIsArchived, RequestIdReused, Aborted, Unavailable, and what `decide` raises.
    """
    await log.read(lambda sql: find_message(sql, owner, message_id))
    for _ in range(REDOS):
        if await first_answer(log, stamp) is not None:
            return
        message = await load_message(log, message_id)
        check_not_archived(message)
        event = decide(message, await log.read(lambda sql: _somebody_waits(sql, owner, message_id)))
        if event is None:
            return
        commit = Commit([StreamEvents(message_stream(message_id), message.version, [event])])
        if isinstance(await log.commit(commit), Committed):
            return
    raise Aborted("the message changed too often meanwhile", message_id=message_id)


def _somebody_waits(sql: Sql, owner: str, message_id: str) -> bool:
    return awaiting_automatic_round(sql, find_message(sql, owner, message_id)) > 0
