"""Cancel: nothing more of a message leaves."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

from domain import batch as batches
from domain import batch_decisions
from domain import message as messages
from domain.commands import CancelMessage, PauseMessage, ResumeMessage
from domain.delivery import DeliveryStatus
from domain.errors import Aborted
from domain.event import RequestStamp
from domain.message import Message, check_not_archived, stop
from domain.message_events import MessageEvent
from domain.stop_policy import Stop
from domain.streams import batch_stream, message_stream
from projections import message_rows
from projections.batches import BatchRow, open_of_message
from projections.message_rows import MessageRow
from projections.sql import Sql
from server.commands.idempotency import PayloadHash, first_answer, stamp_for
from server.commands.lookup import find_message, load_message, reach
from server.commands.resend_planning import awaiting_automatic_round
from server.eventstore.commit import Commit, Committed, EventLog, StreamEvents

METHOD = "CancelMessage"
BATCHES_AT_ONCE = 100


class CancelService:
    """Cancels messages, and then what is pending of them."""

    def __init__(self, log: EventLog, now: Callable[[], datetime]) -> None:
        self._log = log
        self._now = now

    async def cancel(self, command: CancelMessage) -> MessageRow:
        """Stops a message for good; raises MessageNotFound, MessageIsDone, RequestIdReused, Aborted, Unavailable."""
        stamp = stamp_for(METHOD, command, PayloadHash(command).hexdigest())
        await change(
            self._log,
            reach(command),
            command.message_id,
            stamp,
            lambda message, has_retryable_recipients: messages.cancel(
                message,
                has_retryable_recipients=has_retryable_recipients,
                requested_by=command.owner,
                request=stamp,
                now=self._now(),
            ),
        )
        await self.cancel_batches(command.message_id)
        return await self._log.read(lambda sql: find_message(sql, reach(command), command.message_id))

    async def cancel_batches(self, message_id: str) -> None:
        """Cancels what is pending in a cancelled message's batches; a worker cancels what it changes meanwhile."""
        after = 0
        while rows := await self._log.read(_open_batches(message_id, after)):
            await asyncio.gather(*(self._cancel_batch(row) for row in rows))
            after = rows[-1].number

    async def _cancel_batch(self, row: BatchRow) -> None:
        stream = batch_stream(row.message_id, row.stage, row.number)
        batch = batches.fold(await self._log.load(stream))
        events = batch_decisions.cancel(batch, now=self._now())
        if events:
            await self._log.commit(Commit([StreamEvents(stream, batch.version, events)]))


def _open_batches(message_id: str, after: int) -> Callable[[Sql], Sequence[BatchRow]]:
    return lambda sql: open_of_message(sql, message_id, after=after, limit=BATCHES_AT_ONCE)


# Pause and resume: a message is held back, and goes on where it was.


PAUSE, RESUME = "PauseMessage", "ResumeMessage"


class PauseService:
    """Pauses messages and resumes them; workers hear of it, and ask before each dispatch."""

    def __init__(self, log: EventLog, now: Callable[[], datetime]) -> None:
        self._log = log
        self._now = now

    async def pause(self, command: PauseMessage) -> MessageRow:
        """Holds a message back; raises MessageNotFound, MessageIsCancelled, MessageIsDone, RequestIdReused, Aborted."""
        stamp = stamp_for(PAUSE, command, PayloadHash(command).hexdigest())
        await change(
            self._log,
            reach(command),
            command.message_id,
            stamp,
            lambda message, has_retryable_recipients: messages.pause(
                message,
                has_retryable_recipients=has_retryable_recipients,
                requested_by=command.owner,
                request=stamp,
                now=self._now(),
            ),
        )
        return await self._row(command)

    async def resume(self, command: ResumeMessage) -> MessageRow:
        """Lets a message go on; raises MessageNotFound, MessageIsCancelled, RequestIdReused, Aborted."""
        stamp = stamp_for(RESUME, command, PayloadHash(command).hexdigest())
        await change(
            self._log,
            reach(command),
            command.message_id,
            stamp,
            lambda message, _: messages.resume(message, requested_by=command.owner, request=stamp, now=self._now()),
        )
        return await self._row(command)

    async def _row(self, command: PauseMessage | ResumeMessage) -> MessageRow:
        return await self._log.read(lambda sql: find_message(sql, reach(command), command.message_id))


# Stops a message on behalf of the service, when its attempts show that more of them would fail.


STOP_REDOS = 20


class StopService:
    """Appends MessageStopped; workers hear of it, and ask before each dispatch."""

    def __init__(self, log: EventLog, now: Callable[[], datetime]) -> None:
        self._log = log
        self._now = now

    async def stop(self, message_id: str, reason: Stop) -> bool:
        """Stop a message unless nothing is pending, or it is held back or over; raises Aborted, Unavailable.

        A resume or a resend by hand that comes first wins: it is a later decision than the failures.
        """
        decided_at: int | None = None
        for _ in range(STOP_REDOS):
            message = await load_message(self._log, message_id)
            decided_at = message.version if decided_at is None else decided_at
            row = await self._log.read(lambda sql: message_rows.find(sql, message_id))
            pending = row.counts[DeliveryStatus.PENDING] if row is not None else 0
            event = stop(message, reason, decided_at=decided_at, pending_deliveries=pending, now=self._now())
            if event is None:
                return False
            commit = Commit([StreamEvents(message_stream(message_id), message.version, [event])])
            if isinstance(await self._log.commit(commit), Committed):
                return True
        raise Aborted("the message changed too often", message_id=message_id)


# One event on a message's stream, appended at the version that it was decided on; a conflict decides again.


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
