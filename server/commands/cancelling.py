"""Cancel: nothing more of a message leaves."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

from domain import batch as batches
from domain import batch_decisions
from domain import message as messages
from domain.commands import CancelMessage
from domain.errors import Aborted
from domain.retry import PLAIN
from domain.streams import batch_stream, message_stream
from projections.batches import BatchRow, open_of_message
from projections.message_rows import MessageRow
from projections.sql import Sql
from server.commands.identity import PayloadHash, first_answer, stamp_for
from server.commands.lookup import find_message, load_message
from server.commands.retry_planning import retryable
from server.log.commit import Commit, Committed, EventLog, StreamEvents

METHOD = "CancelMessage"
REDOS = 20
BATCHES_AT_ONCE = 100


class CancelService:
    """Cancels messages, and then what is pending of them."""

    def __init__(self, log: EventLog, now: Callable[[], datetime]) -> None:
        self._log = log
        self._now = now

    async def cancel(self, command: CancelMessage) -> MessageRow:
        """Stops a message for good; raises MessageNotFound, MessageIsDone, RequestIdReused, Aborted, Unavailable."""
        await self._log.read(lambda sql: find_message(sql, command.owner, command.message_id))
        await self._cancel_message(command)
        await self.cancel_batches(command.message_id)
        return await self._log.read(lambda sql: find_message(sql, command.owner, command.message_id))

    async def _cancel_message(self, command: CancelMessage) -> None:
        stamp = stamp_for(METHOD, command, PayloadHash(command).hexdigest())
        for _ in range(REDOS):
            if await first_answer(self._log, stamp) is not None:
                return
            message = await load_message(self._log, command.message_id)
            waiting = await self._log.read(lambda sql: _waiting(sql, command))
            cancelled = messages.cancel(
                message, somebody_waits=waiting > 0, requested_by=command.owner, request=stamp, now=self._now()
            )
            if cancelled is None:
                return
            commit = Commit([StreamEvents(message_stream(message.id), message.version, [cancelled])])
            if isinstance(await self._log.commit(commit), Committed):
                return
        raise Aborted("the message changed too often meanwhile", message_id=command.message_id)

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


def _waiting(sql: Sql, command: CancelMessage) -> int:
    return retryable(sql, find_message(sql, command.owner, command.message_id), PLAIN)


def _open_batches(message_id: str, after: int) -> Callable[[Sql], Sequence[BatchRow]]:
    return lambda sql: open_of_message(sql, message_id, after=after, limit=BATCHES_AT_ONCE)
