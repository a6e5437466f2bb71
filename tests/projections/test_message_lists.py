"""Queries of messages."""

from collections.abc import Mapping
from typing import Any

import pytest

from domain.delivery import DeliveryStatus
from domain.message_events import MessageCancelled
from domain.outcome import Outcome
from domain.retry import RetryPolicy, RetryTrigger
from projections import batches, message_rows
from projections.message_rows import MessageFilter
from projections.sql import from_micros, micros
from tests.builders import (
    FAILED,
    MESSAGE,
    OWNER,
    SENT,
    UNCONFIRMED,
    WORKER,
    after,
    auto,
    batch_recipients,
    cron,
    delivered,
    message_abandoned,
    message_staged,
    message_submitted,
    retry_requested,
)
from tests.projections.driven_store import DrivenStore


def newest(db: DrivenStore, limit: int = 10, **wanted: Any) -> list[str]:
    found = db.ask(
        lambda sql: message_rows.list_newest(sql, MessageFilter(**{"owner": OWNER, **wanted}), before=None, limit=limit)
    )
    return [row.message_id for row in found]


# Messages


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        ({"ann": SENT, "bob": SENT}, "SENT"),
        ({"ann": SENT, "bob": FAILED}, "PARTIALLY_SENT"),
        ({"ann": SENT, "bob": UNCONFIRMED}, "PARTIALLY_SENT"),
        ({"ann": FAILED, "bob": UNCONFIRMED}, "FAILED"),
    ],
)
def test_a_completed_message_has_the_status_of_its_outcomes(
    db: DrivenStore, outcomes: Mapping[str, Outcome], status: str
) -> None:
    db.send(MESSAGE, outcomes, at=5)

    row = db.row()
    assert (row.status, row.completed) == (status, True)
    assert row.end_time == micros(after(6))


def test_a_message_is_pending_until_a_delivery_is_dispatched(db: DrivenStore) -> None:
    db.submit(MESSAGE, "ann", "bob")
    before = db.row().status

    batch = db.batch(MESSAGE, 1)
    db.write(db.of_batch(batch, delivered(batch, {"ann": SENT, "bob": SENT})[:2]))

    assert (before, db.row().status) == ("PENDING", "SENDING")


def test_a_round_reopens_a_message(db: DrivenStore) -> None:
    db.send(MESSAGE, {"ann": FAILED})

    db.write(
        db.of_message(db.message(), retry_requested(RetryTrigger.AUTO, retry_count=1)),
        *db.new_batches(MESSAGE, [batch_recipients("ann", attempt=2)], first=2, round=1),
    )

    row = db.row()
    assert (row.status, row.completed, row.end_time) == ("SENDING", False, None)
    assert (row.round, row.retry_count, row.batches_total) == (1, 1, 2)
    assert (row.counts[DeliveryStatus.PENDING], row.total) == (1, 1)


def test_a_cancelled_message_stays_cancelled(db: DrivenStore) -> None:
    db.send(MESSAGE, {"ann": FAILED}, retry_policy=cron())

    db.cancel(MESSAGE, at=9)

    assert db.row().status == "CANCELLED"


def test_the_sequence_grows_with_every_change(db: DrivenStore) -> None:
    db.submit(MESSAGE, "ann")
    before = db.row().sequence

    batch = db.batch(MESSAGE, 1)
    db.write(db.of_batch(batch, delivered(batch, {"ann": SENT})))

    assert before < db.row().sequence


def test_a_staged_message_is_visible_only_to_the_reconciler(db: DrivenStore) -> None:
    db.register_page()
    db.write(db.of_message(db.message(), message_staged()))
    db.stages[MESSAGE] = 1
    db.write(*db.new_batches(MESSAGE, [batch_recipients("ann")], first=1))

    assert newest(db) == []
    assert db.ask(lambda sql: message_rows.find(sql, MESSAGE)) is None
    assert db.ask(batches.pages_with_work) == []
    assert db.ask(message_rows.unfinished) == []
    assert db.ask(message_rows.staged) == [(MESSAGE, WORKER)]


