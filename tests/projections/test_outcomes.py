"""The counts of attempts by outcome, message and page, which reports use."""

from collections import Counter
from collections.abc import Mapping

from domain import batch_decisions
from domain.batch import apply
from domain.outcome import Failed, Outcome
from projections.sql import micros
from server.eventstore.commit import Commit
from tests.builders import (
    FAILED,
    FAILED_FOR_GOOD,
    MESSAGE,
    NOW,
    OWNER,
    PAGE,
    SENT,
    UNCONFIRMED,
    after,
    batch_recipients,
    delivered,
    fault,
    known,
    retry_requested,
    start,
)
from tests.projections.driven_store import DrivenStore

Endings = Counter[tuple[int, str, str]]  # by attempt number, status and error type
AN_HOUR = 3_600.0


def endings(db: DrivenStore, table: str = "outcomes") -> Endings:
    """Return the attempts of all hours, without counts of 0."""
    found: Endings = Counter()
    for row in db.rows(f"SELECT * FROM {table}"):  # noqa: S608 - constants
        found[row["attempt_number"], row["status"], row["error_type"]] += row["deliveries"]
    return +found


def by_hour(db: DrivenStore) -> dict[int, int]:
    return db.counted(
        "SELECT hour AS counted, SUM(deliveries) AS row_count FROM outcomes WHERE deliveries > 0 GROUP BY hour"
    )


def deliver(db: DrivenStore, number: int, outcomes: Mapping[str, Outcome], *, seconds: float = 0.0) -> None:
    """Send a batch; its outcomes are known this number of seconds after NOW."""
    pending = db.batch(MESSAGE, number)
    started = start(pending)
    claimed = apply(pending, started)
    dispatched = batch_decisions.dispatch(claimed, claimed.pending, token_generation=1, now=NOW)
    known_outcomes = [known(p, outcomes[claimed.recipients[p].id], after(seconds)) for p in claimed.pending]
    recorded = batch_decisions.record(apply(claimed, dispatched), known_outcomes, now=after(seconds))
    db.write(db.of_batch(pending, [*started, *dispatched, *recorded]))


def resend(db: DrivenStore, number: int, *people: str, attempt: int = 2) -> None:
    round_ = db.row().round + 1
    requested = retry_requested(first_batch=number, round=round_, recipients=len(people))
    batches = db.new_batches(MESSAGE, [batch_recipients(*people, attempt=attempt)], first=number, round=round_)
    db.write(db.of_message(db.message(), requested), *batches)


def test_first_attempts_are_counted_by_outcome(db: DrivenStore) -> None:
    db.send(MESSAGE, {"ann": SENT, "bob": SENT, "cid": FAILED, "dan": FAILED_FOR_GOOD, "eve": UNCONFIRMED})

    assert endings(db) == {
        (1, "SENT", ""): 2,
        (1, "FAILED", "NETWORK"): 1,
        (1, "FAILED", "INVALID_RECIPIENT"): 1,
        (1, "UNCONFIRMED", "NETWORK"): 1,
    }
    db.assert_rebuilt_equal()


def test_open_attempts_are_not_counted(db: DrivenStore) -> None:
    db.submit(MESSAGE, "ann", "bob")

    assert endings(db) == {}


def test_a_retry_and_the_attempt_before_it_are_both_counted(db: DrivenStore) -> None:
    db.send(MESSAGE, {"ann": FAILED, "bob": FAILED, "cid": SENT})
    resend(db, 2, "ann", "bob")
    deliver(db, 2, {"ann": SENT, "bob": FAILED})
    resend(db, 3, "bob", attempt=3)
    deliver(db, 3, {"bob": SENT})

    assert endings(db) == {
        (1, "FAILED", "NETWORK"): 2,
        (1, "SENT", ""): 1,
        (2, "SENT", ""): 1,
        (2, "FAILED", "NETWORK"): 1,
        (3, "SENT", ""): 1,
    }
    db.assert_rebuilt_equal()


def test_a_late_outcome_moves_an_attempt_to_its_new_outcome(db: DrivenStore) -> None:
    db.send(MESSAGE, {"ann": UNCONFIRMED, "bob": UNCONFIRMED, "cid": UNCONFIRMED})
    batch = db.batch(MESSAGE, 1)

    late = batch_decisions.record_late(batch, [known(0, SENT), known(2, FAILED_FOR_GOOD)], now=after(5))
    db.write(db.of_batch(batch, late))

    assert (
        endings(db)
        == endings(db, "page_outcomes")
        == {
            (1, "SENT", ""): 1,
            (1, "UNCONFIRMED", "NETWORK"): 1,
            (1, "FAILED", "INVALID_RECIPIENT"): 1,
        }
    )
    db.assert_rebuilt_equal()


