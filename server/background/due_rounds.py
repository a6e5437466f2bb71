"""Starts the rounds of messages that have a retry schedule of their own, each when it is due.

What falls due is looked for every second. All that is due is looked at now and then, and whenever something changes
about a page: somebody may have become retryable.
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
from server.cluster.page_leases import closed_for, is_owned_by_another
from server.commands.resend_planning import awaiting_automatic_round
from server.commands.rounds import AutomaticRoundService
from server.eventstore.commit import EventLog

logger = structlog.get_logger()

POLL_SECONDS = 1.0
LOOK_BACK_SECONDS = 900.0  # between two looks at all that is due
OWNER_SECONDS = 10.0  # that a page's owner has to start a round, before anybody else looks at it again
MESSAGES_AT_ONCE = 100
BEGINNING: tuple[Micros, str] = (0, "")


class DueRounds:
    """A page's messages are its owner's matter; where nobody owns it, several may try, and one plans the round."""

    def __init__(self, log: EventLog, rounds: AutomaticRoundService, worker: str) -> None:
        self._log = log
        self._rounds = rounds
        self._worker = worker
        self._seen = BEGINNING
        self._look_back_at = 0.0
        self._waiting: dict[str, float] = {}  # messages that are due, and when to look at them again
        log.listen(self._hear)

    def _hear(self, recorded: Sequence[RecordedEvent]) -> None:
        if any(isinstance(one.event, PageEvent) for one in recorded):
            self._look_back_at = 0.0

    async def run(self) -> None:
        """Looks every second, until it is cancelled; after a failure all that is due is looked at anew."""
        while True:
            try:
                await self.look()
            except Unavailable:
                logger.warning("log_away", part="due_rounds")
                self._look_back_at = 0.0
            except Exception:
                logger.exception("due_rounds_broke")
                self._look_back_at = 0.0
            await asyncio.sleep(POLL_SECONDS)

    async def look(self) -> None:
        """Starts what has fallen due since the last look, and what has waited; raises Unavailable."""
        now, until = time.monotonic(), await self._log.read(lambda sql: sql.clock())
        place = self._seen
        if now >= self._look_back_at:
            place, self._look_back_at = BEGINNING, now + LOOK_BACK_SECONDS
        while rows := await self._due(place, until):
            for row in rows:
                await self._start_safely(row)
            place = (rows[-1].next_retry_time or until, rows[-1].message_id)
        self._seen = (until, "")
        for message_id in [waiting for waiting, at in self._waiting.items() if at <= now]:
            await self._look_again(message_id)

    async def _due(self, place: tuple[Micros, str], until: Micros) -> Sequence[MessageRow]:
        return await self._log.read(
            lambda sql: message_rows.due_by_own_schedule(sql, after=place, until=until, limit=MESSAGES_AT_ONCE)
        )

    async def _look_again(self, message_id: str) -> None:
        del self._waiting[message_id]
        row = await self._log.read(lambda sql: message_rows.find(sql, message_id))
        if row is not None and row.next_retry_time is not None:
            await self._start_safely(row)

    async def _start_safely(self, row: MessageRow) -> None:
        """A defect that one message meets does not keep the others from their rounds."""
        try:
            await self._start(row)
        except Unavailable:
            raise
        except Exception:
            logger.exception("due_round_broke", message=row.message_id)

    async def _start(self, row: MessageRow) -> None:
        wait = await self._log.read(lambda sql: self._wait(sql, row))
        if wait is None or row.next_retry_time is None:
            return
        if wait > 0:
            self._waiting[row.message_id] = time.monotonic() + wait
            return
        trigger, tick = RetryTrigger(row.retry_policy.type), from_micros(row.next_retry_time).isoformat()
        await self._rounds.start(
            row.message_id, trigger, retry_count=row.retry_count, from_batch=row.automatic_from_batch, tick=tick
        )

    def _wait(self, sql: Sql, row: MessageRow) -> float | None:
        """Seconds before the round may start here; None when there is nobody to retry, or the page is on hold."""
        if row.page_id in pages.holds(sql, [row.page_id]) or not awaiting_automatic_round(sql, row):
            return None
        if is_owned_by_another(sql, row.page_id, self._worker):
            return OWNER_SECONDS
        return closed_for(sql, row.page_id)
