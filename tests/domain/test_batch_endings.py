"""Decisions that end or release a batch: return, drop, cancel and release."""

import pytest

from domain import batch_decisions
from domain.batch import Batch, apply
from domain.batch_decisions import WORKER_LOST
from domain.batch_events import (
    BatchCompleted,
    OutcomesRecorded,
    RecordedOutcome,
)
from domain.delivery import DeliveryStatus
from domain.outcome import Unconfirmed
from tests.builders import (
    NOW,
    after,
    claimed_batch,
    dispatched_batch,
    known,
    new_batch,
)
from tests.domain.batch_event_builders import CANCELLED, COMPLETED, dispatched, recorded, released, returned, statuses

# Returning


def test_an_unsent_delivery_is_pending_again() -> None:
    batch = dispatched_batch("ann", "bob")

    assert batch_decisions.return_unsent(batch, [1], now=NOW) == (returned(2, 1),)


def test_an_unsent_delivery_of_a_cancelled_batch_is_cancelled() -> None:
    batch = apply(dispatched_batch("ann", "bob"), [CANCELLED, recorded(2, known(0))])

    events = batch_decisions.return_unsent(batch, [1], now=NOW)

    assert events == (returned(2, 1, to=DeliveryStatus.CANCELLED), COMPLETED)


def test_undispatched_deliveries_are_not_returned() -> None:
    assert batch_decisions.return_unsent(claimed_batch(), [0], now=NOW) == ()


def test_no_delivery_is_returned_without_a_claim() -> None:
    batch = apply(dispatched_batch(), [released(2)])

    assert batch_decisions.return_unsent(batch, [0], now=NOW) == ()


def test_pending_deliveries_to_recipients_already_sent_are_cancelled() -> None:
    batch = claimed_batch("ann", "bob")

    assert batch_decisions.cancel_positions(batch, [0], now=NOW) == (returned(2, 0, to=DeliveryStatus.CANCELLED),)


def test_dropping_the_last_pending_delivery_completes_the_batch() -> None:
    assert batch_decisions.cancel_positions(claimed_batch("ann"), [0], now=NOW)[-1] == COMPLETED


def test_dispatched_deliveries_are_not_dropped() -> None:
    assert batch_decisions.cancel_positions(dispatched_batch("ann"), [0], now=NOW) == ()


# Cancelling


def test_cancelling_an_unclaimed_batch_completes_it() -> None:
    batch = new_batch("ann", "bob")

    events = batch_decisions.cancel(batch, now=NOW)

    assert events == (CANCELLED, COMPLETED)
    assert statuses(apply(batch, events)) == ["CANCELLED", "CANCELLED"]


def test_cancelling_a_batch_leaves_dispatched_deliveries() -> None:
    batch = apply(claimed_batch("ann", "bob"), [dispatched(2, 0)])

    events = batch_decisions.cancel(batch, now=NOW)

    assert events == (CANCELLED,)
    assert statuses(apply(batch, events)) == ["SENDING", "CANCELLED"]


@pytest.mark.parametrize("batch", [apply(dispatched_batch(), [CANCELLED]), apply(dispatched_batch(), [COMPLETED])])
def test_a_cancelled_or_completed_batch_is_not_cancelled_again(batch: Batch) -> None:
    assert batch_decisions.cancel(batch, now=NOW) == ()


# Releasing


def test_a_released_batch_has_no_claim() -> None:
    batch = claimed_batch("ann")

    events = batch_decisions.release(batch, now=NOW)

    assert events == (released(2),)
    assert apply(batch, events).claim is None


def test_a_release_marks_deliveries_without_an_outcome_unconfirmed() -> None:
    batch = apply(claimed_batch("ann", "bob"), [dispatched(2, 0)])

    events = batch_decisions.release(batch, now=after(0))

    assert events == (recorded(2, RecordedOutcome(position=0, outcome=Unconfirmed(WORKER_LOST), time=NOW)), released(2))


def test_a_release_that_leaves_no_open_delivery_completes_the_batch() -> None:
    batch = dispatched_batch("ann")

    events = batch_decisions.release(batch, now=NOW)

    assert [type(event) for event in events] == [OutcomesRecorded, BatchCompleted]


@pytest.mark.parametrize("batch", [new_batch(), apply(dispatched_batch(), [COMPLETED])])
def test_only_a_claimed_batch_is_released(batch: Batch) -> None:
    assert batch_decisions.release(batch, now=NOW) == ()