def test_an_attempt_is_counted_in_the_hour_of_its_outcome(db: DrivenStore) -> None:
    db.submit(MESSAGE, "ann", "bob", "cid")
    pending = db.batch(MESSAGE, 1)
    started = start(pending)
    claimed = apply(pending, started)
    dispatched = batch_decisions.dispatch(claimed, claimed.pending, token_generation=1, now=NOW)
    sending = apply(claimed, dispatched)
    sent = [known(0, SENT, after(AN_HOUR - 1)), known(1, SENT, after(AN_HOUR)), known(2, SENT, after(AN_HOUR + 1))]
    recorded = batch_decisions.record(sending, sent, now=after(AN_HOUR + 2))
    db.write(db.of_batch(pending, [*started, *dispatched, *recorded]))

    assert by_hour(db) == {micros(NOW): 1, micros(after(AN_HOUR)): 2}
    db.assert_rebuilt_equal()


def test_an_error_keeps_the_text_of_its_first_event(db: DrivenStore) -> None:
    """The text does not depend on how events are grouped into transactions."""
    first, later = Failed(fault(message="the first words")), Failed(fault(message="a later text"))
    db.send(MESSAGE, {"ann": first, "bob": later})
    db.send("m-2", {"ann": later})

    [of_page] = db.rows("SELECT * FROM page_outcomes")
    assert (of_page["error_message"], of_page["deliveries"]) == ("the first words", 3)
    texts = {row["message_id"]: row["error_message"] for row in db.rows("SELECT * FROM outcomes")}
    assert texts == {MESSAGE: "the first words", "m-2": "a later text"}
    db.assert_rebuilt_equal()


def test_the_first_text_in_log_order_is_kept_within_a_transaction(db: DrivenStore) -> None:
    """The transaction starts with another error of another message."""
    first, later = Failed(fault(message="the first words")), Failed(fault(message="a later text"))
    for message_id, people in (("m-1", ("ann", "bob")), ("m-2", ("ann",))):
        db.submit(message_id, *people)
    one, two = db.batch("m-1", 1), db.batch("m-2", 1)
    started = [*start(one), *batch_decisions.dispatch(apply(one, start(one)), [0, 1], token_generation=1, now=NOW)]
    sending = apply(one, started)
    half = batch_decisions.record(sending, [known(0, FAILED_FOR_GOOD)], now=NOW)
    rest = batch_decisions.record(apply(sending, half), [known(1, later)], now=NOW)

    db.write_all(
        Commit([db.of_batch(one, [*started, *half])]),
        Commit([db.of_batch(two, delivered(two, {"ann": first}))]),
        Commit([db.of_batch(apply(sending, half), rest)]),
    )

    texts = {row["error_type"]: row["error_message"] for row in db.rows("SELECT * FROM page_outcomes")}
    assert texts == {"INVALID_RECIPIENT": "no luck", "NETWORK": "the first words"}
    db.assert_rebuilt_equal()


def test_page_outcomes_are_summed_by_owner(db: DrivenStore) -> None:
    db.send("m-1", {"ann": SENT, "bob": FAILED})
    db.send("m-2", {"ann": SENT})
    db.send("m-3", {"ann": SENT}, owner="another owner")
    db.send("m-4", {"ann": SENT}, page_id="2002")

    found = {
        (row["owner"], row["page_id"], row["status"]): row["deliveries"]
        for row in db.rows("SELECT * FROM page_outcomes")
    }
    assert found == {
        (OWNER, PAGE, "SENT"): 2,
        (OWNER, PAGE, "FAILED"): 1,
        ("another owner", PAGE, "SENT"): 1,
        (OWNER, "2002", "SENT"): 1,
    }
    db.assert_rebuilt_equal()


def test_commits_of_one_transaction_are_counted_together(db: DrivenStore) -> None:
    for message_id in ("m-1", "m-2", "m-3"):
        db.submit(message_id, "ann", "bob")
    pending = [db.batch(message_id, 1) for message_id in ("m-1", "m-2", "m-3")]

    db.write_all(*(Commit([db.of_batch(batch, delivered(batch, {"bob": FAILED}))]) for batch in pending))

    assert endings(db) == endings(db, "page_outcomes") == {(1, "SENT", ""): 3, (1, "FAILED", "NETWORK"): 3}
    db.assert_rebuilt_equal()
