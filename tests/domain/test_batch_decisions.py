"""Decisions about a batch: claim, dispatch, record and late outcomes."""

import pytest

from domain import batch_decisions
from domain.batch import Claim, apply, fold, outcomes_with_status
from domain.batch_decisions import WORKER_LOST
from domain.batch_events import (
    LateOutcomesRecorded,
    RecordedOutcome,
)
from domain.delivery import DeliveryStatus
from domain.outcome import Outcome, Unconfirmed
from tests.builders import (
    FAILED,
    MESSAGE,
    NOW,
    SENT,
    UNCONFIRMED,
    WORKER,
    batch_created,
    claimed_batch,
    dispatched_batch,
    known,
    message_submitted,
    new_batch,
    start,
)
from tests.domain.batch_event_builders import COMPLETED, dispatch, dispatched, record, recorded, started, statuses

# State


def test_all_deliveries_of_a_new_batch_are_pending() -> None:
    batch = new_batch("ann", "bob", batch_number=3, round=2)

    assert (batch.number, batch.round, batch.version, batch.claim) == (3, 2, 1, None)
    assert batch.pending == (0, 1)


def test_an_empty_stream_is_not_a_batch() -> None:
    with pytest.raises(ValueError, match="BatchCreated"):
        fold([])


def test_the_first_event_of_a_batch_is_its_creation() -> None:
    with pytest.raises(TypeError, match="BatchStarted"):
        fold([started()])


def test_a_batch_rejects_events_of_other_streams() -> None:
    with pytest.raises(TypeError, match="MessageSubmitted"):
        fold([batch_created(), message_submitted()])


def test_positions_with_a_status_are_in_order() -> None:
    batch = apply(claimed_batch("a", "b", "c"), [dispatched(2, 2, 0)])

    assert batch.sending == (0, 2)
    assert batch.pending == (1,)


def test_outcomes_are_selected_by_the_status_of_their_delivery() -> None:
    batch = apply(dispatched_batch("ann", "bob"), [recorded(2, known(0))])

    assert outcomes_with_status(batch, [known(0), known(1), known(7)], DeliveryStatus.SENDING) == (known(1),)


# Claiming


def test_a_claim_has_the_version_of_its_batch_started_event() -> None:
    assert start(new_batch()) == (started(),)
    assert claimed_batch().claim == Claim(2, WORKER, 1)


def test_a_takeover_marks_deliveries_without_an_outcome_unconfirmed() -> None:
    batch = apply(claimed_batch("ann", "bob", "eve"), [dispatched(2, 0, 1), recorded(2, known(0))])

    events = start(batch, worker="worker-2")

    lost = RecordedOutcome(position=1, outcome=Unconfirmed(WORKER_LOST), time=NOW)
    assert events == (started("worker-2"), recorded(5, lost))
    assert statuses(apply(batch, events)) == ["SENT", "UNCONFIRMED", "PENDING"]


def test_a_takeover_that_leaves_no_open_delivery_completes_the_batch() -> None:
    batch = dispatched_batch("ann")

    assert start(batch, worker="worker-2")[-1] == COMPLETED


def test_a_completed_batch_cannot_be_claimed() -> None:
    batch = dispatched_batch("ann")

    assert start(apply(batch, record(batch, known(0)))) == ()


# Dispatching


def test_deliveries_are_dispatched_under_the_claim() -> None:
    assert dispatch(claimed_batch("ann", "bob"), 0) == (dispatched(2, 0),)


def test_only_pending_deliveries_are_dispatched() -> None:
    batch = apply(claimed_batch("ann", "bob", "eve"), [dispatched(2, 0)])

    assert dispatch(batch, 0, 1, 9) == (dispatched(2, 1),)


def test_no_delivery_is_dispatched_without_a_claim() -> None:
    assert dispatch(new_batch(), 0) == ()


def test_dispatching_no_pending_position_returns_no_events() -> None:
    assert dispatch(claimed_batch(), 7) == ()


# Recording


def test_outcomes_are_recorded_under_the_claim() -> None:
    assert record(dispatched_batch("ann", "bob"), known(1, FAILED)) == (recorded(2, known(1, FAILED)),)


def test_the_last_outcome_completes_the_batch_in_the_same_append() -> None:
    batch = dispatched_batch("ann", "bob")
    outcomes = (known(0, FAILED), known(1, UNCONFIRMED))

    assert record(batch, *outcomes) == (recorded(2, *outcomes), COMPLETED)


def test_an_outcome_is_recorded_once() -> None:
    batch = apply(dispatched_batch("ann", "bob"), [recorded(2, known(0))])

    assert record(batch, known(0, FAILED)) == ()


def test_outcomes_of_undispatched_deliveries_are_not_recorded() -> None:
    assert record(claimed_batch(), known(0)) == ()


def test_outcomes_without_a_claim_are_not_recorded() -> None:
    assert record(new_batch(), known(0)) == ()


def test_a_completed_batch_has_no_claim() -> None:
    batch = dispatched_batch("ann")

    batch = apply(batch, record(batch, known(0)))

    assert batch.completed
    assert batch.claim is None


# Late outcomes


@pytest.mark.parametrize("outcome", [SENT, FAILED])
def test_a_late_outcome_replaces_an_unconfirmed_one(outcome: Outcome) -> None:
    batch = dispatched_batch("ann", "bob")
    batch = apply(batch, start(batch, worker="worker-2"))
    late = known(0, outcome)

    events = batch_decisions.record_late(batch, [late], now=NOW)

    assert events == (LateOutcomesRecorded(message_id=MESSAGE, batch_number=1, outcomes=(late,), time=NOW),)


def test_a_late_outcome_does_not_change_pending_or_known_deliveries() -> None:
    batch = apply(claimed_batch("ann", "bob"), [dispatched(2, 0), recorded(2, known(0))])

    assert batch_decisions.record_late(batch, [known(0, FAILED), known(1)], now=NOW) == ()


def test_a_late_outcome_counts_after_the_batch_is_completed() -> None:
    batch = dispatched_batch("ann")
    batch = apply(batch, start(batch, worker="worker-2"))

    changed = apply(batch, batch_decisions.record_late(batch, [known(0)], now=NOW))

    assert batch.completed
    assert statuses(changed) == ["SENT"]
