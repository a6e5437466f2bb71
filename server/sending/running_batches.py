"""The batches of one page that this process sends now, and those that it tries again later."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

import structlog

from domain.errors import Unavailable
from projections.sealed_names import BatchKey
from server.sending.batch_sender import BatchSender, HaltReason
from server.sending.concurrency_limiter import MAX_PAGE_REQUESTS
from server.sending.round_rate_limit import Round

logger = structlog.get_logger()

# One batch dispatches; each of the others waits for at least one response. So more could not have a request in flight.
OPEN_BATCHES = MAX_PAGE_REQUESTS
POSTPONED_SECONDS = 60.0


class PostponedBatches:
    """Batches that could not be opened or failed; each is tried again after POSTPONED_SECONDS.

    Each claim is an event in the event store, and a batch that fails must not keep others from leaving.
    """

    def __init__(self) -> None:
        self._until: dict[BatchKey, float] = {}  # monotonic

    def __len__(self) -> int:
        return len(self._until)

    def add(self, key: BatchKey) -> None:
        """Postpone a batch."""
        self._until[key] = time.monotonic() + POSTPONED_SECONDS

    def is_postponed(self, key: BatchKey) -> bool:
        """Return whether a batch must not be claimed now."""
        return self._until.get(key, 0.0) > time.monotonic()


class RunningBatches:
    """Sends claimed batches; sets `wakeup` when a batch ends, and when its last message has left in the background."""

    def __init__(self, postponed: PostponedBatches, wakeup: asyncio.Event) -> None:
        self._postponed = postponed
        self._wakeup = wakeup
        self._senders: dict[BatchKey, BatchSender] = {}
        self._background: dict[BatchKey, Round] = {}  # batches that dispatch in the background
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._senders)

    def __contains__(self, key: BatchKey) -> bool:
        return key in self._senders

    @property
    def has_room(self) -> bool:
        """Return whether another batch may be claimed."""
        return len(self._senders) - len(self._background) < OPEN_BATCHES

    @property
    def has_tasks(self) -> bool:
        """Return whether a batch dispatches in the background, or waits for its last outcomes."""
        return bool(self._tasks)

    def background_rounds(self) -> set[Round]:
        """Return the rounds of which a batch dispatches in the background: their next batch waits until it has left."""
        return set(self._background.values())

    def add(self, key: BatchKey, sender: BatchSender) -> None:
        """Take in a claimed batch."""
        self._senders[key] = sender

    def halt(self, message_id: str, reason: HaltReason) -> None:
        """Halt the batches of a message."""
        for sender in self._senders.values():
            if sender.message_id == message_id:
                sender.halt(reason)

    def halt_all(self, reason: HaltReason) -> None:
        """Halt all batches."""
        for sender in self._senders.values():
            sender.halt(reason)

    async def send(self, key: BatchKey, sender: BatchSender) -> None:
        """Send a batch; return when all of it has left, or at once if it dispatches in the background.

        A batch that may have to wait dispatches in the background, so that others can leave. Of those that wait for
        outcomes, at most OPEN_BATCHES do. Raises what the dispatch raises.
        """
        waits_for_outcomes = sender.waits_for_outcomes and len(self._background) < OPEN_BATCHES
        if sender.has_round_rate_limit or waits_for_outcomes:
            self._background[key] = sender.round
            self._spawn(self._dispatch_in_background(key, sender))
        else:
            await self._dispatch(key, sender)

    async def wait_until_done(self) -> None:
        """Wait until no batch is left."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _dispatch(self, key: BatchKey, sender: BatchSender) -> None:
        """Dispatch a batch; one that fails stops sending, and its exception ends the page's worker."""
        try:
            await sender.dispatch()
        except Unavailable:
            raise
        except Exception:
            sender.halt(HaltReason.BROKEN)
            self._spawn(self._finish(key, sender))
            raise
        self._spawn(self._finish(key, sender))

    async def _dispatch_in_background(self, key: BatchKey, sender: BatchSender) -> None:
        try:
            await sender.dispatch()
        except Unavailable:
            logger.warning("log_away", part="batch")
            sender.halt(HaltReason.BROKEN)
        except Exception:
            logger.exception("batch_broke", message=key[0], batch=key[1], next_try_seconds=POSTPONED_SECONDS)
            self._postponed.add(key)
            sender.halt(HaltReason.BROKEN)
        finally:
            del self._background[key]
            self._wakeup.set()
        await self._finish(key, sender)

    async def _finish(self, key: BatchKey, sender: BatchSender) -> None:
        try:
            await sender.finish()
        except Unavailable:
            logger.warning("log_away", part="batch")
        except Exception:
            logger.exception("batch_broke", message=key[0], batch=key[1], next_try_seconds=POSTPONED_SECONDS)
            self._postponed.add(key)
        finally:
            del self._senders[key]
            self._wakeup.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
