"""Ends rounds: when nothing of a message is open, the next automatic round starts, or the message is completed.

Decided by a read after the last batch's own commit, and swept now and then (protocol rule 2).
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import structlog

from domain.batch_events import BatchCompleted, LateOutcomesRecorded
from domain.errors import Unavailable
from domain.event import RecordedEvent
from domain.message import Message, complete
from domain.message_events import MessageCancelled, MessageCompleted, MessageResumed
from domain.retry import RetryTrigger, RetryType
from domain.streams import message_stream
from projections import message_rows
from projections.message_rows import MessageRow
from projections.sql import Sql
from server.cluster.page_leases import is_owned_by_another
from server.commands.lookup import load_message
from server.commands.open_rounds import OpenRoundService
from server.commands.resend_planning import awaiting_automatic_round
from server.commands.rounds import AutomaticRoundService
from server.eventstore.commit import Commit, EventLog, StreamEvents

logger = structlog.get_logger()


class RoundFinalizer:
    """Looks at each message whose last batch may have come to its end."""

    def __init__(self, log: EventLog, rounds: AutomaticRoundService, worker: str, now: Callable[[], datetime]) -> None:
        self._log = log
        self._worker = worker
        self._rounds = rounds
        self._open_rounds = OpenRoundService(log, now)
        self._now = now
        self._due: dict[str, bool] = {}
        self._news = asyncio.Event()
        log.listen(self._hear)

    def _hear(self, recorded: Sequence[RecordedEvent]) -> None:
        for one in recorded:
            if isinstance(one.event, BatchCompleted | LateOutcomesRecorded | MessageCancelled | MessageResumed):
                self._look_at(one.event.message_id, swept=False)

    def look_at(self, message_id: str) -> None:
        """The sweep found that nothing of this message is open."""
        self._look_at(message_id, swept=True)

    def _look_at(self, message_id: str, *, swept: bool) -> None:
        self._due[message_id] = swept or self._due.get(message_id, False)
        self._news.set()

    async def run(self) -> None:
        """Works until it is cancelled; what could not be decided now, the sweep brings again."""
        while True:
            await self._news.wait()
            self._news.clear()
            due, self._due = self._due, {}
            for message_id in await self._over(due):
                await self._close_safely(message_id, swept=due[message_id])

    async def _over(self, due: Mapping[str, bool]) -> Sequence[str]:
        """Those of the messages that are not plainly under way, by one read for however many."""
        try:
            rows = await self._log.read(lambda sql: message_rows.find_each(sql, due))
        except Unavailable:
            logger.warning("log_away", part="round_closer", messages=len(due))
            return ()
        except Exception:
            logger.exception("rounds_not_read", messages=len(due))
            return ()
        return [message_id for message_id, row in rows.items() if not _is_under_way(row)]

    async def _close_safely(self, message_id: str, *, swept: bool) -> None:
        try:
            await self.close(message_id, swept=swept)
        except Unavailable:
            logger.warning("log_away", part="round_closer", message=message_id)
        except Exception:
            logger.exception("round_not_closed", message=message_id)

    async def close(self, message_id: str, *, swept: bool) -> None:
        """Goes on with a round that is not all planned; ends one of which nothing is open, with another or for good.

        News is heeded by the page's owner where it has one; what that missed, anybody's sweep finds.
        """
        row = await self._row(message_id)
        if row is None or _is_under_way(row):
            return
        page_id = row.page_id
        if not swept and await self._log.read(lambda sql: is_owned_by_another(sql, page_id, self._worker)):
            return
        if row.canary_round:
            if await self._open_rounds.go_on(message_id):
                self._look_at(message_id, swept=False)  # others have their turn first
            row = await self._row(message_id)
        if row is not None and not row.is_open and not row.canary_round:
            await self._end_round(row)

    async def _row(self, message_id: str) -> MessageRow | None:
        return await self._log.read(lambda sql: message_rows.find(sql, message_id))

    async def _end_round(self, row: MessageRow) -> None:
        message = await load_message(self._log, row.message_id)
        if row.page_hold is not None and _starts_rounds(message) and not row.completed:
            return  # whether another round comes is decided once the page is released: the sweep asks again
        if not await self._start_next_round(message) and not row.completed:
            await self._complete(message)

    async def _start_next_round(self, message: Message) -> bool:
        if message.retry_policy.type is not RetryType.AUTO or message.retry_policy.delay is not None:
            return False
        started = await self._rounds.start(
            message.id,
            RetryTrigger.AUTO,
            retry_count=message.retry_count,
            from_batch=message.automatic_from_batch,
        )
        return started is not None

    async def _complete(self, message: Message) -> None:
        """The counts are read after the message's version: every way out of `failed` moves that version."""
        completed = await self._log.read(lambda sql: self._completed(sql, message))
        if completed is not None:
            await self._log.commit(Commit([StreamEvents(message_stream(message.id), message.version, [completed])]))

    def _completed(self, sql: Sql, message: Message) -> MessageCompleted | None:
        row = message_rows.find(sql, message.id)
        if row is None:
            return None
        has_retryable_recipients = message.paused and awaiting_automatic_round(sql, row) > 0
        return complete(
            message,
            open_deliveries=int(row.is_open),
            has_retryable_recipients=has_retryable_recipients,
            now=self._now(),
        )


def _starts_rounds(message: Message) -> bool:
    """Its rounds start as soon as its page is released."""
    return message.retry_policy.type is RetryType.AUTO and not message.suspended


def _is_under_way(row: MessageRow) -> bool:
    return row.is_open and not row.canary_round
