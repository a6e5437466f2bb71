"""RoundFinalizer: when a message has no open delivery, it starts the next automatic round or completes the message.

It reads the message after the commit of the last batch. When two last batches are committed at the same time, both
reads may miss the end of the round; the reconciler finds such messages (protocol rule 2).
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
from server.commands.resend_planning import count_automatically_retryable
from server.commands.rounds import AutomaticRoundService
from server.eventstore.commit import Commit, EventLog, StreamEvents

logger = structlog.get_logger()


class RoundFinalizer:
    """Checks each message whose last open delivery may have ended."""

    def __init__(self, log: EventLog, rounds: AutomaticRoundService, worker: str, now: Callable[[], datetime]) -> None:
        self._log = log
        self._worker = worker
        self._rounds = rounds
        self._open_rounds = OpenRoundService(log, now)
        self._now = now
        self._queue: dict[str, bool] = {}  # messages to check; true for those that the reconciler found
        self._wakeup = asyncio.Event()
        log.listen(self._on_events)

    def _on_events(self, recorded: Sequence[RecordedEvent]) -> None:
        for one in recorded:
            if isinstance(one.event, BatchCompleted | LateOutcomesRecorded | MessageCancelled | MessageResumed):
                self._enqueue(one.event.message_id, by_reconciler=False)

    def enqueue(self, message_id: str) -> None:
        """Check a message that the reconciler found."""
        self._enqueue(message_id, by_reconciler=True)

    def _enqueue(self, message_id: str, *, by_reconciler: bool) -> None:
        self._queue[message_id] = by_reconciler or self._queue.get(message_id, False)
        self._wakeup.set()

    async def run(self) -> None:
        """Check messages until cancelled; the reconciler finds again those whose check failed."""
        while True:
            await self._wakeup.wait()
            self._wakeup.clear()
            queue, self._queue = self._queue, {}
            for message_id in await self._idle(queue):
                await self._finalize_safely(message_id, by_reconciler=queue[message_id])

    async def _idle(self, queue: Mapping[str, bool]) -> Sequence[str]:
        """Return the messages that may need a decision, in one read."""
        try:
            rows = await self._log.read(lambda sql: message_rows.find_each(sql, queue))
        except Unavailable:
            logger.warning("log_away", part="round_finalizer", messages=len(queue))
            return ()
        except Exception:
            logger.exception("rounds_not_read", messages=len(queue))
            return ()
        return [message_id for message_id, row in rows.items() if not _is_sending(row)]

    async def _finalize_safely(self, message_id: str, *, by_reconciler: bool) -> None:
        try:
            await self.finalize(message_id, by_reconciler=by_reconciler)
        except Unavailable:
            logger.warning("log_away", part="round_finalizer", message=message_id)
        except Exception:
            logger.exception("round_not_closed", message=message_id)

    async def finalize(self, message_id: str, *, by_reconciler: bool) -> None:
        """Continue the planning of an open round; end a round without open deliveries. Raises Unavailable.

        Only the page's owner reacts to events. Any process's reconciler finds what the owner missed.
        """
        row = await self._row(message_id)
        if row is None or _is_sending(row):
            return
        page_id = row.page_id
        if not by_reconciler and await self._log.read(lambda sql: is_owned_by_another(sql, page_id, self._worker)):
            return
        if row.canary_round:
            if await self._open_rounds.continue_round(message_id):
                self._enqueue(message_id, by_reconciler=False)  # check other messages first
            row = await self._row(message_id)
        if row is not None and not row.is_open and not row.canary_round:
            await self._end_round(row)

    async def _row(self, message_id: str) -> MessageRow | None:
        return await self._log.read(lambda sql: message_rows.find(sql, message_id))

    async def _end_round(self, row: MessageRow) -> None:
        message = await load_message(self._log, row.message_id)
        if row.page_hold is not None and _has_automatic_rounds(message) and not row.completed:
            return  # the decision waits for the release of the page; the reconciler finds the message again
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
        """Complete the message, unless its stream has a newer version than `message`.

        The counts are read after that version. Each way out of `failed` appends to the message's stream, so a
        recipient who became retryable leads to a conflict.
        """
        completed = await self._log.read(lambda sql: self._completed(sql, message))
        if completed is not None:
            await self._log.commit(Commit([StreamEvents(message_stream(message.id), message.version, [completed])]))

    def _completed(self, sql: Sql, message: Message) -> MessageCompleted | None:
        row = message_rows.find(sql, message.id)
        if row is None:
            return None
        has_retryable_recipients = message.paused and count_automatically_retryable(sql, row) > 0
        return complete(
            message,
            open_deliveries=int(row.is_open),
            has_retryable_recipients=has_retryable_recipients,
            now=self._now(),
        )


def _has_automatic_rounds(message: Message) -> bool:
    """Return whether the message's automatic rounds start as soon as its page is released."""
    return message.retry_policy.type is RetryType.AUTO and not message.suspended


def _is_sending(row: MessageRow) -> bool:
    """Return whether the message has open deliveries and is fully planned: there is nothing to decide."""
    return row.is_open and not row.canary_round
