"""ProcessBatches: frees the batches of workers that gave no sign of life, and starts what is pending."""

from collections.abc import Callable
from datetime import datetime

from domain import batch_decisions
from domain.batch import fold
from domain.streams import batch_stream
from projections import batches
from projections.batches import BatchRow
from projections.sql import Sql
from server.cluster.page_leases import living
from server.commands.lookup import find_message
from server.eventstore.commit import Commit, Committed, EventLog, StreamEvents
from server.sending.batch_receipts import receipts_of
from server.sending.dispatcher import Dispatcher

LOOKED_AT = 1_000_000  # batches of one message: more than any message has


class StuckBatches:
    """Finds and frees them; what they had in flight is unconfirmed then (invariant 5)."""

    def __init__(self, log: EventLog, dispatcher: Dispatcher, worker: str, now: Callable[[], datetime]) -> None:
        self._log = log
        self._dispatcher = dispatcher
        self._worker = worker
        self._now = now

    async def process(self, owner: str, message_id: str) -> tuple[int, int]:
        """Batches freed, and batches open now; raises MessageNotFound, Unavailable."""
        await self._log.read(lambda sql: find_message(sql, owner, message_id))
        released = 0
        for row in await self._log.read(lambda sql: self._stuck(sql, message_id)):
            released += await self._release(row)
        self._dispatcher.wake()
        return released, await self._log.read(lambda sql: batches.count_open(sql, message_id))

    def _stuck(self, sql: Sql, message_id: str) -> list[BatchRow]:
        alive = living(sql)
        started = batches.list_of_message(sql, message_id, statuses=["STARTED"], limit=LOOKED_AT)
        return [row for row in started if row.worker not in alive or self._is_lost(row)]

    def _is_lost(self, row: BatchRow) -> bool:
        """This process claimed it, but nothing in it works on it."""
        return row.worker == self._worker and not self._dispatcher.is_running((row.message_id, row.number))

    def _sign_of_life(self, sql: Sql, row: BatchRow) -> str | None:
        """Another process that was given up, but has its lease again, keeps its batch."""
        return "alive" if row.worker != self._worker and row.worker in living(sql) else None

    async def _release(self, row: BatchRow) -> bool:
        stream = batch_stream(row.message_id, row.stage, row.number)
        batch = fold(await self._log.load(stream))
        is_same_claim = batch.claim is not None and batch.claim.generation == row.generation
        if not is_same_claim or self._dispatcher.is_running((row.message_id, row.number)):
            return False
        known = await self._log.read(lambda sql: receipts_of(sql, batch))
        events = batch_decisions.release(batch, now=self._now(), receipts=known)
        commit = Commit([StreamEvents(stream, batch.version, events)], guard=lambda sql: self._sign_of_life(sql, row))
        result = await self._log.commit(commit)
        return isinstance(result, Committed)
