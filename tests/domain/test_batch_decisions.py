"""What may happen to a batch: given its events, when a worker asks, then these events (none = nothing to do)."""

import pytest

from domain import batch_decisions
from domain.batch import Claim, apply, evidence, fold
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
from tests.domain.batch_facts import COMPLETED, dispatch, dispatched, record, recorded, started, statuses

# What events amount to


def test_a_new_batch_has_everyone_pending() -> None:
    batch = new_batch("ann", "bob", batch_number=3, round=2)

    assert (batch.number, batch.round, batch.version, batch.claim) == (3, 2, 1, None)
    assert batch.pending == (0, 1)


def test_a_stream_without_events_is_no_batch() -> None:
    with pytest.raises(ValueError, match="BatchCreated"):
        fold([])


def test_a_batchs_stream_begins_with_its_creation() -> None:
    with pytest.raises(TypeError, match="BatchStarted"):
        fold([started()])


def test_an_event_of_another_stream_does_not_belong_to_a_batch() -> None:
    with pytest.raises(TypeError, match="MessageSubmitted"):
        fold([batch_created(), message_submitted()])


def test_positions_of_a_status_come_in_order() -> None:
    batch = apply(claimed_batch("a", "b", "c"), [dispatched(2, 2, 0)])

    assert batch.sending == (0, 2)
    assert batch.pending == (1,)


def test_evidence_is_what_says_something_new() -> None:
    batch = apply(dispatched_batch("ann", "bob"), [recorded(2, known(0))])

    assert evidence(batch, [known(0), known(1), known(7)], DeliveryStatus.SENDING) == (known(1),)


# Claiming


def test_a_claim_is_numbered_by_the_version_of_its_start() -> None:
    assert start(new_batch()) == (started(),)
    assert claimed_batch().claim == Claim(2, WORKER, 1)


def test_a_take_over_makes_unconfirmed_what_had_no_outcome() -> None:
    batch = apply(claimed_batch("ann", "bob", "eve"), [dispatched(2, 0, 1), recorded(2, known(0))])

    events = start(batch, worker="worker-2")

    lost = RecordedOutcome(position=1, outcome=Unconfirmed(WORKER_LOST), time=NOW)
    assert events == (started("worker-2"), recorded(5, lost))
    assert statuses(apply(batch, events)) == ["SENT", "UNCONFIRMED", "PENDING"]


def test_a_take_over_that_leaves_nothing_open_completes_the_batch() -> None:
    batch = dispatched_batch("ann")

    assert start(batch, worker="worker-2")[-1] == COMPLETED


def test_a_complete_batch_cannot_be_claimed() -> None:
    batch = dispatched_batch("ann")

    assert start(apply(batch, record(batch, known(0)))) == ()


# Dispatching


def test_deliveries_are_dispatched_under_the_claim() -> None:
    assert dispatch(claimed_batch("ann", "bob"), 0) == (dispatched(2, 0),)


def test_only_pending_deliveries_are_dispatched() -> None:
    batch = apply(claimed_batch("ann", "bob", "eve"), [dispatched(2, 0)])

    assert dispatch(batch, 0, 1, 9) == (dispatched(2, 1),)


def test_nothing_is_dispatched_without_a_claim() -> None:
    assert dispatch(new_batch(), 0) == ()


def test_dispatching_nobody_is_nothing_to_do() -> None:
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


def test_an_outcome_of_what_was_not_dispatched_is_not_recorded() -> None:
    assert record(claimed_batch(), known(0)) == ()


def test_outcomes_without_a_claim_are_not_recorded() -> None:
    assert record(new_batch(), known(0)) == ()


def test_a_complete_batch_has_no_claim() -> None:
    batch = dispatched_batch("ann")

    batch = apply(batch, record(batch, known(0)))

    assert batch.completed
    assert batch.claim is None


# Late evidence


@pytest.mark.parametrize("outcome", [SENT, FAILED])
def test_late_evidence_changes_what_was_unconfirmed(outcome: Outcome) -> None:
    batch = dispatched_batch("ann", "bob")
    batch = apply(batch, start(batch, worker="worker-2"))
    late = known(0, outcome)

    events = batch_decisions.record_late(batch, [late], now=NOW)

    assert events == (LateOutcomesRecorded(message_id=MESSAGE, batch_number=1, outcomes=(late,), time=NOW),)


def test_late_evidence_says_nothing_about_what_was_returned_or_is_known() -> None:
    batch = apply(claimed_batch("ann", "bob"), [dispatched(2, 0), recorded(2, known(0))])

    assert batch_decisions.record_late(batch, [known(0, FAILED), known(1)], now=NOW) == ()


def test_late_evidence_counts_after_the_batch_is_complete() -> None:
    batch = dispatched_batch("ann")
    batch = apply(batch, start(batch, worker="worker-2"))

    after_evidence = apply(batch, batch_decisions.record_late(batch, [known(0)], now=NOW))

    assert batch.completed
    assert statuses(after_evidence) == ["SENT"]
