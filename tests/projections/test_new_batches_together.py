"""New batches of one append are projected together, with the same result as one by one."""

from collections.abc import Mapping, Sequence

import pytest

from domain.batch import fold
from domain.outcome import Outcome
from domain.streams import batch_stream, message_stream, receipts_stream
from tests.builders import (
    FAILED,
    FAILED_FOR_GOOD,
    MESSAGE,
    SENT,
    UNCONFIRMED,
    after,
    batch_created,
    batch_recipients,
    delivered,
    message_submitted,
    retry_requested,
)
from tests.projections.test_receipts_in_any_order import History, read_models_of
from tests.receipts import echo, receipts_recorded

PEOPLE = ("ann", "bob", "cy", "dee")
ALL_FAILED: Mapping[str, Outcome] = {"ann": FAILED, "bob": FAILED_FOR_GOOD, "cy": UNCONFIRMED, "dee": FAILED}


def first_round(outcomes: Mapping[str, Outcome]) -> History:
    """Return two batches of two recipients, planned together, and their outcomes."""
    created = [
        batch_created(*batch_recipients(*PEOPLE[:2]), batch_number=1),
        batch_created(*batch_recipients(*PEOPLE[2:]), batch_number=2),
    ]
    ended = [event for one in created for event in delivered(fold([one]), outcomes)]
    return [
        (message_stream(MESSAGE), message_submitted(4)),
        *((batch_stream(MESSAGE, 0, one.batch_number), one) for one in created),
        *((batch_stream(MESSAGE, 0, event.batch_number), event) for event in ended),
    ]


def second_round(*people: Sequence[str]) -> History:
    """Return a resend with one batch for each group of recipients, planned together."""
    created = [
        batch_created(*batch_recipients(*group, attempt=2), batch_number=3 + index, round=1, time=after(60))
        for index, group in enumerate(people)
    ]
    requested = retry_requested(first_batch=3, batches=len(created), recipients=sum(map(len, people)), time=after(60))
    return [
        (message_stream(MESSAGE), requested),
        *((batch_stream(MESSAGE, 0, one.batch_number), one) for one in created),
    ]


@pytest.mark.parametrize(
    "outcomes",
    [ALL_FAILED, {**ALL_FAILED, "cy": SENT}, dict.fromkeys(PEOPLE, SENT)],
    ids=["all failed", "one was sent", "all were sent"],
)
def test_new_batches_applied_together_or_one_by_one_give_the_same_read_models(outcomes: Mapping[str, Outcome]) -> None:
    history = [*first_round(outcomes), *second_round(("ann", "cy"), ("bob",), ("dee",))]

    assert read_models_of(history, together=len(history)) == read_models_of(history, together=1)


def test_new_batches_applied_together_keep_recipients_sent_by_a_receipt() -> None:
    """A receipt after the first round makes a recipient SENT; a later resend does not change that."""
    receipt = receipts_recorded(echo(0, "m_1", at=30), batch_number=1, time=after(30))
    history = [
        *first_round(ALL_FAILED),
        (receipts_stream(MESSAGE, 0, 1), receipt),
        *second_round(("ann", "cy"), ("bob", "dee")),
    ]

    together = read_models_of(history, together=len(history))

    assert together == read_models_of(history, together=1)
    assert {row["recipient_id"]: row["state"] for row in together["recipients"]} == {
        "ann": "SENT",
        "bob": "PENDING",
        "cy": "PENDING",
        "dee": "PENDING",
    }
