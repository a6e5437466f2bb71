"""The new batches of one message in one append."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple, Self

from domain.batch_events import BatchCreated
from domain.event import RecordedEvent
from projections.sql import BulkRows, Parameters, micros

_Common = tuple[str, str, int, int, datetime]


class NewBatches(NamedTuple):
    """Batches of one round that were planned together, and the log position of each."""

    created: Sequence[BatchCreated]
    log_positions: Sequence[int]

    @classmethod
    def from_recorded(cls, recorded: Iterable[RecordedEvent]) -> Self:
        """Return the batches of one or more events with the same result of `group_key`."""
        found = [(one.event, one.position) for one in recorded if isinstance(one.event, BatchCreated)]
        return cls([event for event, _ in found], [position for _, position in found])

    @property
    def first(self) -> BatchCreated:
        """The event of the first batch."""
        return self.created[0]

    @property
    def shared_parameters(self) -> Parameters:
        """The SQL parameters that all batches share."""
        first = self.first
        named = {"message_id": first.message_id, "page_id": first.page_id, "stage": first.stage, "round": first.round}
        return {**named, "time": micros(first.time)}

    @property
    def recipients(self) -> int:
        """The number of recipients of all batches."""
        return sum(len(batch.recipients) for batch in self.created)

    @property
    def has_new_content(self) -> bool:
        """Whether the round has a corrected content, which all recipients get."""
        return self.first.round > 0 and self.first.recipients[0].content_round == self.first.round

    @property
    def numbers(self) -> BulkRows:
        """The numbers of the batches."""
        return BulkRows((("number", int),), [(batch.batch_number,) for batch in self.created])

    @property
    def attempts(self) -> BulkRows:
        """The attempts of all batches."""
        return BulkRows(
            _ATTEMPT,
            [
                (batch.batch_number, position, one.id, one.name, one.attempt_number)
                for batch in self.created
                for position, one in enumerate(batch.recipients)
            ],
        )


_ATTEMPT = (
    *(("batch_number", int), ("position", int)),
    *(("recipient_id", str), ("recipient_name", str), ("attempt_number", int)),
)


def group_key(recorded: RecordedEvent) -> _Common | None:
    """Return the key by which BatchCreated events are grouped; None for other events."""
    event = recorded.event
    if not isinstance(event, BatchCreated):
        return None
    return event.message_id, event.page_id, event.stage, event.round, event.time
