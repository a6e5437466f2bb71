"""Dispatcher: runs a worker for each page that has batches to send."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial

import structlog

from domain.batch_events import BatchCreated, BatchReleased
from domain.errors import Unavailable
from domain.event import Event, RecordedEvent
from domain.message_events import (
    MessageCancelled,
    MessagePaused,
    MessageResumed,
    MessageStopped,
    MessageSubmitted,
    RetryRequested,
)
from domain.page_events import PageEvent, PageReleased
from domain.retry import RetryTrigger
from domain.stop_policy import Stop
from projections.sealed_names import BatchKey
from server.cluster.page_assignment import share_of
from server.cluster.page_leases import PageLeases, PagePause, set_retry_after
from server.commands.lifecycle import StopService
from server.crypto.vault import Vault
from server.eventstore.commit import EventLog
from server.messenger.channel import Channel
from server.sending.batch_claims import BatchClaimer
from server.sending.batch_sender import HaltReason
from server.sending.concurrency_limiter import MAX_PAGE_REQUESTS, MAX_PROCESS_REQUESTS, FairConcurrencyLimiter
from server.sending.page_holds import PageHolds
from server.sending.page_state import PageState
from server.sending.page_worker import PageWorker
from server.sending.rate_limiter import AdaptiveRateLimiter
from server.sending.rendered_messages import MessageRenderer
from server.sending.running_batches import PostponedBatches
from server.sending.worker_failures import WorkerFailures

logger = structlog.get_logger()

POLL_SECONDS = 1.0  # between two searches for pages that no event announced


class Dispatcher:
    """Starts a worker for each page of this process that has batches to send.

    Events wake it. It also polls, because it may miss an event.
    """

    def __init__(
        self, log: EventLog, vault: Vault, channel: Channel, leases: PageLeases, now: Callable[[], datetime]
    ) -> None:
        self._log = log
        self._vault = vault
        self._channel = channel
        self._leases = leases
        self._now = now
        self._renderer = MessageRenderer(log, vault)
        self._request_limiter = FairConcurrencyLimiter(MAX_PROCESS_REQUESTS)
        self._postponed = PostponedBatches()
        self._rate_limiters: dict[str, AdaptiveRateLimiter] = {}
        self._workers: dict[str, PageWorker] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._leaving: set[str] = set()  # pages to give up once their worker has ended
        self._failures = WorkerFailures()
        self._background: set[asyncio.Task[None]] = set()
        self._wakeup = asyncio.Event()
        self._is_draining = False
        self._holds = PageHolds(log, vault, channel, now, self._workers, self._spawn_background, self.wake)
        self._stops = StopService(log, now)
        log.listen(self._on_events)

    # Running the workers

    async def run(self) -> None:
        """Work until drained; while the event store is unavailable, try again."""
        while not self._is_draining:
            self._wakeup.clear()
            try:
                share = await self._log.read(lambda sql: share_of(sql, self._leases.worker))
                for page_id in share.work:
                    await self._start_worker(page_id)
                for page_id in share.release:
                    await self._give_up(page_id)
            except Unavailable:
                logger.warning("log_away", part="dispatcher")
            await self._wait_for_wakeup()

    async def _wait_for_wakeup(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._wakeup.wait()
        except TimeoutError:
            return

    async def _start_worker(self, page_id: str) -> None:
        if page_id in self._tasks or self._is_draining or self._failures.is_paused(page_id):
            return
        generation = await self._leases.acquire_page(page_id)
        if generation is None or self._is_draining:
            return
        worker = self._new_worker(page_id, generation)
        self._workers[page_id] = worker
        self._tasks[page_id] = asyncio.create_task(self._supervise(page_id, worker))

    def _new_worker(self, page_id: str, ownership_generation: int) -> PageWorker:
        page = PageState(
            page_id,
            self._log,
            self._vault,
            self._holds.for_new_worker(page_id),
            self._rate_limiter(page_id),
            FairConcurrencyLimiter(MAX_PAGE_REQUESTS, self._request_limiter),
            self._leases,
            ownership_generation,
        )
        claimer = BatchClaimer(page, self._log, self._renderer, self._channel, self._postponed, self._now)
        return PageWorker(page, claimer, self._postponed, self._stop_message)

    def _rate_limiter(self, page_id: str) -> AdaptiveRateLimiter:
        """Return the page's rate limiter; the worker sets its limit when it reads the page."""
        if page_id not in self._rate_limiters:
            self._rate_limiters[page_id] = AdaptiveRateLimiter(1.0, partial(self._on_pause, page_id))
        return self._rate_limiters[page_id]

    async def _supervise(self, page_id: str, worker: PageWorker) -> None:
        """Run a worker; after a failure, the next one starts after a pause that grows with each failure in a row."""
        try:
            await worker.run()
            self._reset_failures(page_id)
            if worker.has_wakeup:
                self._wakeup.set()
        except Unavailable:
            logger.warning("log_away", part="page_worker", page=page_id)
        except Exception:
            failures, pause = self._failures.add(page_id)
            logger.exception("page_worker_broke", page=page_id, failures=failures, next_try_seconds=pause)
        finally:
            await self._give_up_if_leaving(page_id)
            del self._workers[page_id]
            del self._tasks[page_id]

    def _reset_failures(self, page_id: str) -> None:
        if failures := self._failures.reset(page_id):
            logger.info("page_worker_recovered", page=page_id, failures=failures)

    async def _give_up(self, page_id: str) -> None:
        """Let another process own the page; a worker first records the outcomes of its requests in flight."""
        if page_id not in self._workers:
            await self._leases.release_page(page_id)
            return
        self._leaving.add(page_id)
        self._workers[page_id].drain()

    async def _give_up_if_leaving(self, page_id: str) -> None:
        if page_id not in self._leaving:
            return
        self._leaving.discard(page_id)
        try:
            await self._leases.release_page(page_id)
        except Unavailable:
            logger.warning("log_away", part="page_share")  # the next poll tries again

    async def drain(self) -> None:
        """Claim no further batch; return when all outcomes are recorded and all other deliveries are released."""
        self._is_draining = True
        self._wakeup.set()
        for worker in self._workers.values():
            worker.drain()
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    # What others ask

    def rates(self) -> Mapping[str, float]:
        """Return the messages per second at this moment, by page that has a worker here."""
        return {page_id: self._rate_limiter(page_id).rate for page_id in self._workers}

    def is_running(self, key: BatchKey) -> bool:
        """Return whether a batch is being sent in this process."""
        return any(worker.is_running(key) for worker in self._workers.values())

    def wake(self) -> None:
        """Search for pages and batches now."""
        self._wakeup.set()
        for worker in self._workers.values():
            worker.wake()

    # Reactions to events

    def _on_events(self, recorded: Sequence[RecordedEvent]) -> None:
        for one in recorded:
            self._recount(one.event)
            match one.event:
                case BatchCreated() | MessageSubmitted() | BatchReleased() | MessageResumed():
                    self.wake()
                case MessageCancelled(message_id=message_id):
                    self._halt(message_id, HaltReason.CANCELLED)
                case MessagePaused(message_id=message_id) | MessageStopped(message_id=message_id):
                    self._halt(message_id, HaltReason.PAUSED)
                case PageEvent(page_id=page_id):
                    self._on_page_event(page_id, one.event)

    def _on_page_event(self, page_id: str, event: Event) -> None:
        if isinstance(event, PageReleased) and page_id in self._rate_limiters:
            self._rate_limiters[page_id].resume()  # before the refresh, which may read a pause that began later
        self._failures.end_pause(page_id)
        self.wake()
        if page_id in self._workers:
            self._spawn_background(self._workers[page_id].refresh())

    def _recount(self, event: Event) -> None:
        """Forget earlier failures of a message or page after a person resumed, resent or released it."""
        match event:
            case (
                MessageResumed(message_id=message_id)
                | RetryRequested(message_id=message_id, trigger=RetryTrigger.MANUAL)
            ):
                for worker in self._workers.values():
                    worker.recount(message_id)
            case PageReleased(page_id=page_id) if page_id in self._workers:
                self._workers[page_id].recount()

    def _halt(self, message_id: str, reason: HaltReason) -> None:
        for worker in self._workers.values():
            worker.halt(message_id, reason)

    # Reactions to results

    def _on_pause(self, page_id: str, pause: PagePause) -> None:
        """Record a page's pause for all processes; the platform's text is not logged."""
        logger.info("page_paused", page=page_id, seconds=pause.seconds, code=pause.fault.code if pause.fault else 0)
        self._spawn_background(self._log.write(lambda sql: set_retry_after(sql, page_id, pause)))

    def _stop_message(self, message_id: str, reason: Stop) -> None:
        """Record the stop of a message for all processes; its worker has already halted it."""
        self._spawn_background(self._stop(message_id, reason))

    async def _stop(self, message_id: str, reason: Stop) -> None:
        logger.warning("message_failing", message=message_id, cause=reason.cause, failed=reason.failed)
        try:
            await self._stops.stop(message_id, reason)
        finally:
            for worker in self._workers.values():
                worker.recount(message_id)

    def _spawn_background(self, work: Awaitable[object]) -> None:
        task = asyncio.create_task(self._run_safely(work))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _run_safely(self, work: Awaitable[object]) -> None:
        try:
            await work
        except Unavailable:
            logger.warning("log_away", part="dispatcher")
        except Exception:
            logger.exception("dispatcher_broke")
