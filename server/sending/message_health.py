"""The attempts of one message on its page's worker: how many may be in flight, and when to stop the message."""

import asyncio
from collections.abc import Callable

from domain.outcome import Outcome
from domain.stop_policy import AttemptCounts, Stop
from projections.policy_columns import stop_policy_of
from server.sending.preconditions import State
from server.sending.rate_limiter import LONGEST_STEP, wait

KEPT_MESSAGES = 1_000  # of a page; a message that is dropped and comes back is counted from the database again


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
        """How many more deliveries may leave now; None without a limit."""
        return self._counts.max_additional(self._in_flight)

    async def wait_for_room(self, halt: asyncio.Event) -> bool:
        """Wait until a delivery may leave; False after a halt or a stop."""
        while self.room == 0 and not halt.is_set() and not self.is_stopping:
            self._changed.clear()
            await wait(self._changed, LONGEST_STEP)
        return not halt.is_set() and not self.is_stopping

    def reserve(self, deliveries: int) -> None:
        """Count deliveries as in flight."""
        self._in_flight += deliveries

    def give_back(self, deliveries: int) -> None:
        """Count reserved deliveries out again: they did not leave, or their outcome is known."""
        self._in_flight -= deliveries
        self._changed.set()

    def wake(self) -> None:
        """Let a waiting dispatch look at its halt."""
        self._changed.set()

    def observe(self, outcome: Outcome) -> None:
        """Count the outcome of an attempt."""
        self._counts.add(outcome)

    def stop_if_due(self) -> None:
        """Ask for the message to be stopped, once, when its attempts call for it."""
        reason = None if self.is_stopping else self._counts.reason_to_stop()
        if reason is not None:
            self.is_stopping = True
            self._changed.set()
            self._on_stop(reason)


class MessageHealths:
    """The health of each of a page's messages; `on_stop` is called with the message to stop and the reason."""

    def __init__(self, on_stop: Callable[[str, Stop], None]) -> None:
        self._on_stop = on_stop
        self._healths: dict[str, MessageHealth] = {}

    def of(self, message_id: str, state: State) -> MessageHealth:
        """Return a message's health; of one that was not seen before, as its state in the database says."""
        if message_id not in self._healths:
            if len(self._healths) >= KEPT_MESSAGES:
                del self._healths[next(iter(self._healths))]
            policy = stop_policy_of(state.stop_policy)
            counts = AttemptCounts(policy, attempts=state.recent_attempts, failures=state.recent_failures)
            self._healths[message_id] = MessageHealth(counts, lambda reason: self._on_stop(message_id, reason))
        return self._healths[message_id]

    def is_stopping(self, message_id: str) -> bool:
        """Return whether a stop of the message was asked for."""
        health = self._healths.get(message_id)
        return health is not None and health.is_stopping

    def forget(self, message_id: str) -> None:
        """Count a message's attempts from the database again: it was resumed or resent, or its stop was decided."""
        self._healths.pop(message_id, None)

    def forget_all(self) -> None:
        """Count all messages from the database again: the page was released."""
        self._healths.clear()
