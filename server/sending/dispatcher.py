"""Sees to it that every page with work has a worker."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial

import structlog

from domain.batch_events import BatchCreated, BatchReleased
from domain.errors import Unavailable
from domain.event import Event, RecordedEvent
from domain.fault import ErrorType, Fault
from domain.message_events import (
    MessageCancelled,
    MessagePaused,
    MessageResumed,
    MessageStopped,
    MessageSubmitted,
    RetryRequested,
)
from domain.page_events import PageEvent, PageReleased
from domain.page_faults import PageFaultDetector
from domain.retry import RetryTrigger
from domain.stop_policy import Stop
from server.cluster.page_assignment import share_of
from server.cluster.page_leases import PageLeases, set_retry_after
from server.commands.lifecycle import StopService
from server.commands.pages import PageHoldService
from server.crypto.vault import Vault
from server.eventstore.commit import Commit, EventLog
from server.messenger.channel import Channel
from server.sending.batch_sender import Halt
from server.sending.concurrency_limiter import ALL_SLOTS, PAGE_SLOTS, FairConcurrencyLimiter
from server.sending.page_work import Place
from server.sending.page_worker import PageWorker
from server.sending.rate_limiter import AdaptiveRateLimiter, Pause
from server.sending.rendered_messages import MessageRenderer
from server.sending.sending_page import SendingPage

logger = structlog.get_logger()

POLL_SECONDS = 1.0  # work that no wake-up told of


class Dispatcher:
    """Starts a worker for each page that has work, wakes on news, and polls behind it."""

    def __init__(
        self, log: EventLog, vault: Vault, channel: Channel, ownership: PageLeases, now: Callable[[], datetime]
    ) -> None:
        self._log = log
        self._vault = vault
        self._channel = channel
        self._ownership = ownership
        self._now = now
        self._letters = MessageRenderer(log, vault)
        self._slots = FairConcurrencyLimiter(ALL_SLOTS)
        self._parked: dict[Place, float] = {}
        self._pacers: dict[str, AdaptiveRateLimiter] = {}
        self._faults: dict[str, PageFaultDetector] = {}
        self._workers: dict[str, PageWorker] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._leaving: set[str] = set()
        self._breakages = Breakages()
        self._asides: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self._draining = False
        self._holds = PageHoldService(log, vault, now)
        self._stops = StopService(log, now)
        log.listen(self._hear)

    def _pacer(self, page_id: str) -> AdaptiveRateLimiter:
        """The page's pacer; its limit is set when the page is worked on."""
        if page_id not in self._pacers:
            self._pacers[page_id] = AdaptiveRateLimiter(1.0, partial(self._page_paused, page_id))
        return self._pacers[page_id]

    def _page_paused(self, page_id: str, pause: Pause) -> None:
        """Record a pause for all processes; the platform's words do not go into this program's log."""
        logger.info("page_paused", page=page_id, seconds=pause.seconds, code=pause.fault.code if pause.fault else 0)
        self._aside(self._log.commit(Commit([], also=lambda sql: set_retry_after(sql, page_id, pause))))

    def _page_faulty(self, page_id: str, fault: Fault, token_generation: int) -> None:
        """Nothing more of the page leaves, at once here and for good by an event."""
        self._workers[page_id].hold()
        self._aside(self._hold(page_id, fault, token_generation))

    async def _hold(self, page_id: str, fault: Fault, token_generation: int) -> None:
        logger.warning("page_faulty", page=page_id, code=fault.code, subcode=fault.subcode, type=fault.type)
        try:
            certain = await self._certain_fault(page_id, fault)
            if certain is not None:
                await self._holds.hold_for(page_id, certain, token_generation=token_generation)
        finally:
            if page_id in self._workers:
                await self._workers[page_id].on_hold_recorded()
            self.wake()

    async def _certain_fault(self, page_id: str, fault: Fault) -> Fault | None:
        """Ask the platform about a suspected token; what enough sends were answered outweighs what it says."""
        faults = self._faults[page_id]
        if faults.confirmed is not None or fault.type is not ErrorType.ACCESS_TOKEN:
            return faults.confirmed or fault
        if not await self._token_is_good(page_id):
            return fault
        faults.record_token_accepted()
        return faults.confirmed  # more refusals may have come in

    def _message_failing(self, message_id: str, reason: Stop) -> None:
        """Nothing more of the message leaves, at once here and for good by an event."""
        self._aside(self._stop(message_id, reason))

    async def _stop(self, message_id: str, reason: Stop) -> None:
        logger.warning("message_failing", message=message_id, cause=reason.cause, failed=reason.failed)
        try:
            await self._stops.stop(message_id, reason)
        finally:
            for worker in self._workers.values():
                worker.count_from_database(message_id)

    async def _token_is_good(self, page_id: str) -> bool:
        """The platform says so, when it is asked with one harmless call."""
        worker = self._workers.get(page_id)
        return worker is not None and await self._channel.is_page_token(worker.credentials)

    def paces(self) -> Mapping[str, float]:
        """Messages per second at this moment, of each page that is worked on here."""
        return {page_id: self._pacer(page_id).rate for page_id in self._workers}

    def is_running(self, place: Place) -> bool:
        """A batch is under way in this process."""
        return any(worker.is_running(place) for worker in self._workers.values())

    def wake(self) -> None:
        """There may be work."""
        self._news.set()
        for worker in self._workers.values():
            worker.wake()

    def _hear(self, recorded: Sequence[RecordedEvent]) -> None:
        for one in recorded:
            self._count_again(one.event)
            match one.event:
                case BatchCreated() | MessageSubmitted() | BatchReleased() | MessageResumed():
                    self.wake()
                case MessageCancelled(message_id=message_id):
                    self._halt(message_id, Halt.CANCELLED)
                case MessagePaused(message_id=message_id) | MessageStopped(message_id=message_id):
                    self._halt(message_id, Halt.PAUSED)
                case PageEvent(page_id=page_id):
                    if isinstance(one.event, PageReleased) and page_id in self._pacers:
                        self._pacers[page_id].reopen()  # before the refresh, which reads a pause that came after
                    self._breakages.try_now(page_id)
                    self.wake()
                    if page_id in self._workers:
                        self._aside(self._workers[page_id].refresh())

    def _count_again(self, event: Event) -> None:
        """After a person's decision to go on, earlier failures count no more."""
        match event:
            case (
                MessageResumed(message_id=message_id)
                | RetryRequested(message_id=message_id, trigger=RetryTrigger.MANUAL)
            ):
                for worker in self._workers.values():
                    worker.count_from_database(message_id)
            case PageReleased(page_id=page_id) if page_id in self._workers:
                self._workers[page_id].count_from_database()

    def _halt(self, message_id: str, cause: Halt) -> None:
        for worker in self._workers.values():
            worker.halt(message_id, cause)

    def _aside(self, work: Awaitable[object]) -> None:
        task = asyncio.create_task(self._safely(work))
        self._asides.add(task)
        task.add_done_callback(self._asides.discard)

    async def _safely(self, work: Awaitable[object]) -> None:
        try:
            await work
        except Unavailable:
            logger.warning("log_away", part="dispatcher")
        except Exception:
            logger.exception("dispatcher_broke")

    async def run(self) -> None:
        """Works until it is drained; a log that is away is tried again."""
        while not self._draining:
            self._news.clear()
            try:
                share = await self._log.read(lambda sql: share_of(sql, self._ownership.worker))
                for page_id in share.work:
                    await self._employ(page_id)
                for page_id in share.give_up:
                    await self._let_go(page_id)
            except Unavailable:
                logger.warning("log_away", part="dispatcher")
            await self._wait_for_news()

    async def _wait_for_news(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._news.wait()
        except TimeoutError:
            return

    async def _employ(self, page_id: str) -> None:
        if page_id in self._tasks or self._draining or self._breakages.is_paused(page_id):
            return
        generation = await self._ownership.own(page_id)
        if generation is None or self._draining:
            return
        slots = FairConcurrencyLimiter(PAGE_SLOTS, self._slots)
        page = SendingPage(
            page_id,
            self._pacer(page_id),
            self._faults.setdefault(page_id, PageFaultDetector()),
            slots,
            self._ownership,
            generation,
            partial(self._page_faulty, page_id),
        )
        worker = PageWorker(
            page,
            self._log,
            self._vault,
            self._letters,
            self._channel,
            self._ownership,
            self._parked,
            self._now,
            self._message_failing,
        )
        self._workers[page_id] = worker
        self._tasks[page_id] = asyncio.create_task(self._supervise(page_id, worker))

    async def _let_go(self, page_id: str) -> None:
        """A page that is worked on is let go once what is in flight is recorded."""
        if page_id not in self._workers:
            await self._ownership.give_up(page_id)
            return
        self._leaving.add(page_id)
        self._workers[page_id].drain()

    async def _supervise(self, page_id: str, worker: PageWorker) -> None:
        """Replace a worker that breaks, after a pause that grows; what it had claimed is taken over."""
        try:
            await worker.run()
            self._work_ended(page_id)
            if worker.has_news:
                self._news.set()
        except Unavailable:
            logger.warning("log_away", part="page_worker", page=page_id)
        except Exception:
            failures, pause = self._breakages.add(page_id)
            logger.exception("page_worker_broke", page=page_id, failures=failures, next_try_seconds=pause)
        finally:
            await self._leave(page_id)
            del self._workers[page_id]
            del self._tasks[page_id]

    def _work_ended(self, page_id: str) -> None:
        if failures := self._breakages.forget(page_id):
            logger.info("page_worker_recovered", page=page_id, failures=failures)

    async def _leave(self, page_id: str) -> None:
        if page_id not in self._leaving:
            return
        self._leaving.discard(page_id)
        try:
            await self._ownership.give_up(page_id)
        except Unavailable:
            logger.warning("log_away", part="page_share")  # the next look at the share tries again

    async def drain(self) -> None:
        """Stops taking batches; returns when what was in flight is recorded and the rest let go."""
        self._draining = True
        self._news.set()
        for worker in self._workers.values():
            worker.drain()
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()))


