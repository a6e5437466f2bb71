"""One batch on its way: dispatched in chunks, sent at the page's pace, its outcomes recorded as they come."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum

import msgspec
import structlog

from domain import batch_decisions
from domain.batch_events import RecordedOutcome
from domain.fault import ErrorType, Fault, RetryRule, Scope
from domain.outcome import Failed, Unconfirmed
from domain.page_events import SendMode
from server.cluster.page_leases import boot_time
from server.eventstore.commit import Refused
from server.messenger.channel import Attempted, Channel, NothingLeftError, OutgoingMessage
from server.sending.batch_log import BatchLog, Written
from server.sending.message_health import MessageHealth
from server.sending.preconditions import AlreadySent, BlockReason, Erased, may_leave
from server.sending.rate_limiter import wait
from server.sending.rendered_messages import Letter, RenderedBatch
from server.sending.round_rate_limit import RoundRateLimit
from server.sending.sending_page import SendingPage

logger = structlog.get_logger()

GRAPH_BATCH = 50  # parts in one Graph batch, the platform's limit
# Of the contents in one Graph batch, as JSON: written in it they are five times as long, which takes 20 milliseconds.
GRAPH_BATCH_BYTES = 128 * 1024
GATHER_SECONDS = 0.1  # that an outcome waits for others while some are in flight: few cost as much as many
FRESH_SECONDS = 1.0  # after its guard ran a chunk leaves within this time, or is taken back
CHANNEL_BROKE = Fault(
    message="the attempt broke off inside the server",
    type=ErrorType.NETWORK,
    scope=Scope.TRANSPORT,
    retry=RetryRule.AUTOMATIC,
)

NEVER_LEFT = Fault(
    message="the request never left: its worker had lost the batch",
    type=ErrorType.NETWORK,
    scope=Scope.TRANSPORT,
    retry=RetryRule.AUTOMATIC,
)


class Halt(StrEnum):
    """Why a batch stops before its end."""

    CANCELLED = "CANCELLED"
    PAUSED = "PAUSED"
    PAGE_HELD = "PAGE_HELD"
    DRAINING = "DRAINING"
    CLAIM_LOST = "CLAIM_LOST"
    BROKEN = "BROKEN"
    CONTENT_REPLACED = "CONTENT_REPLACED"


_RELEASING = (Halt.DRAINING, Halt.PAUSED, Halt.PAGE_HELD, Halt.CONTENT_REPLACED)  # another claim goes on
_HALTED_BY = {
    BlockReason.MESSAGE_STOPPED: Halt.CANCELLED,
    BlockReason.MESSAGE_PAUSED: Halt.PAUSED,
    BlockReason.PAGE_HELD: Halt.PAGE_HELD,
    BlockReason.CONTENT_REPLACED: Halt.CONTENT_REPLACED,
}


class BatchSender:
    """Works a claimed batch: `dispatch` returns when nothing more will leave, `finish` when all is durable."""

    def __init__(
        self,
        batch_log: BatchLog,
        letters: RenderedBatch,
        page: SendingPage,
        channel: Channel,
        now: Callable[[], datetime],
        health: MessageHealth,
        cap: RoundRateLimit | None = None,
    ) -> None:
        self._log = batch_log
        self._health = health
        self._cap = cap
        self._letters = letters
        self._page = page
        self._channel = channel
        self._now = now
        self._halt = asyncio.Event()
        self._halted_by: Halt | None = None
        self._known: list[RecordedOutcome] = []
        self._in_flight = 0  # requests without an answer
        self._news = asyncio.Event()
        self._enough = asyncio.Event()  # is known to be recorded
        self._is_over = False
        self._has_lacked = False  # a request found no means to leave: its deliveries are pending again
        self._attempts: set[asyncio.Task[None]] = set()
        self._recorder = asyncio.create_task(self._record_all())
        self._recorder.add_done_callback(self._look_at_recorder)

    @property
    def message_id(self) -> str:
        """The message that the batch is of."""
        return self._log.batch.message_id

    @property
    def is_capped(self) -> bool:
        """Its round has a pace of its own."""
        return self._cap is not None

    @property
    def awaits_outcomes(self) -> bool:
        """Not all of it may leave before the first outcomes of its message are known."""
        room = self._health.room
        return room is not None and room < len(self._log.batch.pending)

    def halt(self, cause: Halt) -> None:
        """Lets nothing more leave; takes effect before the next request. A pause may still become something else."""
        if self._halted_by in (None, Halt.PAUSED, Halt.PAGE_HELD, Halt.CONTENT_REPLACED):
            self._halted_by = cause
            self._halt.set()
            self._health.wake()

    async def dispatch(self) -> None:
        """Lets chunk after chunk leave, at the page's pace; one of a capped round waits for that first."""
        while self._log.batch.pending and await self._health.wait_for_room(self._halt):
            pending = self._log.batch.pending
            chunk = pending[: self._chunk(len(pending))]
            self._health.reserve(len(chunk))
            left = 0
            try:
                left = await self._clear_and_dispatch(chunk)
            finally:
                self._health.give_back(len(chunk) - left)

    async def _clear_and_dispatch(self, chunk: Sequence[int]) -> int:
        """Dispatch a chunk once it may leave; return how many deliveries left."""
        if self._cap is not None and not await self._cap.take(len(chunk), self._halt):
            return 0
        letters = await self._letters.rendered(chunk)
        if not await self._page.clear(len(self._requests(chunk, letters)[0]), self._halt):
            return 0
        return await self._dispatch_chunk(chunk, letters)

    def _requests(self, positions: Sequence[int], letters: Mapping[int, Letter]) -> Sequence[Sequence[int]]:
        """Return which deliveries leave together: one by one, or as many as there is room for in a Graph batch."""
        if self._page.send_mode is not SendMode.BATCH:
            return [[position] for position in positions]
        return list(_graph_batches(positions, letters))

    def _chunk(self, most: int) -> int:
        """How many may be dispatched together."""
        room = self._health.room
        at_pace = self._page.pacer.chunk(most if room is None else min(most, room))
        return at_pace if self._cap is None else self._cap.chunk(at_pace)

    async def _dispatch_chunk(self, chunk: Sequence[int], letters: Mapping[int, Letter]) -> int:
        """The first request of the chunk is clear to leave: it goes once the dispatch is durable (invariant 4)."""
        term = self._page.term
        written = await self._append_dispatch(chunk)
        leaving = [position for position in chunk if self._log.batch.is_sending(position)]
        if written is not Written.DONE or not leaving:
            self._page.slots.give_back()
            await self._heed(written)
            return 0
        return await self._send_chunk(self._requests(leaving, letters), letters, term)

    async def _append_dispatch(self, chunk: Sequence[int]) -> Written | Refused:
        guard = may_leave(
            self._log.batch,
            chunk,
            worker=self._page.worker,
            generation=self._page.ownership_generation,
            erased_until=self._letters.erased_until,
            replaced_round=self._letters.replaced_round,
        )
        generation = self._page.token_generation
        return await self._log.append(
            lambda batch: batch_decisions.dispatch(batch, chunk, token_generation=generation, now=self._now()), guard
        )

    async def _heed(self, written: Written | Refused) -> None:
        """What kept a chunk from leaving."""
        if isinstance(written, Refused) and isinstance(written.cause, AlreadySent):
            sent = written.cause.positions
            await self._log.append(lambda batch: batch_decisions.cancel_positions(batch, sent, now=self._now()))
        elif isinstance(written, Refused) and isinstance(written.cause, Erased):
            self._letters = self._letters.without(written.cause.positions, written.cause.until)
        elif isinstance(written, Refused) and written.cause in _HALTED_BY:
            self.halt(_HALTED_BY[written.cause])
        elif written is not Written.NOTHING_TO_DO:
            self.halt(Halt.CLAIM_LOST)

    async def _send_chunk(self, requests: Sequence[Sequence[int]], letters: Mapping[int, Letter], term: int) -> int:
        """Send the requests that may still leave and take the rest back; return how many deliveries left."""
        fresh_until = boot_time() + FRESH_SECONDS
        sent = 0
        for index, together in enumerate(requests):
            left = fresh_until - boot_time()
            if index and not await self._page.clear(len(together), self._halt, within=left):
                await self._take_back(requests[index:], term)
                break
            if not await self._begin_attempt(
                [(position, letters[position]) for position in together], fresh_until, term
            ):
                self._page.slots.give_back()
                await self._take_back(requests[index:], term)
                break
            sent += len(together)
        return sent

    async def _begin_attempt(self, together: Sequence[tuple[int, Letter]], fresh_until: float, term: int) -> bool:
        """Let a request leave; False if it may not any more. Of all Graph batches one is written at a time."""
        if self._page.send_mode is not SendMode.BATCH:
            return self._begin_attempt_now(together, fresh_until, term)
        async with self._letters.turn:
            has_begun = self._begin_attempt_now(together, fresh_until, term)
            await asyncio.sleep(0)  # the attempt's first step, which writes the request
        return has_begun

    def _begin_attempt_now(self, together: Sequence[tuple[int, Letter]], fresh_until: float, term: int) -> bool:
        if self._halt.is_set() or not self._page.is_held(term) or boot_time() > fresh_until:
            return False
        self._in_flight += 1
        task = asyncio.create_task(self._attempt(together, term))
        self._attempts.add(task)
        task.add_done_callback(self._attempts.discard)
        return True

    async def _take_back(self, requests: Sequence[Sequence[int]], term: int) -> None:
        """These provably did not leave; they are dispatched again later, after another look at the guards."""
        if not self._page.is_held(term):
            self.halt(Halt.CLAIM_LOST)
        unsent = [position for together in requests for position in together]
        written = await self._log.append(lambda batch: batch_decisions.return_unsent(batch, unsent, now=self._now()))
        if written is Written.CLAIM_LOST:
            now, never_left = self._now(), Failed(NEVER_LEFT)
            await self._log.append_late([RecordedOutcome(position=p, outcome=never_left, time=now) for p in unsent])

    async def _attempt(self, together: Sequence[tuple[int, Letter]], term: int) -> None:
        generation = self._page.token_generation
        try:
            attempted = await self._send_letters([letter for _, letter in together])
        except NothingLeftError as error:
            await self._put_off(together, term, error.reason)
            return
        except Exception:
            logger.exception("attempt_broke", message=self.message_id, batch=self._log.batch.number)
            attempted = [Attempted(outcome=Unconfirmed(CHANNEL_BROKE))] * len(together)
        finally:
            self._in_flight -= 1
            self._page.slots.give_back()
        now = self._now()
        for (position, letter), one in zip(together, attempted, strict=True):
            if isinstance(letter, OutgoingMessage):  # what failed without a request says nothing of page and content
                self._page.heed(one, generation)
                self._health.observe(one.outcome)
            self._known.append(RecordedOutcome(position=position, outcome=one.outcome, time=now))
        self._health.give_back(len(together))
        self._health.stop_if_due()
        self._news.set()
        if not self._in_flight:
            self._enough.set()

    async def _put_off(self, together: Sequence[tuple[int, Letter]], term: int, reason: str) -> None:
        """Take back what found no means to leave: that is no attempt, and it leaves later."""
        self._has_lacked = True
        self._page.lack(reason)
        await self._take_back([[position for position, _ in together]], term)
        self._health.give_back(len(together))
        self._news.set()
        if not self._in_flight:
            self._enough.set()

    async def _send_letters(self, letters: Sequence[Letter]) -> Sequence[Attempted]:
        """Send what can be sent; a person who was erased, and a recipient who lacks a value, fail without a request."""
        leaving = [letter for letter in letters if isinstance(letter, OutgoingMessage)]
        answers = iter(await self._send(leaving) if leaving else ())
        return [Attempted(outcome=Failed(one)) if isinstance(one, Fault) else next(answers) for one in letters]

    async def _send(self, letters: Sequence[OutgoingMessage]) -> Sequence[Attempted]:
        if len(letters) == 1:
            return [await self._channel.send(self._page.credentials, letters[0])]
        attempted = await self._channel.send_batch(self._page.credentials, letters)
        if len(attempted) != len(letters):
            raise ValueError(f"the channel answered {len(attempted)} of {len(letters)} messages")
        return attempted

    async def _record_all(self) -> None:
        """Records what has come in, up to a whole batch in one event."""
        while self._known or not self._is_over:
            await self._news.wait()
            if self._in_flight:
                await wait(self._enough, GATHER_SECONDS)
            self._news.clear()
            self._enough.clear()
            known, self._known = self._known, []
            if known:
                await self._record(known)

    async def _record(self, known: Sequence[RecordedOutcome]) -> None:
        written = await self._log.append(lambda batch: batch_decisions.record(batch, known, now=self._now()))
        if written is Written.CLAIM_LOST:
            self.halt(Halt.CLAIM_LOST)
            await self._log.append_late(known)

    def _look_at_recorder(self, recorder: asyncio.Task[None]) -> None:
        """Without its recorder a batch lets nothing more leave."""
        if not recorder.cancelled() and recorder.exception() is not None:
            self.halt(Halt.BROKEN)

    async def finish(self) -> None:
        """Waits for what is in flight, then lets the batch go if it has not come to its end."""
        if self._attempts:
            await asyncio.wait(self._attempts)
        self._is_over = True
        self._news.set()
        await self._recorder
        if self._halted_by is Halt.CANCELLED:
            await self._log.append(lambda batch: batch_decisions.cancel(batch, now=self._now()))
        elif self._halted_by in _RELEASING or (self._has_lacked and self._log.batch.pending):
            await self._log.append(lambda batch: batch_decisions.release(batch, now=self._now()))


def _graph_batches(positions: Sequence[int], letters: Mapping[int, Letter]) -> Iterator[Sequence[int]]:
    """Yield the deliveries of each Graph batch."""
    together: list[int] = []
    size = 0
    for position in positions:
        of_letter = _size(letters[position])
        if together and (len(together) == GRAPH_BATCH or size + of_letter > GRAPH_BATCH_BYTES):
            yield together
            together, size = [], 0
        together.append(position)
        size += of_letter
    yield together


def _size(letter: Letter) -> int:
    return len(msgspec.json.encode(letter.content)) if isinstance(letter, OutgoingMessage) else 0
