"""Works one page's batches, in the order in which they were planned."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from datetime import datetime
from functools import partial
from typing import Any

import structlog

from domain import batch_decisions
from domain.batch import Batch, apply, fold
from domain.errors import Unavailable
from domain.page_events import SendMode
from domain.stop_policy import Stop
from domain.streams import batch_stream
from projections import batches, pages
from projections.batches import BatchRow
from projections.pages import PageRow
from projections.sql import Sql
from server.cluster.page_leases import PageLeases, paused_for
from server.crypto.vault import KeptSecrets, Vault
from server.eventstore.commit import Commit, Committed, EventLog, Refused, StreamEvents
from server.eventstore.stream import events_of
from server.messenger.channel import Channel, Credentials
from server.sending.batch_log import BatchLog
from server.sending.batch_receipts import receipts_of
from server.sending.batch_sender import BatchSender, Halt
from server.sending.concurrency_limiter import BATCH_SLOTS, PAGE_SLOTS
from server.sending.message_health import MessageHealths
from server.sending.page_work import PageSnapshot, Place, Work
from server.sending.preconditions import may_claim, state_of
from server.sending.rendered_messages import MessageRenderer, RenderedBatch, people_of
from server.sending.round_rate_limit import Round, RoundRateLimits
from server.sending.sending_page import SendingPage

logger = structlog.get_logger()

OPEN_BATCHES = PAGE_SLOTS  # one that dispatches; each of the others waits for at least one answer
PARKED_SECONDS = 60.0  # before a batch that cannot be opened, or broke, is tried again
NEWS_SECONDS = 1.0  # work that no wake-up told of


class PageWorker:
    """Claims batch after batch of a page until none is left; `parked` holds until when to leave which."""

    def __init__(
        self,
        page: SendingPage,
        log: EventLog,
        vault: Vault,
        letters: MessageRenderer,
        channel: Channel,
        ownership: PageLeases,
        parked: dict[Place, float],
        now: Callable[[], datetime],
        on_stop: Callable[[str, Stop], None],
    ) -> None:
        self._page = page
        self._log = log
        self._vault = vault
        self._letters = letters
        self._channel = channel
        self._ownership = ownership
        self._parked = parked
        self._now = now
        self._claiming: Place | None = None
        self._runs: dict[Place, BatchSender] = {}
        self._caps = RoundRateLimits()
        self._healths = MessageHealths(partial(self._stop, on_stop))
        self._aside_rounds: dict[Place, Round] = {}  # that dispatch aside: at their round's pace, or awaiting outcomes
        self._finishing: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self._is_over = False

    def is_running(self, place: Place) -> bool:
        """The batch is under way here."""
        return place in self._runs or place == self._claiming

    def wake(self) -> None:
        """There may be work, or a run has ended."""
        self._news.set()

    @property
    def has_news(self) -> bool:
        """It was woken after its last look for work."""
        return self._news.is_set()

    def halt(self, message_id: str, cause: Halt) -> None:
        """Halts what is under way of a message."""
        for run in self._runs.values():
            if run.message_id == message_id:
                run.halt(cause)

    def _stop(self, on_stop: Callable[[str, Stop], None], message_id: str, reason: Stop) -> None:
        """Halt what is under way of a message that is to be stopped; a fault of the whole page holds that instead."""
        if self._page.is_on_hold:
            self._healths.forget(message_id)
            return
        self.halt(message_id, Halt.PAUSED)
        on_stop(message_id, reason)

    def count_from_database(self, message_id: str = "") -> None:
        """Start over with the attempts of a message, or of all: resumed, resent, released, or a stop was decided."""
        if message_id:
            self._healths.forget(message_id)
        else:
            self._healths.forget_all()
        self._news.set()

    @property
    def credentials(self) -> Credentials:
        """What requests leave with now."""
        return self._page.credentials

    async def on_hold_recorded(self) -> None:
        """A hold that was asked for is there, unless another token has come.

        Until that is read, the page counts as held: else its refusals would stop a message as well.
        """
        try:
            await self.refresh()
        finally:
            self._page.asks_for_hold = False

    def hold(self) -> None:
        """The page is on hold: takes no further batch, and takes back what has not left."""
        for run in self._runs.values():
            run.halt(Halt.PAGE_HELD)

    def drain(self) -> None:
        """Takes no further batch, and lets go what has not left."""
        self._is_over = True
        self._news.set()
        for run in self._runs.values():
            run.halt(Halt.DRAINING)

    async def refresh(self) -> None:
        """Reads the page's token and settings anew: requests from now on use them."""
        page_id, now = self._page.page_id, time.monotonic()
        self._settle(*await self._log.read(lambda sql: self._page_as_it_is(sql, pages.find(sql, page_id), now)))

    def _settle(self, kept: KeptSecrets | None, row: PageRow | None, pause: float, as_of: float) -> None:
        if kept is None or row is None:
            raise LookupError(f"page {self._page.page_id!r} has work but is not registered")
        if kept.token_generation < self._page.token_generation:
            return  # a later read was faster
        self._page.credentials = Credentials(
            page_id=self._page.page_id, access_token=kept.secrets.access_token, app_secret=kept.secrets.app_secret
        )
        self._page.token_generation = kept.token_generation
        self._page.hold_is_recorded = row.is_held
        if row.is_held:
            self.hold()
        self._page.send_mode = row.send_mode
        self._page.slots.limit = BATCH_SLOTS if row.send_mode is SendMode.BATCH else PAGE_SLOTS
        self._page.pacer.set_limit(row.messages_per_second)
        self._page.pacer.close(pause, as_of=as_of)

    def _page_as_it_is(self, sql: Sql, row: PageRow | None, as_of: float) -> PageSnapshot:
        pause = 0.0 if row is None else paused_for(sql, row)
        return PageSnapshot(self._vault.page_secrets(self._page.page_id)(sql), row, pause, as_of)

    async def run(self) -> None:
        """Works until no batch is left to claim and none is under way, the page is lost, or the drain."""
        try:
            while not self._is_over:
                self._news.clear()
                is_free = len(self._runs) - len(self._aside_rounds) < OPEN_BATCHES
                next_work = partial(self._next_work, as_of=time.monotonic())
                work = await self._log.read(next_work) if is_free else None
                if work is not None:
                    await self._work(work)
                elif self._finishing:
                    await self._wait_for_news()
                else:
                    return
        finally:
            if self._finishing:
                await asyncio.wait(self._finishing)

    async def _wait_for_news(self) -> None:
        try:
            async with asyncio.timeout(NEWS_SECONDS):
                await self._news.wait()
        except TimeoutError:
            return

    def _next_work(self, sql: Sql, as_of: float) -> Work | None:
        """The first batch not under way here, and all that it takes to claim it, in one read."""
        page = pages.find(sql, self._page.page_id)
        row = self._next_batch(sql, is_held=self._page.is_on_hold or (page is not None and page.is_held))
        if row is None:
            return None
        batch = fold(events_of(sql, batch_stream(row.message_id, row.stage, row.number)))
        state = state_of(sql, batch, self._page.worker, self._page.ownership_generation)
        return Work(
            place=(row.message_id, row.number),
            batch=batch,
            receipts=receipts_of(sql, batch),
            people=people_of(sql, batch, state.erased_until),
            state=state,
            page=self._page_as_it_is(sql, page, as_of),
        )

    def _next_batch(self, sql: Sql, *, is_held: bool) -> BatchRow | None:
        """A started one is dead: its page has one owner, and that is this process. Of a held page no other is taken."""
        limit = len(self._runs) + len(self._parked) + 1
        if is_held:
            found = batches.started_of_page(sql, self._page.page_id, limit)
        else:
            found = batches.claimable_of_page(sql, self._page.page_id, limit, but_for=set(self._aside_rounds.values()))
        for row in found:
            place = (row.message_id, row.number)
            is_free = place not in self._runs and self._parked.get(place, 0.0) <= time.monotonic()
            if is_free and not self._healths.is_stopping(row.message_id):
                return row
        return None

    async def _work(self, work: Work) -> None:
        self._claiming = work.place
        try:
            await self._ownership.held()
            self._settle(*work.page)
            run = await self._begin(work)
        finally:
            self._claiming = None
        if run is not None and self._dispatches_aside(run):
            self._aside_rounds[work.place] = (work.batch.message_id, work.batch.round)
            self._aside(self._dispatch_and_finish(run, work.place))
        elif run is not None:
            await self._dispatch(run, work.place)

    async def _dispatch(self, run: BatchSender, place: Place) -> None:
        """Let a batch leave; one that breaks lets nothing more leave, and breaks the worker."""
        try:
            await run.dispatch()
        except Unavailable:
            raise
        except Exception:
            run.halt(Halt.BROKEN)
            self._aside(self._finish(run, place))
            raise
        self._aside(self._finish(run, place))

    def _dispatches_aside(self, run: BatchSender) -> bool:
        """A batch that may have to wait keeps no other from leaving; of those that await outcomes only so many do."""
        return run.is_capped or (run.awaits_outcomes and len(self._aside_rounds) < OPEN_BATCHES)

    async def _begin(self, work: Work) -> BatchSender | None:
        """The run of a batch that was claimed; None when there is none to work."""
        health = self._healths.of(work.batch.message_id, work.state)
        health.stop_if_due()
        letters = await self._open(work)
        claimed = None if letters is None else await self._claim(work)
        if letters is None or claimed is None or claimed.claim is None:
            return None
        run = BatchSender(
            BatchLog(self._log, claimed, self._now),
            letters,
            self._page,
            self._channel,
            self._now,
            health,
            self._caps.of(claimed),
        )
        self._runs[work.place] = run
        if self._is_over:
            run.halt(Halt.DRAINING)
        elif self._page.is_on_hold:
            run.halt(Halt.PAGE_HELD)  # it was claimed while the hold came
        elif health.is_stopping:
            run.halt(Halt.PAUSED)
        return run

    async def _open(self, work: Work) -> RenderedBatch | None:
        """A batch that cannot be opened is left for a while, so that it does not keep others from leaving."""
        try:
            return await self._letters.of_batch(work.batch, work.people, work.state.replaced_round)
        except Unavailable:
            raise
        except Exception:
            logger.exception("batch_not_opened", message=work.batch.message_id, batch=work.batch.number)
            self._park(work.place)
            return None

    async def _claim(self, work: Work) -> Batch | None:
        """The batch, claimed by BatchStarted at the version that was read; None on a conflict (invariant 7)."""
        batch, now = work.batch, self._now()
        events = batch_decisions.start(
            batch,
            worker=self._page.worker,
            generation=self._page.ownership_generation,
            lease_expire_time=now + self._ownership.batch_lease,
            now=now,
            receipts=work.receipts,
        )
        if work.state.is_cancelled:
            events = (*events, *batch_decisions.cancel(apply(batch, events), now=now))
        elif work.state.is_paused or self._page.is_on_hold:
            events = (*events, *batch_decisions.release(apply(batch, events), now=now))
        stream = batch_stream(batch.message_id, batch.stage, batch.number)
        guard = may_claim(batch.page_id, worker=self._page.worker, generation=self._page.ownership_generation)
        result = await self._log.commit(Commit([StreamEvents(stream, batch.version, events)], guard=guard))
        if isinstance(result, Refused):
            self._ownership.disown(batch.page_id)
            self._is_over = True
        return apply(batch, events) if isinstance(result, Committed) else None

    def _aside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._finishing.add(task)
        task.add_done_callback(self._finishing.discard)

    async def _dispatch_and_finish(self, run: BatchSender, place: Place) -> None:
        """Dispatch without keeping other batches from leaving; the next of its round is claimed when it has left."""
        try:
            await run.dispatch()
        except Unavailable:
            logger.warning("log_away", part="batch")
            run.halt(Halt.BROKEN)
        except Exception:
            logger.exception("batch_broke", message=place[0], batch=place[1], next_try_seconds=PARKED_SECONDS)
            self._park(place)
            run.halt(Halt.BROKEN)
        finally:
            del self._aside_rounds[place]
            self._news.set()
        await self._finish(run, place)

    async def _finish(self, run: BatchSender, place: Place) -> None:
        try:
            await run.finish()
        except Unavailable:
            logger.warning("log_away", part="batch")
        except Exception:
            logger.exception("batch_broke", message=place[0], batch=place[1], next_try_seconds=PARKED_SECONDS)
            self._park(place)
        finally:
            del self._runs[place]
            self._news.set()

    def _park(self, place: Place) -> None:
        """Leave a batch for a while: each claim of it is an event, and it must not keep others from leaving."""
        self._parked[place] = time.monotonic() + PARKED_SECONDS