def test_a_submitted_stream_is_visible_with_all_recipients(db: DrivenStore) -> None:
    db.write(db.of_message(db.message(), message_staged()))
    db.stages[MESSAGE] = 1
    db.write(*db.new_batches(MESSAGE, [batch_recipients("ann", "bob")], first=1))

    db.write(db.of_message(db.message(), message_submitted(2, stage=1, time=after(8))))

    row = db.row()
    assert (row.total, row.batches_total, row.status) == (2, 1, "PENDING")
    assert from_micros(row.create_time) == after(8)
    assert db.ask(lambda sql: batches.count_open(sql, MESSAGE)) == 1
    assert db.ask(message_rows.staged) == []


def test_an_abandoned_message_leaves_no_rows(db: DrivenStore) -> None:
    db.write(db.of_message(db.message(), message_staged()))
    db.stages[MESSAGE] = 1
    db.write(*db.new_batches(MESSAGE, [batch_recipients("ann")], first=1))

    db.write(db.of_message(db.message(), message_abandoned()))

    for table in ("messages", "batches", "deliveries", "recipients", "failures", "requests"):
        assert not db.rows(f"SELECT * FROM {table}"), table  # noqa: S608 - constants
    db.assert_rebuilt_equal()


def test_the_newest_message_comes_first(db: DrivenStore) -> None:
    for message_id, at in (("old", 1), ("new", 3), ("middle", 2)):
        db.send(message_id, {"ann": SENT}, at=at)

    assert newest(db) == ["new", "middle", "old"]


def test_a_list_continues_within_messages_of_the_same_time(db: DrivenStore) -> None:
    for message_id in ("a", "b", "c"):
        db.send(message_id, {"ann": SENT}, at=5)

    last_listed = (micros(after(5)), "c")
    rest = db.ask(lambda sql: message_rows.list_newest(sql, MessageFilter(owner=OWNER), before=last_listed, limit=10))

    assert newest(db, limit=1) == ["c"]
    assert [row.message_id for row in rest] == ["b", "a"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"page_id": "2002"}, ["elsewhere"]),
        ({"statuses": ("FAILED",)}, ["failed"]),
        ({"statuses": ("FAILED", "SENT")}, ["failed", "elsewhere"]),
        ({"with_failures": True}, ["failed", "unconfirmed"]),
        ({"owner": "another owner"}, ["theirs"]),
    ],
)
def test_a_list_returns_the_messages_that_match_its_filter(
    db: DrivenStore, wanted: dict[str, Any], found: list[str]
) -> None:
    db.send("elsewhere", {"ann": SENT}, at=1, page_id="2002")
    db.send("unconfirmed", {"ann": UNCONFIRMED, "bob": SENT}, at=2)
    db.send("failed", {"ann": FAILED}, at=3)
    db.send("theirs", {"ann": FAILED}, at=4, owner="another owner")

    assert newest(db, **wanted) == found


def test_the_timer_takes_completed_cron_messages_with_failures_and_rounds_left(db: DrivenStore) -> None:
    db.send("due", {"ann": FAILED}, retry_policy=cron())
    db.send("also-due", {"ann": UNCONFIRMED}, retry_policy=cron())
    db.send("sent", {"ann": SENT}, retry_policy=cron())
    db.send("manual", {"ann": FAILED}, retry_policy=RetryPolicy())
    db.send("auto", {"ann": FAILED}, retry_policy=auto())
    db.submit("open", "ann", retry_policy=cron())
    db.send("stopped", {"ann": FAILED}, retry_policy=cron())
    db.write(
        db.of_message(db.message("stopped"), MessageCancelled(message_id="stopped", requested_by="", time=after(9)))
    )
    db.send("used-up", {"ann": FAILED}, retry_policy=cron(1))
    db.write(db.of_message(db.message("used-up"), retry_requested(message_id="used-up", batches=0, retry_count=1)))
    db.complete("used-up", at=9)

    due = db.ask(lambda sql: message_rows.due_for_timer(sql, after="", limit=10))
    rest = db.ask(lambda sql: message_rows.due_for_timer(sql, after="also-due", limit=10))

    assert [row.message_id for row in due] == ["also-due", "due"]
    assert [row.message_id for row in rest] == ["due"]


def test_messages_without_open_deliveries_that_are_not_completed_are_found(db: DrivenStore) -> None:
    db.send("done", {"ann": SENT})
    db.submit("open", "ann")
    db.submit("missed", "ann")
    batch = db.batch("missed", 1)
    db.write(db.of_batch(batch, delivered(batch, {"ann": SENT})))

    assert db.ask(message_rows.unfinished) == ["missed"]
