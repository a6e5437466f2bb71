"""How a batch ends, or is let go: given its events, when somebody asks, then these events (none = nothing to do)."""

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
from tests.domain.batch_facts import CANCELLED, COMPLETED, dispatched, recorded, released, returned, statuses

# Returning


def test_what_did_not_leave_is_pending_again() -> None:
    batch = dispatched_batch("ann", "bob")

    assert batch_decisions.return_unsent(batch, [1], now=NOW) == (returned(2, 1),)


def test_what_did_not_leave_of_a_cancelled_batch_is_cancelled() -> None:
    batch = apply(dispatched_batch("ann", "bob"), [CANCELLED, recorded(2, known(0))])

    events = batch_decisions.return_unsent(batch, [1], now=NOW)

    assert events == (returned(2, 1, to=DeliveryStatus.CANCELLED), COMPLETED)


def test_what_was_not_dispatched_is_not_returned() -> None:
    assert batch_decisions.return_unsent(claimed_batch(), [0], now=NOW) == ()


def test_nothing_is_returned_without_a_claim() -> None:
    batch = apply(dispatched_batch(), [released(2)])

    assert batch_decisions.return_unsent(batch, [0], now=NOW) == ()


def test_people_who_were_sent_to_meanwhile_are_dropped() -> None:
    batch = claimed_batch("ann", "bob")

    assert batch_decisions.drop(batch, [0], now=NOW) == (returned(2, 0, to=DeliveryStatus.CANCELLED),)


def test_dropping_the_last_one_completes_the_batch() -> None:
    assert batch_decisions.drop(claimed_batch("ann"), [0], now=NOW)[-1] == COMPLETED


def test_what_may_have_left_is_not_dropped() -> None:
    assert batch_decisions.drop(dispatched_batch("ann"), [0], now=NOW) == ()


# Cancelling


def test_a_cancel_of_a_batch_that_nobody_has_begun_ends_it() -> None:
    batch = new_batch("ann", "bob")

    events = batch_decisions.cancel(batch, now=NOW)

    assert events == (CANCELLED, COMPLETED)
    assert statuses(apply(batch, events)) == ["CANCELLED", "CANCELLED"]


def test_a_cancel_leaves_what_is_on_its_way() -> None:
    batch = apply(claimed_batch("ann", "bob"), [dispatched(2, 0)])

    events = batch_decisions.cancel(batch, now=NOW)

    assert events == (CANCELLED,)
    assert statuses(apply(batch, events)) == ["SENDING", "CANCELLED"]


@pytest.mark.parametrize("batch", [apply(dispatched_batch(), [CANCELLED]), apply(dispatched_batch(), [COMPLETED])])
def test_a_batch_is_cancelled_once_and_not_after_its_end(batch: Batch) -> None:
    assert batch_decisions.cancel(batch, now=NOW) == ()


# Releasing


def test_a_released_batch_can_be_claimed_by_anybody() -> None:
    batch = claimed_batch("ann")

    events = batch_decisions.release(batch, now=NOW)

    assert events == (released(2),)
    assert apply(batch, events).claim is None


def test_a_release_makes_unconfirmed_what_had_no_outcome() -> None:
    batch = apply(claimed_batch("ann", "bob"), [dispatched(2, 0)])

    events = batch_decisions.release(batch, now=after(0))

    assert events == (recorded(2, RecordedOutcome(position=0, outcome=Unconfirmed(WORKER_LOST), time=NOW)), released(2))


def test_a_release_that_leaves_nothing_open_completes_the_batch_instead() -> None:
    batch = dispatched_batch("ann")

    events = batch_decisions.release(batch, now=NOW)

    assert [type(event) for event in events] == [OutcomesRecorded, BatchCompleted]


@pytest.mark.parametrize("batch", [new_batch(), apply(dispatched_batch(), [COMPLETED])])
def test_only_a_claimed_batch_is_released(batch: Batch) -> None:
    assert batch_decisions.release(batch, now=NOW) == ()