# Pages whose worker broke: each is left for a while before the next try, for longer after every failure in a row.
#
# A worker that breaks has often claimed a batch before, which is an event in the log: tried once a second, a page that
# cannot be worked would write an event a second for ever.


FIRST_PAUSE = 1.0  # seconds
LONGEST_PAUSE = 60.0
GROWTH = 2.0


class Breakages:
    """How often in a row each page's worker broke, and until when the page is left, on the monotonic clock."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._paused_until: dict[str, float] = {}

    def add(self, page_id: str) -> tuple[int, float]:
        """Count a failure; return how many there were in a row, and the seconds until the next try."""
        count = self._counts[page_id] = self._counts.get(page_id, 0) + 1
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * GROWTH ** min(count - 1, 10))
        self._paused_until[page_id] = time.monotonic() + pause
        return count, pause

    def is_paused(self, page_id: str) -> bool:
        """Return whether the page is to be left now."""
        return time.monotonic() < self._paused_until.get(page_id, 0.0)

    def try_now(self, page_id: str) -> None:
        """End the pause: something about the page has changed. The next failure pauses for longer all the same."""
        self._paused_until.pop(page_id, None)

    def forget(self, page_id: str) -> int:
        """Forget the failures, as a worker has ended without one; return how many there were."""
        self._paused_until.pop(page_id, None)
        return self._counts.pop(page_id, 0)
