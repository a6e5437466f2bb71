"""The plan of a round: recipients put into batches of 100, numbered on from the message's last."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TypeVar

import msgspec

from domain.batch import BATCH_SIZE
from domain.batch_events import BatchCreated, BatchRecipient

PLAN_SLICE = 10_000  # recipients planned in one append: each slice is atomic (protocol rule 14)

T = TypeVar("T")


class BatchPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Where the batches of one append belong; `first_batch` is the number of the first, a cap of 0 is none."""

    message_id: str
    page_id: str
    stage: int
    round: int
    first_batch: int
    time: datetime
    messages_per_second: float = 0.0

    def created(
        self,
        index: int,
        recipients: Sequence[BatchRecipient],
        sealed_variables: bytes = b"",
        *,
        sealed_names: bytes = b"",
        sealed_by_person: bool = False,
    ) -> BatchCreated:
        """The event of the plan's n-th batch, from 0."""
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


def batches_needed(recipients: int) -> int:
    """How many batches of 100 hold so many recipients."""
    return -(-recipients // BATCH_SIZE)


def in_batches(recipients: Sequence[T]) -> Iterator[Sequence[T]]:
    """The recipients, 100 at a time."""
    for start in range(0, len(recipients), BATCH_SIZE):
        yield recipients[start : start + BATCH_SIZE]
