"""What one transaction changes of all that is counted: written at its end, one statement a message.

It also holds what the transaction has read of the past.
"""

from collections import Counter
from collections.abc import Mapping

import msgspec

from domain.delivery import DeliveryStatus
from projections import messages
from projections.messages import RecentAttempts
from projections.outcomes import OutcomeTally
from projections.pasts import Pasts
from projections.sql import Micros, Sql


class _Changes(msgspec.Struct):
    states: Counter[DeliveryStatus] = msgspec.field(default_factory=Counter)
    completed_batches: int = 0
    attempts: RecentAttempts = msgspec.field(default_factory=RecentAttempts)
    is_started: bool = False
    update_time: Micros | None = None
    position: int = 0


class Tally:
    """Adds up; however the log's events are divided into transactions, the sum is the same."""

    def __init__(self) -> None:
        self._messages: dict[str, _Changes] = {}
        self.outcomes = OutcomeTally()
        self.pasts = Pasts()

    def add(
        self, message_id: str, states: Mapping[DeliveryStatus, int], time: Micros | None, *, is_started: bool
    ) -> None:
        """So many more of the message's recipients are in each state; what is new to all of them adds to the total.

        With a time, it is an update.
        """
        changes = self._messages.setdefault(message_id, _Changes())
        for state, change in states.items():
            changes.states[state] += change
        changes.is_started = changes.is_started or is_started
        changes.update_time = time or changes.update_time

    def complete_batch(self, message_id: str) -> None:
        """One more of the message's batches has come to its end."""
        self._messages.setdefault(message_id, _Changes()).completed_batches += 1

    def recent_attempts(self, message_id: str) -> RecentAttempts:
        """Return the message's attempts that its stop policy counts, to add to."""
        return self._messages.setdefault(message_id, _Changes()).attempts

    def move(self, message_id: str, position: int, time: Micros | None = None) -> None:
        """An event of the message stands at this position of the log; with a time, it is an update."""
        changes = self._messages.setdefault(message_id, _Changes())
        changes.position = position
        changes.update_time = time or changes.update_time

    def forget(self, message_id: str) -> None:
        """The message is gone."""
        self._messages.pop(message_id, None)

    def write(self, sql: Sql) -> None:
        """Brings the messages and the outcomes up to date."""
        for message_id, changes in self._messages.items():
            messages.settle(
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
