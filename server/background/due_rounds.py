"""Starts the automatic rounds of messages that have a retry schedule of their own, each when it is due.

Every second, DueRounds reads the rounds that are newly due. From time to time, and after each change of a page,
it reads all rounds that are due: recipients may have become retryable.
"""

import asyncio
import time
from collections.abc import Sequence

import structlog

from domain.errors import Unavailable
from domain.event import RecordedEvent
from domain.page_events import PageEvent
from domain.retry import RetryTrigger
from projections import message_rows, pages
from projections.message_rows import MessageRow
from projections.sql import Micros, Sql, from_micros
from server.cluster.page_leases import is_owned_by_another, retry_after_of
from server.commands.resend_planning import count_automatically_retryable
from server.commands.rounds import AutomaticRoundService
from server.eventstore.commit import EventLog

logger = structlog.get_logger()

POLL_SECONDS = 1.0
FULL_READ_SECONDS = 900.0  # between two reads of all rounds that are due
OWNER_SECONDS = 10.0  # time for the owner of the page to start a round, before other processes check it again
MESSAGES_AT_ONCE = 100

Cursor = tuple[Micros, str]  # a message's due time and id
FIRST: Cursor = (0, "")


class DueRounds:
    """Starts due rounds.

    The owner of a page starts the rounds of its messages. Without an owner, several processes may try, and one of them
    plans the round.
    """

    def __init__(self, log: EventLog, rounds: AutomaticRoundService, worker: str) -> None:
        self._log = log
        self._rounds = rounds
        self._worker = worker
        self._read_until = FIRST
        self._full_read_at = 0.0
        self._waiting: dict[str, float] = {}  # messages that are due, and when to check them again
        log.listen(self._on_events)

    def _on_events(self, recorded: Sequence[RecordedEvent]) -> None:
        if any(isinstance(one.event, PageEvent) for one in recorded):
            self._full_read_at = 0.0

    async def run(self) -> None:
        """Start due rounds every second until cancelled; after a failure, read all rounds that are due."""
        while True:
            try:
                await self.start_due()
            except Unavailable:
                logger.warning("log_away", part="due_rounds")
                self._full_read_at = 0.0
            except Exception:
                logger.exception("due_rounds_broke")
                self._full_read_at = 0.0
            await asyncio.sleep(POLL_SECONDS)

    async def start_due(self) -> None:
        """Start the rounds that became due since the last call, and those that had to wait; raises Unavailable."""
        now, until = time.monotonic(), await self._log.read(lambda sql: sql.clock())
        cursor = self._read_until
        if now >= self._full_read_at:
            cursor, self._full_read_at = FIRST, now + FULL_READ_SECONDS
        while rows := await self._due(cursor, until):
            for row in rows:
                await self._start_safely(row)
            cursor = (rows[-1].next_retry_time or until, rows[-1].message_id)
        self._read_until = (until, "")
        for message_id in [waiting for waiting, at in self._waiting.items() if at <= now]:
            await self._start_waiting(message_id)

    async def _due(self, cursor: Cursor, until: Micros) -> Sequence[MessageRow]:
        return await self._log.read(
            lambda sql: message_rows.due_by_own_schedule(sql, after=cursor, until=until, limit=MESSAGES_AT_ONCE)
        )

    async def _start_waiting(self, message_id: str) -> None:
        del self._waiting[message_id]
        row = await self._log.read(lambda sql: message_rows.find(sql, message_id))
        if row is not None and row.next_retry_time is not None:
            await self._start_safely(row)

    async def _start_safely(self, row: MessageRow) -> None:
        """Start a message's round; an exception other than Unavailable does not stop the rounds of other messages."""
        try:
            await self._start(row)
        except Unavailable:
            raise
        except Exception:
            logger.exception("due_round_broke", message=row.message_id)

    async def _start(self, row: MessageRow) -> None:
        wait = await self._log.read(lambda sql: self._seconds_to_wait(sql, row))
        if wait is None or row.next_retry_time is None:
            return
        if wait > 0:
            self._waiting[row.message_id] = time.monotonic() + wait
            return
        trigger, tick = RetryTrigger(row.retry_policy.type), from_micros(row.next_retry_time).isoformat()
        await self._rounds.start(
            row.message_id, trigger, retry_count=row.retry_count, from_batch=row.automatic_from_batch, tick=tick
        )

    def _seconds_to_wait(self, sql: Sql, row: MessageRow) -> float | None:
        """Return the seconds before the round may start here; None if no recipient is retryable or the page is held."""
        if row.page_id in pages.holds(sql, [row.page_id]) or not count_automatically_retryable(sql, row):
            return None
        if is_owned_by_another(sql, row.page_id, self._worker):
            return OWNER_SECONDS
        return retry_after_of(sql, row.page_id)
