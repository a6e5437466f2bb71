"""StuckBatches: releases the batches of dead processes for ProcessBatches, and wakes the dispatcher."""

from collections.abc import Callable
from datetime import datetime

from domain import batch_decisions
from domain.batch import fold
from domain.streams import batch_stream
from projections import batches
from projections.batches import BatchRow
from projections.sql import Sql
from server.cluster.page_leases import live_processes
from server.commands.lookup import require_message
from server.eventstore.commit import Commit, Committed, EventLog, StreamEvents
from server.sending.batch_receipts import load_receipts
from server.sending.dispatcher import Dispatcher

MAX_BATCHES = 1_000_000  # read of one message: more than any message has


class StuckBatches:
    """Releases stuck batches; their deliveries without an outcome become unconfirmed (invariant 5)."""

    def __init__(self, log: EventLog, dispatcher: Dispatcher, worker: str, now: Callable[[], datetime]) -> None:
        self._log = log
        self._dispatcher = dispatcher
        self._worker = worker
        self._now = now

    async def process(self, owner: str, message_id: str) -> tuple[int, int]:
        """Release a message's stuck batches; return how many, and how many batches are open now.

        Raises MessageNotFound, Unavailable.
        """
        await self._log.read(lambda sql: require_message(sql, owner, message_id))
        released = 0
        for row in await self._log.read(lambda sql: self._stuck(sql, message_id)):
            released += await self._release(row)
        self._dispatcher.wake()
        return released, await self._log.read(lambda sql: batches.count_open(sql, message_id))

    def _stuck(self, sql: Sql, message_id: str) -> list[BatchRow]:
        alive = live_processes(sql)
        started = batches.list_of_message(sql, message_id, statuses=["STARTED"], limit=MAX_BATCHES)
        return [row for row in started if row.worker not in alive or self._is_lost(row)]

    def _is_lost(self, row: BatchRow) -> bool:
        """Return whether this process claimed the batch but no longer sends it."""
        return row.worker == self._worker and not self._dispatcher.is_running((row.message_id, row.number))

    def _alive_again(self, sql: Sql, row: BatchRow) -> str | None:
        """Return a reason to refuse the release if the other process has renewed its lease since."""
        return "alive" if row.worker != self._worker and row.worker in live_processes(sql) else None

    async def _release(self, row: BatchRow) -> bool:
        stream = batch_stream(row.message_id, row.stage, row.number)
        batch = fold(await self._log.load(stream))
        is_same_claim = batch.claim is not None and batch.claim.generation == row.generation
        if not is_same_claim or self._dispatcher.is_running((row.message_id, row.number)):
            return False
        receipts = await self._log.read(lambda sql: load_receipts(sql, batch))
        events = batch_decisions.release(batch, now=self._now(), receipts=receipts)
        commit = Commit([StreamEvents(stream, batch.version, events)], guard=lambda sql: self._alive_again(sql, row))
        result = await self._log.commit(commit)
        return isinstance(result, Committed)
