"""Cancel: nothing more of a message leaves."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

from domain import batch as batches
from domain import batch_decisions
from domain import message as messages
from domain.commands import CancelMessage
from domain.streams import batch_stream
from projections.batches import BatchRow, open_of_message
from projections.message_rows import MessageRow
from projections.sql import Sql
from server.commands.identity import PayloadHash, stamp_for
from server.commands.lookup import find_message, reach
from server.commands.message_change import change
from server.log.commit import Commit, EventLog, StreamEvents

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
            lambda message, somebody_waits: messages.cancel(
                message,
                somebody_waits=somebody_waits,
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
