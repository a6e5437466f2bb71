"""Finds and claims the batches of one page, in the order in which they were planned."""

import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import NamedTuple

import structlog

from domain import batch_decisions
from domain.batch import Batch, apply, fold
from domain.batch_decisions import Receipts
from domain.errors import Unavailable
from domain.streams import batch_stream
from projections import batches, dispatch_state, pages
from projections.batches import BatchRow
from projections.dispatch_state import DispatchState
from projections.sealed_names import BatchKey
from projections.sql import Sql
from server.eventstore.commit import Commit, Committed, EventLog, Refused, StreamEvents
from server.eventstore.stream import events_of
from server.messenger.channel import Channel
from server.sending.batch_log import BatchLog
from server.sending.batch_receipts import load_receipts
from server.sending.batch_sender import BatchSender
from server.sending.message_health import MessageHealth, MessageHealthCache
from server.sending.page_state import PageSnapshot, PageState
from server.sending.preconditions import claim_guard
from server.sending.rendered_messages import BatchRecipients, MessageRenderer, RenderedBatch, load_recipients
from server.sending.round_rate_limit import RoundRateLimits
from server.sending.running_batches import PostponedBatches, RunningBatches

logger = structlog.get_logger()


class ClaimableBatch(NamedTuple):
    """A batch that can be claimed, with all that the claim and the rendering need."""

    key: BatchKey
    batch: Batch
    receipts: Receipts
    recipients: BatchRecipients
    state: DispatchState
    page: PageSnapshot


class BatchClaimer:
    """Claims the batches of one page for this process."""

    def __init__(
        self,
        page: PageState,
        log: EventLog,
        renderer: MessageRenderer,
        channel: Channel,
        postponed: PostponedBatches,
        now: Callable[[], datetime],
    ) -> None:
        self._page = page
        self._log = log
        self._renderer = renderer
        self._channel = channel
        self._postponed = postponed
        self._now = now
        self._round_rate_limits = RoundRateLimits()

    async def find(self, running: RunningBatches, healths: MessageHealthCache) -> ClaimableBatch | None:
        """Return the first batch to claim, in one read; None if there is none now. Raises Unavailable."""
        return await self._log.read(partial(self._find, running=running, healths=healths, read_at=time.monotonic()))

    def _find(
        self, sql: Sql, *, running: RunningBatches, healths: MessageHealthCache, read_at: float
    ) -> ClaimableBatch | None:
        page = pages.find(sql, self._page.page_id)
        is_held = self._page.hold.is_active or (page is not None and page.is_held)
        row = self._first_row(sql, running, healths, is_held=is_held)
        if row is None:
            return None
        batch = fold(events_of(sql, batch_stream(row.message_id, row.stage, row.number)))
        state = dispatch_state.of_batch(sql, batch, self._page.worker, self._page.ownership_generation)
        return ClaimableBatch(
            key=(row.message_id, row.number),
            batch=batch,
            receipts=load_receipts(sql, batch),
            recipients=load_recipients(sql, batch, state.erased_until),
            state=state,
            page=self._page.read(sql, page, read_at),
        )

    def _first_row(
        self, sql: Sql, running: RunningBatches, healths: MessageHealthCache, *, is_held: bool
    ) -> BatchRow | None:
        """Return the first batch that is neither running, nor postponed, nor of a message that is about to stop.

        A started batch that does not run here was left by a dead process, because this process owns the page. Only
        such batches are claimed while the page is on hold, to release them.
        """
        limit = len(running) + len(self._postponed) + 1
        if is_held:
            rows = batches.started_of_page(sql, self._page.page_id, limit)
        else:
            rows = batches.claimable_of_page(sql, self._page.page_id, limit, but_for=running.background_rounds())
        for row in rows:
            key = (row.message_id, row.number)
            is_free = key not in running and not self._postponed.is_postponed(key)
            if is_free and not healths.is_stopping(row.message_id):
                return row
        return None

    async def claim(self, candidate: ClaimableBatch, health: MessageHealth) -> BatchSender | None:
        """Claim a batch; return its sender, or None if there is nothing to send. Raises Unavailable."""
        rendered = await self._render(candidate)
        claimed = None if rendered is None else await self._append_claim(candidate)
        if rendered is None or claimed is None or claimed.claim is None:
            return None
        return BatchSender(
            BatchLog(self._log, claimed, self._now),
            rendered,
            self._page,
            self._channel,
            self._now,
            health,
            self._round_rate_limits.for_batch(claimed),
        )

    async def _render(self, candidate: ClaimableBatch) -> RenderedBatch | None:
        """Prepare the messages of a batch; postpone a batch that cannot be opened, so that others can leave."""
        try:
            return await self._renderer.prepare(candidate.batch, candidate.recipients, candidate.state.replaced_round)
        except Unavailable:
            raise
        except Exception:
            logger.exception("batch_not_opened", message=candidate.batch.message_id, batch=candidate.batch.number)
            self._postponed.add(candidate.key)
            return None

    async def _append_claim(self, candidate: ClaimableBatch) -> Batch | None:
        """Append BatchStarted at the version that was read; return None after a conflict (invariant 7)."""
        batch, now = candidate.batch, self._now()
        events = batch_decisions.start(
            batch,
            worker=self._page.worker,
            generation=self._page.ownership_generation,
            lease_expire_time=now + self._page.batch_lease,
            now=now,
            receipts=candidate.receipts,
        )
        if candidate.state.is_cancelled:
            events = (*events, *batch_decisions.cancel(apply(batch, events), now=now))
        elif candidate.state.is_paused or self._page.hold.is_active:
            events = (*events, *batch_decisions.release(apply(batch, events), now=now))
        stream = batch_stream(batch.message_id, batch.stage, batch.number)
        guard = claim_guard(batch.page_id, worker=self._page.worker, generation=self._page.ownership_generation)
        result = await self._log.commit(Commit([StreamEvents(stream, batch.version, events)], guard=guard))
        if isinstance(result, Refused):
            self._page.lose()
        return apply(batch, events) if isinstance(result, Committed) else None
