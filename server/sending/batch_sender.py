"""BatchSender: sends a claimed batch in chunks, and records the outcomes as they arrive."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum

import msgspec
import structlog

from domain import batch_decisions
from domain.batch_events import RecordedOutcome
from domain.fault import ErrorType, Fault, FaultScope, RetryRule
from domain.outcome import Failed, Unconfirmed
from domain.page_events import SendMode
from server.cluster.page_leases import boot_time
from server.eventstore.commit import Refused
from server.messenger.channel import Channel, LocalShortageError, OutgoingMessage, SendResult
from server.sending.batch_log import AppendResult, BatchLog
from server.sending.message_health import MessageHealth
from server.sending.page_state import PageState
from server.sending.preconditions import AlreadySent, BlockReason, ErasedRecipients, dispatch_guard
from server.sending.rate_limiter import wait_at_most
from server.sending.rendered_messages import RenderedBatch, RenderedMessage
from server.sending.round_rate_limit import Round, RoundRateLimit

logger = structlog.get_logger()

GRAPH_BATCH = 50  # parts in one Graph batch: the platform's limit
# Size of the contents in one Graph batch, as JSON. Inside the request they are five times as long, and writing them
# takes 20 milliseconds.
GRAPH_BATCH_BYTES = 128 * 1024
GATHER_SECONDS = 0.1  # an outcome waits so long for others in flight: one event costs the same for one as for many
FRESH_SECONDS = 1.0  # a chunk leaves within this time after its guard ran, or is returned unsent
CHANNEL_BROKE = Fault(
    message="the attempt broke off inside the server",
    type=ErrorType.NETWORK,
    scope=FaultScope.TRANSPORT,
    retry=RetryRule.AUTOMATIC,
)
NEVER_LEFT = Fault(
    message="the request never left: its worker had lost the batch",
    type=ErrorType.NETWORK,
    scope=FaultScope.TRANSPORT,
    retry=RetryRule.AUTOMATIC,
)

RequestParts = Sequence[tuple[int, RenderedMessage]]  # the positions and messages of one request


class HaltReason(StrEnum):
    """Why a batch stops before all of its deliveries have left."""

    CANCELLED = "CANCELLED"
    PAUSED = "PAUSED"
    PAGE_HELD = "PAGE_HELD"
    DRAINING = "DRAINING"
    CLAIM_LOST = "CLAIM_LOST"
    BROKEN = "BROKEN"
    CONTENT_REPLACED = "CONTENT_REPLACED"


# The batch is released, and another claim sends the rest.
_RELEASING = (HaltReason.DRAINING, HaltReason.PAUSED, HaltReason.PAGE_HELD, HaltReason.CONTENT_REPLACED)
_REPLACEABLE = (None, HaltReason.PAUSED, HaltReason.PAGE_HELD, HaltReason.CONTENT_REPLACED)
_HALTED_BY = {
    BlockReason.MESSAGE_STOPPED: HaltReason.CANCELLED,
    BlockReason.MESSAGE_PAUSED: HaltReason.PAUSED,
    BlockReason.PAGE_HELD: HaltReason.PAGE_HELD,
    BlockReason.CONTENT_REPLACED: HaltReason.CONTENT_REPLACED,
}


class BatchSender:
    """Sends a claimed batch.

    `dispatch` returns when no further delivery will leave, `finish` when all outcomes are durable.
    """

    def __init__(
        self,
        batch_log: BatchLog,
        rendered: RenderedBatch,
        page: PageState,
        channel: Channel,
        now: Callable[[], datetime],
        health: MessageHealth,
        round_rate_limit: RoundRateLimit | None = None,
    ) -> None:
        self._log = batch_log
        self._rendered = rendered
        self._page = page
        self._channel = channel
        self._now = now
        self._health = health
        self._round_rate_limit = round_rate_limit
        self._halt = asyncio.Event()
        self._halted_by: HaltReason | None = None
        self._unrecorded: list[RecordedOutcome] = []
        self._in_flight = 0  # requests without a response
        self._wakeup = asyncio.Event()  # of the recorder
        self._none_in_flight = asyncio.Event()  # the recorder need not wait for further outcomes
        self._is_finishing = False
        self._had_shortage = False  # a request did not leave for lack of a resource: its deliveries are pending again
        self._attempts: set[asyncio.Task[None]] = set()
        self._recorder = asyncio.create_task(self._record_all())
        self._recorder.add_done_callback(self._halt_if_broken)

    @property
    def message_id(self) -> str:
        """Return the id of the batch's message."""
        return self._log.batch.message_id

    @property
    def round(self) -> Round:
        """Return the batch's round."""
        return (self._log.batch.message_id, self._log.batch.round)

    @property
    def has_round_rate_limit(self) -> bool:
        """Return whether the batch's round has a rate limit."""
        return self._round_rate_limit is not None

    @property
    def waits_for_outcomes(self) -> bool:
        """Return whether some deliveries have to wait for the first outcomes of the message."""
        room = self._health.room
        return room is not None and room < len(self._log.batch.pending)

    def halt(self, reason: HaltReason) -> None:
        """Let no further request leave; a later reason replaces one after which the batch would only be released."""
        if self._halted_by in _REPLACEABLE:
            self._halted_by = reason
            self._halt.set()
            self._health.wake()

    async def dispatch(self) -> None:
        """Send chunk after chunk within the rate limits of the round and the page."""
        while self._log.batch.pending and await self._health.wait_for_room(self._halt):
            pending = self._log.batch.pending
            positions = pending[: self._chunk_size(len(pending))]
            self._health.reserve(len(positions))
            left = 0
            try:
                left = await self._dispatch_when_allowed(positions)
            finally:
                self._health.release(len(positions) - left)

    async def _dispatch_when_allowed(self, positions: Sequence[int]) -> int:
        """Dispatch a chunk within the rate limits; return how many deliveries left."""
        if self._round_rate_limit is not None and not await self._round_rate_limit.acquire(len(positions), self._halt):
            return 0
        messages = await self._rendered.render(positions)
        if not await self._page.acquire(len(self._requests(positions, messages)[0]), self._halt):
            return 0
        return await self._dispatch_chunk(positions, messages)

    def _requests(self, positions: Sequence[int], messages: Mapping[int, RenderedMessage]) -> Sequence[Sequence[int]]:
        """Return the positions of each request: one delivery, or as many as fit into a Graph batch."""
        if self._page.send_mode is not SendMode.BATCH:
            return [[position] for position in positions]
        return list(_graph_batches(positions, messages))

    def _chunk_size(self, pending: int) -> int:
        """Return how many deliveries to dispatch together."""
        room = self._health.room
        size = self._page.rate_limiter.chunk_size(pending if room is None else min(pending, room))
        return size if self._round_rate_limit is None else self._round_rate_limit.chunk_size(size)

    async def _dispatch_chunk(self, positions: Sequence[int], messages: Mapping[int, RenderedMessage]) -> int:
        """Record the dispatch; once it is durable, send (invariant 4).

        The first request of the chunk was acquired before.
        """
        term = self._page.lease_term
        result = await self._append_dispatch(positions)
        leaving = [position for position in positions if self._log.batch.is_sending(position)]
        if result is not AppendResult.DONE or not leaving:
            self._page.request_limiter.release()
            await self._handle_blocked(result)
            return 0
        return await self._send_chunk(self._requests(leaving, messages), messages, term)

    async def _append_dispatch(self, positions: Sequence[int]) -> AppendResult | Refused:
        guard = dispatch_guard(
            self._log.batch,
            positions,
            worker=self._page.worker,
            generation=self._page.ownership_generation,
            erased_until=self._rendered.erased_until,
            replaced_round=self._rendered.replaced_round,
        )
        generation = self._page.token_generation
        return await self._log.append(
            lambda batch: batch_decisions.dispatch(batch, positions, token_generation=generation, now=self._now()),
            guard,
        )

    async def _handle_blocked(self, result: AppendResult | Refused) -> None:
        """React to the reason why a dispatch was not recorded."""
        if isinstance(result, Refused) and isinstance(result.cause, AlreadySent):
            sent = result.cause.positions
            await self._log.append(lambda batch: batch_decisions.cancel_positions(batch, sent, now=self._now()))
        elif isinstance(result, Refused) and isinstance(result.cause, ErasedRecipients):
            self._rendered = self._rendered.without(result.cause.positions, result.cause.until)
        elif isinstance(result, Refused) and result.cause in _HALTED_BY:
            self.halt(_HALTED_BY[result.cause])
        elif result is not AppendResult.NOTHING_TO_DO:
            self.halt(HaltReason.CLAIM_LOST)

    async def _send_chunk(
        self, requests: Sequence[Sequence[int]], messages: Mapping[int, RenderedMessage], term: int
    ) -> int:
        """Send the requests that may still leave, and return the rest unsent; return how many deliveries left."""
        fresh_until = boot_time() + FRESH_SECONDS
        sent = 0
        for index, positions in enumerate(requests):
            seconds_left = fresh_until - boot_time()
            if index and not await self._page.acquire(len(positions), self._halt, within=seconds_left):
                await self._return_unsent(requests[index:], term)
                break
            parts = [(position, messages[position]) for position in positions]
            if not await self._start_attempt(parts, fresh_until, term):
                self._page.request_limiter.release()
                await self._return_unsent(requests[index:], term)
                break
            sent += len(positions)
        return sent

    async def _start_attempt(self, parts: RequestParts, fresh_until: float, term: int) -> bool:
        """Send a request; False if it may no longer leave. Only one Graph batch is written at a time, per process."""
        if self._page.send_mode is not SendMode.BATCH:
            return self._start_attempt_now(parts, fresh_until, term)
        async with self._rendered.large_message_lock:
            has_started = self._start_attempt_now(parts, fresh_until, term)
            await asyncio.sleep(0)  # the attempt's first step, which writes the request
        return has_started

    def _start_attempt_now(self, parts: RequestParts, fresh_until: float, term: int) -> bool:
        if self._halt.is_set() or not self._page.holds_lease(term) or boot_time() > fresh_until:
            return False
        self._in_flight += 1
        task = asyncio.create_task(self._attempt(parts, term))
        self._attempts.add(task)
        task.add_done_callback(self._attempts.discard)
        return True

    async def _return_unsent(self, requests: Sequence[Sequence[int]], term: int) -> None:
        """Record that deliveries certainly did not leave: they are pending again, and a later dispatch checks them."""
        if not self._page.holds_lease(term):
            self.halt(HaltReason.CLAIM_LOST)
        unsent = [position for positions in requests for position in positions]
        result = await self._log.append(lambda batch: batch_decisions.return_unsent(batch, unsent, now=self._now()))
        if result is AppendResult.CLAIM_LOST:
            now, never_left = self._now(), Failed(NEVER_LEFT)
            await self._log.append_late([RecordedOutcome(position=p, outcome=never_left, time=now) for p in unsent])

    async def _attempt(self, parts: RequestParts, term: int) -> None:
        generation = self._page.token_generation
        try:
            results = await self._send_rendered([message for _, message in parts])
        except LocalShortageError as error:
            await self._return_after_shortage(parts, term, error.reason)
            return
        except Exception:
            logger.exception("attempt_broke", message=self.message_id, batch=self._log.batch.number)
            results = [SendResult(outcome=Unconfirmed(CHANNEL_BROKE))] * len(parts)
        finally:
            self._in_flight -= 1
            self._page.request_limiter.release()
        now = self._now()
        for (position, message), result in zip(parts, results, strict=True):
            if isinstance(message, OutgoingMessage):  # without a request, page and content were not tried
                self._page.observe_result(result, generation)
                self._health.observe(result.outcome)
            self._unrecorded.append(RecordedOutcome(position=position, outcome=result.outcome, time=now))
        self._health.release(len(parts))
        self._health.stop_if_due()
        self._wake_recorder()

    async def _return_after_shortage(self, parts: RequestParts, term: int, reason: str) -> None:
        """Return deliveries unsent because this machine lacked a resource: that is no attempt."""
        self._had_shortage = True
        self._page.pause_after_shortage(reason)
        await self._return_unsent([[position for position, _ in parts]], term)
        self._health.release(len(parts))
        self._wake_recorder()

    def _wake_recorder(self) -> None:
        self._wakeup.set()
        if not self._in_flight:
            self._none_in_flight.set()

    async def _send_rendered(self, messages: Sequence[RenderedMessage]) -> Sequence[SendResult]:
        """Send the messages that were rendered; the others fail with their fault, without a request."""
        outgoing = [message for message in messages if isinstance(message, OutgoingMessage)]
        results = iter(await self._send(outgoing) if outgoing else ())
        return [SendResult(outcome=Failed(one)) if isinstance(one, Fault) else next(results) for one in messages]

    async def _send(self, messages: Sequence[OutgoingMessage]) -> Sequence[SendResult]:
        if len(messages) == 1:
            return [await self._channel.send(self._page.credentials, messages[0])]
        results = await self._channel.send_batch(self._page.credentials, messages)
        if len(results) != len(messages):
            raise ValueError(f"the channel returned {len(results)} results for {len(messages)} messages")
        return results

    async def _record_all(self) -> None:
        """Record outcomes as they arrive, at most a whole batch in one event."""
        while self._unrecorded or not self._is_finishing:
            await self._wakeup.wait()
            if self._in_flight:
                await wait_at_most(self._none_in_flight, GATHER_SECONDS)
            self._wakeup.clear()
            self._none_in_flight.clear()
            outcomes, self._unrecorded = self._unrecorded, []
            if outcomes:
                await self._record(outcomes)

    async def _record(self, outcomes: Sequence[RecordedOutcome]) -> None:
        result = await self._log.append(lambda batch: batch_decisions.record(batch, outcomes, now=self._now()))
        if result is AppendResult.CLAIM_LOST:
            self.halt(HaltReason.CLAIM_LOST)
            await self._log.append_late(outcomes)

    def _halt_if_broken(self, recorder: asyncio.Task[None]) -> None:
        """Let no further request leave after the recorder failed."""
        if not recorder.cancelled() and recorder.exception() is not None:
            self.halt(HaltReason.BROKEN)

    async def finish(self) -> None:
        """Wait for the requests in flight; then cancel or release the deliveries that are left."""
        if self._attempts:
            await asyncio.wait(self._attempts)
        self._is_finishing = True
        self._wakeup.set()
        await self._recorder
        if self._halted_by is HaltReason.CANCELLED:
            await self._log.append(lambda batch: batch_decisions.cancel(batch, now=self._now()))
        elif self._halted_by in _RELEASING or (self._had_shortage and self._log.batch.pending):
            await self._log.append(lambda batch: batch_decisions.release(batch, now=self._now()))


def _graph_batches(positions: Sequence[int], messages: Mapping[int, RenderedMessage]) -> Iterator[Sequence[int]]:
    """Yield the positions of each Graph batch."""
    together: list[int] = []
    size = 0
    for position in positions:
        message_size = _size(messages[position])
        if together and (len(together) == GRAPH_BATCH or size + message_size > GRAPH_BATCH_BYTES):
            yield together
            together, size = [], 0
        together.append(position)
        size += message_size
    yield together


def _size(message: RenderedMessage) -> int:
    return len(msgspec.json.encode(message.content)) if isinstance(message, OutgoingMessage) else 0
