"""Batches of one append are projected together: it makes no difference to what they come to."""

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
from tests.projections.test_receipts_in_any_order import History, books_of
from tests.receipts import echo, receipts_recorded

PEOPLE = ("ann", "bob", "cy", "dee")
ALL_FAILED: Mapping[str, Outcome] = {"ann": FAILED, "bob": FAILED_FOR_GOOD, "cy": UNCONFIRMED, "dee": FAILED}


def first_round(outcomes: Mapping[str, Outcome]) -> History:
    """Two batches of two, planned together, and what came of them."""
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
    """A batch for each group of people, planned together."""
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
def test_whoever_they_are_for(outcomes: Mapping[str, Outcome]) -> None:
    history = [*first_round(outcomes), *second_round(("ann", "cy"), ("bob",), ("dee",))]

    assert books_of(history, together=len(history)) == books_of(history, together=1)


def test_whoever_was_reached_meanwhile() -> None:
    """Evidence that came after the first round stands, whatever is planned."""
    told = receipts_recorded(echo(0, "m_1", at=30), batch_number=1, time=after(30))
    history = [
        *first_round(ALL_FAILED),
        (receipts_stream(MESSAGE, 0, 1), told),
        *second_round(("ann", "cy"), ("bob", "dee")),
    ]

    together = books_of(history, together=len(history))

    assert together == books_of(history, together=1)
    assert {row["recipient_id"]: row["state"] for row in together["recipients"]} == {
        "ann": "SENT",
        "bob": "PENDING",
        "cy": "PENDING",
        "dee": "PENDING",
    }
