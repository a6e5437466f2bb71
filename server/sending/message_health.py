"""Limits and stops the sending of one message by the results of its recent attempts."""

import asyncio
from collections.abc import Callable

from domain.outcome import Outcome
from domain.stop_policy import AttemptCounts, Stop
from projections.dispatch_state import DispatchState
from projections.policy_columns import stop_policy_of
from server.sending.rate_limiter import MAX_WAIT_STEP, wait_at_most

CACHED_MESSAGES = 1_000  # per page; a message that was dropped starts again with the counts of the database


class MessageHealth:
    """Limits a message's deliveries in flight until its first outcomes are known, and finds the reason to stop it."""

    def __init__(self, counts: AttemptCounts, on_stop: Callable[[Stop], None]) -> None:
        self._counts = counts
        self._on_stop = on_stop
        self._in_flight = 0
        self._changed = asyncio.Event()
        self.is_stopping = False

    @property
    def room(self) -> int | None:
        """Return how many more deliveries may leave now; None means no limit."""
        return self._counts.max_additional(self._in_flight)

    async def wait_for_room(self, halt: asyncio.Event) -> bool:
        """Wait until a delivery may leave; False after a halt or a stop."""
        while self.room == 0 and not halt.is_set() and not self.is_stopping:
            self._changed.clear()
            await wait_at_most(self._changed, MAX_WAIT_STEP)
        return not halt.is_set() and not self.is_stopping

    def reserve(self, deliveries: int) -> None:
        """Count deliveries as in flight."""
        self._in_flight += deliveries

    def release(self, deliveries: int) -> None:
        """Count reserved deliveries as no longer in flight: they did not leave, or have an outcome."""
        self._in_flight -= deliveries
        self._changed.set()

    def wake(self) -> None:
        """Let `wait_for_room` check its halt event."""
        self._changed.set()

    def observe(self, outcome: Outcome) -> None:
        """Count the outcome of an attempt."""
        self._counts.add(outcome)

    def stop_if_due(self) -> None:
        """Request the stop of the message, once, if its attempts call for it."""
        reason = None if self.is_stopping else self._counts.reason_to_stop()
        if reason is not None:
            self.is_stopping = True
            self._changed.set()
            self._on_stop(reason)


class MessageHealthCache:
    """The health of a page's messages; `on_stop` is called with the id of the message to stop and the reason."""

    def __init__(self, on_stop: Callable[[str, Stop], None]) -> None:
        self._on_stop = on_stop
        self._by_message: dict[str, MessageHealth] = {}

    def get(self, message_id: str, state: DispatchState) -> MessageHealth:
        """Return a message's health; one that is not cached starts with the counts of the database."""
        if message_id not in self._by_message:
            if len(self._by_message) >= CACHED_MESSAGES:
                del self._by_message[next(iter(self._by_message))]
            policy = stop_policy_of(state.stop_policy)
            counts = AttemptCounts(policy, attempts=state.recent_attempts, failures=state.recent_failures)
            self._by_message[message_id] = MessageHealth(counts, lambda reason: self._on_stop(message_id, reason))
        return self._by_message[message_id]

    def is_stopping(self, message_id: str) -> bool:
        """Return whether a stop of the message was requested."""
        health = self._by_message.get(message_id)
        return health is not None and health.is_stopping

    def forget(self, message_id: str) -> None:
        """Drop a message: its next batch starts with the counts of the database."""
        self._by_message.pop(message_id, None)

    def forget_all(self) -> None:
        """Drop all messages of the page."""
        self._by_message.clear()
