"""A batch keeps all that its plan and its first event say."""

from dataclasses import dataclass

import pytest

from domain import batch as batches
from domain.batch import Batch
from domain.batch_plan import BatchPlan
from domain.delivery import DeliveryStatus, deciding_attempt, delivery_id
from tests.builders import MESSAGE, NOW, PAGE, batch_recipients

RECIPIENTS = batch_recipients("ann", "bob")


def test_a_planned_batch_and_the_batch_of_its_event_keep_everything() -> None:
    plan = BatchPlan(
        message_id=MESSAGE, page_id=PAGE, stage=3, round=2, first_batch=7, time=NOW, messages_per_second=1.5
    )

    created = plan.batch_created(1, RECIPIENTS, b"variables", sealed_names=b"names", sealed_by_person=True)

    assert batches.fold([created]) == Batch(
        message_id=MESSAGE,
        number=8,
        stage=3,
        round=2,
        page_id=PAGE,
        recipients=RECIPIENTS,
        sealed_variables=b"variables",
        sealed_names=b"names",
        sealed_by_person=True,
        messages_per_second=1.5,
        version=1,
        statuses={0: DeliveryStatus.PENDING, 1: DeliveryStatus.PENDING},
    )


def test_a_planned_batch_has_no_variables_and_names_unless_given() -> None:
    plan = BatchPlan(message_id=MESSAGE, page_id=PAGE, stage=0, round=0, first_batch=1, time=NOW)

    created = plan.batch_created(0, RECIPIENTS)

    assert (created.sealed_variables, created.sealed_names, created.sealed_by_person) == (b"", b"", False)
    assert (created.time, created.messages_per_second) == (NOW, 0.0)


def test_a_batch_without_events_is_refused() -> None:
    with pytest.raises(ValueError, match="BatchCreated"):
        batches.fold([])


def test_a_keyed_delivery_id_ends_with_its_tag() -> None:
    assert delivery_id("m", 2, 7) == "m.2.7"
    assert delivery_id("m", 2, 7, "tag") == "m.2.7.tag"


@dataclass
class Attempt:
    """An attempt that cannot be compared with others."""

    attempt_number: int
    status: DeliveryStatus


def test_the_last_attempt_decides_by_its_number() -> None:
    later, earlier = Attempt(10, DeliveryStatus.FAILED), Attempt(9, DeliveryStatus.FAILED)

    assert deciding_attempt([later, earlier]) is later
