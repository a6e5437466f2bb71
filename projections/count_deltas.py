"""The count changes of one transaction, written at its end with one statement per message.

It also holds the transaction's cache of prior states.
"""

from collections import Counter
from collections.abc import Mapping

import msgspec

from domain.delivery import DeliveryStatus
from projections import messages
from projections.messages import RecentAttempts
from projections.outcomes import OutcomeDeltas
from projections.prior_state import PriorStates
from projections.sql import Micros, Sql


class _Changes(msgspec.Struct):
    states: Counter[DeliveryStatus] = msgspec.field(default_factory=Counter)
    completed_batches: int = 0
    attempts: RecentAttempts = msgspec.field(default_factory=RecentAttempts)
    is_started: bool = False
    update_time: Micros | None = None
    position: int = 0


class CountDeltas:
    """Adds up the changes; the sum does not depend on how events are divided into transactions."""

    def __init__(self) -> None:
        self._messages: dict[str, _Changes] = {}
        self.outcomes = OutcomeDeltas()
        self.prior_states = PriorStates()

    def add(
        self, message_id: str, states: Mapping[DeliveryStatus, int], time: Micros | None, *, is_started: bool
    ) -> None:
        """Add changes to the number of a message's recipients by state; new recipients add to the total.

        `time` becomes the message's update time; None keeps it.
        """
        changes = self._messages.setdefault(message_id, _Changes())
        for state, change in states.items():
            changes.states[state] += change
        changes.is_started = changes.is_started or is_started
        changes.update_time = time or changes.update_time

    def complete_batch(self, message_id: str) -> None:
        """Count one more completed batch of the message."""
        self._messages.setdefault(message_id, _Changes()).completed_batches += 1

    def recent_attempts(self, message_id: str) -> RecentAttempts:
        """Return the counter of the attempts that the message's stop policy counts."""
        return self._messages.setdefault(message_id, _Changes()).attempts

    def record_position(self, message_id: str, position: int, time: Micros | None = None) -> None:
        """Set the log position of the message's last event; `time` becomes its update time, None keeps it."""
        changes = self._messages.setdefault(message_id, _Changes())
        changes.position = position
        changes.update_time = time or changes.update_time

    def discard(self, message_id: str) -> None:
        """Drop the changes of a message that no longer exists."""
        self._messages.pop(message_id, None)

    def write(self, sql: Sql) -> None:
        """Update the messages and outcomes tables."""
        for message_id, changes in self._messages.items():
            messages.add_counts(
                sql,
                message_id,
                changes.states,
                completed_batches=changes.completed_batches,
                attempts=changes.attempts,
                is_started=changes.is_started,
                update_time=changes.update_time,
                position=changes.position,
            )
        self.outcomes.write(sql)
