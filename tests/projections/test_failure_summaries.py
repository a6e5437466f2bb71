"""Failures by error type, with the first and last time and the last error of each."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from domain import batch_decisions
from domain.batch import apply
from domain.outcome import Failed, Outcome
from projections import failures
from projections.failures import ErrorTypeRow
from projections.sql import micros
from tests.builders import (
    FAILED,
    FAILED_FOR_GOOD,
    MESSAGE,
    NOW,
    SENT,
    after,
    batch_recipients,
    fault,
    known,
    retry_requested,
    start,
)
from tests.projections.driven_store import DrivenStore


def summed_up(db: DrivenStore, *message_ids: str) -> Sequence[ErrorTypeRow]:
    return db.ask(lambda sql: failures.summarize(sql, message_ids))


def counts(db: DrivenStore, *message_ids: str) -> list[tuple[str, str, int]]:
    return [(row.message_id, row.error_type, row.recipients) for row in summed_up(db, *message_ids)]


def deliver(db: DrivenStore, number: int, outcomes: Mapping[str, tuple[Outcome, float]]) -> None:
    """Send a batch; the number with each outcome is the time of the outcome, in seconds after NOW."""
    pending = db.batch(MESSAGE, number)
    started = start(pending)
    claimed = apply(pending, started)
    dispatched = batch_decisions.dispatch(claimed, claimed.pending, token_generation=1, now=NOW)
    known_outcomes = [known(p, *_at(outcomes[claimed.recipients[p].id])) for p in claimed.pending]
    recorded = batch_decisions.record(apply(claimed, dispatched), known_outcomes, now=after(99))
    db.write(db.of_batch(pending, [*started, *dispatched, *recorded]))


def _at(outcome: tuple[Outcome, float]) -> tuple[Outcome, datetime]:
    return outcome[0], after(outcome[1])


def send_with_outcomes(db: DrivenStore, outcomes: Mapping[str, tuple[Outcome, float]]) -> None:
    db.submit(MESSAGE, *outcomes)
    deliver(db, 1, outcomes)


def test_each_type_has_its_first_and_last_time_and_last_error(db: DrivenStore) -> None:
    early, middle, late = (Failed(fault(message=word)) for word in ("early", "middle", "late"))
    send_with_outcomes(
        db,
        {"ann": (middle, 20), "bob": (late, 30), "cid": (early, 10), "dan": (FAILED_FOR_GOOD, 40), "eve": (SENT, 50)},
    )

    network, permanent = summed_up(db, MESSAGE)

    assert (network.error_type, network.recipients, network.error_message) == ("NETWORK", 3, "late")
    assert (network.first_time, network.last_time) == (micros(after(10)), micros(after(30)))
    assert (permanent.error_type, permanent.recipients, permanent.error_code) == ("INVALID_RECIPIENT", 1, 100)
    assert (permanent.first_time, permanent.last_time) == (micros(after(40)), micros(after(40)))


def test_only_recipients_that_have_the_error_type_now_count(db: DrivenStore) -> None:
    send_with_outcomes(db, {"ann": (FAILED, 10), "bob": (FAILED, 20), "cid": (FAILED, 30)})
    db.write(
        db.of_message(db.message(), retry_requested(recipients=2)),
        *db.new_batches(MESSAGE, [batch_recipients("ann", "cid", attempt=2)], first=2, round=1),
    )

    [waiting] = summed_up(db, MESSAGE)
    deliver(db, 2, {"ann": (FAILED, 60), "cid": (FAILED_FOR_GOOD, 70)})
    again, permanent = summed_up(db, MESSAGE)

    assert (waiting.recipients, waiting.first_time, waiting.last_time) == (1, micros(after(20)), micros(after(20)))
    assert (again.recipients, again.first_time, again.last_time) == (2, micros(after(20)), micros(after(60)))
    assert (permanent.error_type, permanent.recipients, permanent.first_time) == (
        "INVALID_RECIPIENT",
        1,
        micros(after(70)),
    )


def test_rows_are_in_the_requested_message_order_with_the_largest_type_first(db: DrivenStore) -> None:
    db.send("a", {"ann": FAILED_FOR_GOOD, "bob": FAILED_FOR_GOOD, "cid": FAILED})
    db.send("b", {"ann": FAILED})
    db.send("c", {"ann": SENT})

    assert counts(db, "b", "c", "a") == [("b", "NETWORK", 1), ("a", "INVALID_RECIPIENT", 2), ("a", "NETWORK", 1)]
    assert counts(db) == []
