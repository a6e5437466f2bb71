"""The due time of the next round, for messages with their own retry schedule."""

from typing import Any

import pytest

from domain.message_events import MessageCancelled
from domain.retry import RetryPolicy, RetryTrigger
from projections import message_rows
from projections.sql import micros
from tests.builders import (
    FAILED,
    NOW,
    OWNER,
    SENT,
    after,
    auto,
    batch_recipients,
    cron,
    each,
    message_paused,
    message_resumed,
    retry_requested,
)
from tests.projections.driven_store import DrivenStore

FIRST = (0, "")


def failed(db: DrivenStore, message_id: str, policy: RetryPolicy, *, at: float = 0.0) -> None:
    """Send a message that fails for its only recipient, and complete it a second later."""
    db.send(message_id, {"ann": FAILED}, at=at, retry_policy=policy)


def due(db: DrivenStore, until: float, after_: tuple[int, str] = FIRST, limit: int = 10) -> list[str]:
    rows = db.ask(
        lambda sql: message_rows.due_by_own_schedule(sql, after=after_, until=micros(after(until)), limit=limit)
    )
    return [row.message_id for row in rows]


def next_retry(db: DrivenStore, message_id: str) -> int | None:
    return db.row(message_id).next_retry_time


@pytest.mark.parametrize("policy", [cron(3, each(60)), auto(3, each(60))])
def test_the_next_round_is_due_a_delay_after_the_end(db: DrivenStore, policy: RetryPolicy) -> None:
    failed(db, "m", policy)

    assert next_retry(db, "m") == micros(after(61))
    assert db.row("m").retry_policy == policy
    assert due(db, 60.9) == []
    assert due(db, 61) == ["m"]


@pytest.mark.parametrize("policy", [cron(), auto(), RetryPolicy(delay=each(60))])
def test_messages_without_their_own_schedule_have_no_due_time(db: DrivenStore, policy: RetryPolicy) -> None:
    failed(db, "m", policy)

    assert next_retry(db, "m") is None
    assert due(db, 1e6) == []


def test_a_message_without_failures_is_never_due(db: DrivenStore) -> None:
    db.send("m", {"ann": SENT}, retry_policy=cron(3, each(60)))

    assert due(db, 1e6) == []


def test_due_messages_are_ordered_by_due_time(db: DrivenStore) -> None:
    failed(db, "a", cron(3, each(60)))
    failed(db, "b", cron(3, each(30)))
    failed(db, "c", cron(3, each(60)))

    assert due(db, 100, limit=2) == ["b", "a"]
    assert due(db, 100, (micros(after(61)), "a")) == ["c"]


def test_a_round_clears_the_due_time_and_its_end_sets_the_next_one(db: DrivenStore) -> None:
    failed(db, "m", cron(2, each(60)))

    for round_ in (1, 2):
        message = db.message("m")
        requested = retry_requested(
            RetryTrigger.CRON, message_id="m", round=round_, first_batch=1 + round_, retry_count=round_
        )
        recipients = batch_recipients("ann", attempt=1 + round_)
        again = db.new_batches("m", [recipients], first=1 + round_, round=round_)
        db.write(db.of_message(message, requested), *again)
        assert next_retry(db, "m") is None
        db.deliver("m", 1 + round_, {"ann": FAILED})
        db.complete("m", at=100 * round_)

        assert next_retry(db, "m") == (micros(after(160)) if round_ == 1 else None)  # no rounds left after the second


def test_a_pause_clears_the_due_time_until_the_message_completes_again(db: DrivenStore) -> None:
    failed(db, "m", cron(3, each(60)))

    db.write(db.of_message(db.message("m"), message_paused(message_id="m", time=after(5))))
    row = db.row("m")
    assert (row.status, row.completed, row.end_time, row.next_retry_time) == ("PAUSED", False, None, None)

    db.write(db.of_message(db.message("m"), message_resumed(message_id="m", time=after(10))))
    db.complete("m", at=10)
    row = db.row("m")
    assert (row.status, row.completed, row.next_retry_time) == ("FAILED", True, micros(after(70)))


def test_a_cancel_clears_the_due_time(db: DrivenStore) -> None:
    failed(db, "m", cron(3, each(60)))

    db.write(db.of_message(db.message("m"), MessageCancelled(message_id="m", requested_by=OWNER, time=NOW)))

    assert next_retry(db, "m") is None


def test_a_cancelled_message_gets_no_due_time_when_it_completes(db: DrivenStore) -> None:
    db.submit("m", "ann", retry_policy=cron(3, each(60)))
    db.cancel("m", at=1)
    db.complete("m", at=2)

    assert next_retry(db, "m") is None


def test_messages_with_their_own_schedule_can_be_left_out_of_the_timer(db: DrivenStore) -> None:
    failed(db, "own", cron(3, each(60)))
    failed(db, "timetable", cron())

    def for_timer(**fields: Any) -> list[str]:
        rows = db.ask(lambda sql: message_rows.due_for_timer(sql, after="", limit=10, **fields))
        return [row.message_id for row in rows]

    assert for_timer(own_schedules=False) == ["timetable"]
    assert for_timer() == ["own", "timetable"]


def test_a_rebuild_restores_a_message_with_a_schedule(db: DrivenStore) -> None:
    failed(db, "m", cron(3, each(60)))
    db.submit("paused", "ann", schedule_time=after(100))
    db.write(db.of_message(db.message("paused"), message_paused(message_id="paused")))

    db.assert_rebuilt_equal()
