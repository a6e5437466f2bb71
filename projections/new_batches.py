"""New batches: those of one message that one append brings."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple, Self

from domain.batch_events import BatchCreated
from projections.recorded import Recorded
from projections.sql import Given, Parameters, micros

_Common = tuple[str, str, int, int, datetime]


class NewBatches(NamedTuple):
    """Batches of one round, on one page, that were planned at the same time, and where each stands in the log."""

    created: Sequence[BatchCreated]
    log_positions: Sequence[int]

    @classmethod
    def of(cls, recorded: Iterable[Recorded]) -> Self:
        """Made from events that have the same `in_common`, one at least."""
        found = [(one.event, one.position) for one in recorded if isinstance(one.event, BatchCreated)]
        return cls([event for event, _ in found], [position for _, position in found])

    @property
    def first(self) -> BatchCreated:
        """The event of the first of them."""
        return self.created[0]

    @property
    def common(self) -> Parameters:
        """What all of them have in common."""
        first = self.first
        named = {"message_id": first.message_id, "page_id": first.page_id, "stage": first.stage, "round": first.round}
        return {**named, "time": micros(first.time)}

    @property
    def recipients(self) -> int:
        """How many they are for."""
        return sum(len(batch.recipients) for batch in self.created)

    @property
    def bring_content(self) -> bool:
        """Whether their round brings a corrected content, which all of their recipients get then."""
        return self.first.round > 0 and self.first.recipients[0].content_round == self.first.round

    @property
    def numbers(self) -> Given:
        """Which they are."""
        return Given((("number", int),), [(batch.batch_number,) for batch in self.created])

    @property
    def attempts(self) -> Given:
        """Their attempts."""
        return Given(
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


def in_common(recorded: Recorded) -> _Common | None:
    """What batches have in common that go together; None of any other event."""
    event = recorded.event
    if not isinstance(event, BatchCreated):
        return None
    return event.message_id, event.page_id, event.stage, event.round, event.time
