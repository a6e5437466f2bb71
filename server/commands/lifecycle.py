"""Changes of one message's state: cancel, pause, resume, and the stop by its stop policy."""

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
from server.commands.decisions import Decision, append, commit_decision, commit_once
from server.commands.idempotency import PayloadHash, stamp_for
from server.commands.lookup import load_message, owner_filter, require_message
from server.commands.resend_planning import count_automatically_retryable
from server.eventstore.commit import Commit, EventLog, StreamEvents

CANCEL, PAUSE, RESUME = "CancelMessage", "PauseMessage", "ResumeMessage"
BATCHES_AT_ONCE = 100

LifecycleCommand = CancelMessage | PauseMessage | ResumeMessage


class CancelService:
    """Cancels messages, and then their pending deliveries."""

    def __init__(self, log: EventLog, now: Callable[[], datetime]) -> None:
        self._log = log
        self._now = now

    async def cancel(self, command: CancelMessage) -> MessageRow:
        """Cancel a message; raises MessageNotFound, MessageIsDone, RequestIdReused, Aborted, Unavailable."""
        stamp = stamp_for(CANCEL, command, PayloadHash(command).hexdigest())
        await _change(
            self._log,
            command,
            stamp,
            lambda message, has_retryable: messages.cancel(
                message,
                has_retryable_recipients=has_retryable,
                requested_by=command.owner,
                request=stamp,
                now=self._now(),
            ),
        )
        await self.cancel_batches(command.message_id)
        return await _load_row(self._log, command)

    async def cancel_batches(self, message_id: str) -> None:
        """Cancel the pending deliveries of a cancelled message.

        After a conflict the worker that changed the batch cancels its deliveries.
        """
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


class PauseService:
    """Pauses messages and resumes them. Workers receive the event, and check the message before each dispatch."""

    def __init__(self, log: EventLog, now: Callable[[], datetime]) -> None:
        self._log = log
        self._now = now

    async def pause(self, command: PauseMessage) -> MessageRow:
        """Pause a message.

        Raises MessageNotFound, MessageIsCancelled, MessageIsDone, RequestIdReused, Aborted, Unavailable.
        """
        stamp = stamp_for(PAUSE, command, PayloadHash(command).hexdigest())
        await _change(
            self._log,
            command,
            stamp,
            lambda message, has_retryable: messages.pause(
                message,
                has_retryable_recipients=has_retryable,
                requested_by=command.owner,
                request=stamp,
                now=self._now(),
            ),
        )
        return await _load_row(self._log, command)

    async def resume(self, command: ResumeMessage) -> MessageRow:
        """Resume a message; raises MessageNotFound, MessageIsCancelled, RequestIdReused, Aborted, Unavailable."""
        stamp = stamp_for(RESUME, command, PayloadHash(command).hexdigest())
        await _change(
            self._log,
            command,
            stamp,
            lambda message, _: messages.resume(message, requested_by=command.owner, request=stamp, now=self._now()),
        )
        return await _load_row(self._log, command)


async def _load_row(log: EventLog, command: LifecycleCommand) -> MessageRow:
    return await log.read(lambda sql: require_message(sql, owner_filter(command), command.message_id))


# Decides by the message, and by whether an automatic round would take a recipient; None changes nothing.
DecideChange = Callable[[Message, bool], MessageEvent | None]


async def _change(log: EventLog, command: LifecycleCommand, stamp: RequestStamp | None, decide: DecideChange) -> None:
    """Append what is decided, unless the request was carried out before.

    Raises MessageNotFound, MessageIsArchived, RequestIdReused, Aborted, Unavailable, and what `decide` raises.
    """

    async def decision() -> Decision[None]:
        message = await load_message(log, command.message_id)
        check_not_archived(message)
        event = decide(message, await log.read(lambda sql: _has_retryable_recipients(sql, command)))
        return Decision(None, append(message_stream(message.id), message.version, [event] if event else []))

    await _load_row(log, command)
    aborted = Aborted("the message changed too often during the request", message_id=command.message_id)
    await commit_once(log, stamp, decision, lambda _: None, aborted)


def _has_retryable_recipients(sql: Sql, command: LifecycleCommand) -> bool:
    message = require_message(sql, owner_filter(command), command.message_id)
    return count_automatically_retryable(sql, message) > 0


class StopService:
    """Stops messages by their stop policy. Workers receive the event, and check the message before each dispatch."""

    def __init__(self, log: EventLog, now: Callable[[], datetime]) -> None:
        self._log = log
        self._now = now

    async def stop(self, message_id: str, reason: Stop) -> bool:
        """Stop a message and return True, unless nothing is pending or it is paused or done.

        If a resume or a manual resend is committed first, the message is not stopped, because a person decided after
        the failures. Raises Aborted, Unavailable.
        """
        decided_at = (await load_message(self._log, message_id)).version

        async def decision() -> Decision[bool]:
            message = await load_message(self._log, message_id)
            row = await self._log.read(lambda sql: message_rows.find(sql, message_id))
            pending = row.counts[DeliveryStatus.PENDING] if row is not None else 0
            event = stop(message, reason, decided_at=decided_at, pending_deliveries=pending, now=self._now())
            return Decision(
                event is not None, append(message_stream(message_id), message.version, [event] if event else [])
            )

        aborted = Aborted("the message changed too often", message_id=message_id)
        return await commit_decision(self._log, decision, aborted)
