"""Works one page's batches, in the order in which they were planned."""

import asyncio
from collections.abc import Callable
from datetime import datetime

import structlog

from domain import batch_decisions
from domain.batch import Batch, apply, fold
from domain.streams import batch_stream
from projections import batches, message_rows, pages
from projections.batches import BatchRow
from projections.sql import Sql
from server.channels.channel import Channel, Credentials
from server.delivery.batch_log import BatchLog
from server.delivery.batch_run import BatchRun, Halt
from server.delivery.guards import may_claim
from server.delivery.letters import Letters
from server.delivery.ownership import Ownership
from server.delivery.sending_page import SendingPage
from server.log.commit import Commit, Committed, EventLog, Refused, StreamEvents
from server.log.vault import Vault

logger = structlog.get_logger()

OPEN_BATCHES = 4  # of one page at a time: one that dispatches, the others waiting for their last answers

Place = tuple[str, int]  # a batch: its message and its number


class PageWorker:
    """Claims batch after batch of a page until none is left."""

    def __init__(
        self,
        page: SendingPage,
        log: EventLog,
        vault: Vault,
        letters: Letters,
        channel: Channel,
        ownership: Ownership,
        now: Callable[[], datetime],
    ) -> None:
        self._page = page
        self._log = log
        self._vault = vault
        self._letters = letters
        self._channel = channel
        self._ownership = ownership
        self._now = now
        self._runs: dict[Place, BatchRun] = {}
        self._finishing: set[asyncio.Task[None]] = set()
        self._is_over = False

    @property
    def running(self) -> frozenset[Place]:
        """The batches under way."""
        return frozenset(self._runs)

    def cancel(self, message_id: str) -> None:
        """Halts what is under way of a cancelled message."""
        for run in self._runs.values():
            if run.message_id == message_id:
                run.halt(Halt.CANCELLED)

    def drain(self) -> None:
        """Takes no further batch, and lets go what has not left."""
        self._is_over = True
        for run in self._runs.values():
            run.halt(Halt.DRAINING)

    async def refresh(self) -> None:
        """Reads the page's token and settings anew: requests from now on use them."""
        kept = await self._log.read(self._vault.page_secrets(self._page.page_id))
        row = await self._log.read(lambda sql: pages.find(sql, self._page.page_id))
        if kept is None or row is None:
            raise LookupError(f"page {self._page.page_id!r} has work but is not registered")
        self._page.credentials = Credentials(
            page_id=self._page.page_id, access_token=kept.secrets.access_token, app_secret=kept.secrets.app_secret
        )
        self._page.token_generation = kept.token_generation
        self._page.send_mode = row.send_mode
        self._page.pacer.set_limit(row.messages_per_second)

    async def run(self) -> None:
        """Works until no batch is left to claim, the page is lost, or the drain."""
        try:
            while not self._is_over and (row := await self._log.read(self._next_batch)) is not None:
                await self._work(row)
        finally:
            await self._finish_all()

    def _next_batch(self, sql: Sql) -> BatchRow | None:
        """The first not under way here. A started one is dead: its page has one owner, and that is this process."""
        for row in batches.open_of_page(sql, self._page.page_id, OPEN_BATCHES + 1):
            if (row.message_id, row.number) not in self._runs:
                return row
        return None

    async def _work(self, row: BatchRow) -> None:
        await self._ownership.held()
        await self.refresh()
        batch = await self._claim(row)
        if batch is None or batch.completed:
            return
        letters = await self._letters.of_batch(batch)
        run = BatchRun(BatchLog(self._log, batch, self._now), letters, self._page, self._channel, self._now)
        self._runs[(row.message_id, row.number)] = run
        if self._is_over:
            run.halt(Halt.DRAINING)
        await run.dispatch()
        self._finish_aside(run, (row.message_id, row.number))
        if len(self._runs) >= OPEN_BATCHES:
            await asyncio.wait(self._finishing, return_when=asyncio.FIRST_COMPLETED)

    async def _claim(self, row: BatchRow) -> Batch | None:
        """The batch, claimed by BatchStarted at the version that was read; None when somebody was faster."""
        stream = batch_stream(row.message_id, row.stage, row.number)
        batch = fold(await self._log.load(stream))
        message = await self._log.read(lambda sql: message_rows.find(sql, row.message_id))
        now = self._now()
        events = batch_decisions.start(
            batch,
            worker=self._page.worker,
            generation=self._page.ownership_generation,
            lease_expire_time=now + self._ownership.lease,
            now=now,
        )
        if message is not None and message.cancelled:
            events = (*events, *batch_decisions.cancel(apply(batch, events), now=now))
        guard = may_claim(row.page_id, worker=self._page.worker, generation=self._page.ownership_generation)
        result = await self._log.commit(Commit([StreamEvents(stream, batch.version, events)], guard=guard))
        if isinstance(result, Refused):
            self._ownership.disown(row.page_id)
            self._is_over = True
        return apply(batch, events) if isinstance(result, Committed) else None

    def _finish_aside(self, run: BatchRun, place: Place) -> None:
        task = asyncio.create_task(self._finish(run, place))
        self._finishing.add(task)
        task.add_done_callback(self._finishing.discard)

    async def _finish(self, run: BatchRun, place: Place) -> None:
        try:
            await run.finish()
        finally:
            del self._runs[place]

    async def _finish_all(self) -> None:
        if self._finishing:
            await asyncio.wait(self._finishing)
