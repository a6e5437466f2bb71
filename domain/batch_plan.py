"""The plan of a round: recipients in batches of 100, numbered on from the message's last batch."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TypeVar

import msgspec

from domain.batch import BATCH_SIZE
from domain.batch_events import BatchCreated, BatchRecipient

PLAN_SLICE = 10_000  # recipients planned in one append: each slice is atomic (protocol rule 14)

T = TypeVar("T")


class BatchPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What all batches of one append share.

    `first_batch` is the number of the first one. `messages_per_second` is the limit of the round; 0 for none.
    """

    message_id: str
    page_id: str
    stage: int
    round: int
    first_batch: int
    time: datetime
    messages_per_second: float = 0.0

    def batch_created(
        self,
        index: int,
        recipients: Sequence[BatchRecipient],
        sealed_variables: bytes = b"",
        *,
        sealed_names: bytes = b"",
        sealed_by_person: bool = False,
    ) -> BatchCreated:
        """Return the event for the batch at `index` of the plan, counted from 0."""
        return BatchCreated(
            message_id=self.message_id,
            batch_number=self.first_batch + index,
            page_id=self.page_id,
            stage=self.stage,
            round=self.round,
            recipients=tuple(recipients),
            sealed_variables=sealed_variables,
            sealed_names=sealed_names,
            sealed_by_person=sealed_by_person,
            messages_per_second=self.messages_per_second,
            time=self.time,
        )


def batch_count(recipients: int) -> int:
    """Return the number of batches for this number of recipients."""
    return -(-recipients // BATCH_SIZE)


def split_into_batches(recipients: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield the recipients in groups of 100."""
    for start in range(0, len(recipients), BATCH_SIZE):
        yield recipients[start : start + BATCH_SIZE]
