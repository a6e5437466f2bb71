"""Batches that may not be claimed yet: of paused messages, and of those that are scheduled for later."""

import pytest

from domain import batch_decisions
from projections import batches
from projections.sql import micros
from tests.builders import (
    MESSAGE,
    NOW,
    after,
    batch_recipients,
    message_paused,
    message_resumed,
    message_staged,
    message_submitted,
    retry_requested,
    start,
)
from tests.projections.driven_store import DrivenStore

MOST = 1_000


def claimable(db: DrivenStore, limit: int = MOST) -> list[tuple[str, int]]:
    rows = db.ask(lambda sql: batches.claimable_of_page(sql, "1001", limit))
    return [(row.message_id, row.number) for row in rows]


def pages(db: DrivenStore) -> list[str]:
    return list(db.ask(batches.pages_with_work))


def paused(db: DrivenStore, message_id: str = MESSAGE) -> None:
    db.write(db.of_message(db.message(message_id), message_paused(message_id=message_id)))


def resumed(db: DrivenStore, message_id: str = MESSAGE) -> None:
    db.write(db.of_message(db.message(message_id), message_resumed(message_id=message_id)))


@pytest.fixture(autouse=True)
def _page(db: DrivenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    db.register_page()
    monkeypatch.setattr("server.eventstore.sqlite.sql.SqliteSql.clock", lambda _: micros(NOW))


# Paused


def test_a_paused_message_waits_and_the_others_do_not(db: DrivenStore) -> None:
    db.submit(MESSAGE, "ann")
    db.submit("other", "ann")

    paused(db)

    assert claimable(db, limit=1) == [("other", 1)]
    assert db.row(MESSAGE).status == "PAUSED"


def test_a_page_with_nothing_but_paused_messages_has_no_work(db: DrivenStore) -> None:
    db.submit(MESSAGE, "ann")
    assert pages(db) == ["1001"]

    paused(db)
    assert pages(db) == []

    resumed(db)
    assert pages(db) == ["1001"]


def test_a_resumed_message_has_its_place_again(db: DrivenStore) -> None:
    for message_id in ("first", MESSAGE, "last"):
        db.submit(message_id, "ann")
    paused(db)

    resumed(db)

    assert claimable(db) == [("first", 1), (MESSAGE, 1), ("last", 1)]
    assert db.row(MESSAGE).status == "PENDING"


def test_what_a_worker_had_begun_is_taken_over_also_while_paused(db: DrivenStore) -> None:
    """What was sending has to become unconfirmed; then it is let go, and waits."""
    db.submit(MESSAGE, "ann", "bob")
    batch = db.batch(MESSAGE, 1)
    db.write(db.of_batch(batch, start(batch)))

    paused(db)
    assert claimable(db) == [(MESSAGE, 1)]

    batch = db.batch(MESSAGE, 1)
    db.write(db.of_batch(batch, batch_decisions.release(batch, now=NOW)))
    assert claimable(db) == []

    resumed(db)
    assert claimable(db) == [(MESSAGE, 1)]


def test_a_claim_that_comes_just_after_the_pause_can_be_taken_over(db: DrivenStore) -> None:
    db.submit(MESSAGE, "ann")
    batch = db.batch(MESSAGE, 1)
    paused(db)

    db.write(db.of_batch(batch, start(batch)))

    assert claimable(db) == [(MESSAGE, 1)]


def test_a_resend_of_a_paused_message_waits_too(db: DrivenStore) -> None:
    db.submit(MESSAGE, "ann")
    paused(db)

    message = db.message()
    again = db.new_batches(MESSAGE, [batch_recipients("bob")], first=2, round=1)
    db.write(db.of_message(message, retry_requested()), *again)

    assert claimable(db) == []


# Scheduled


def test_a_scheduled_message_waits_for_its_time(db: DrivenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    db.submit(MESSAGE, "ann", schedule_time=after(10))
    db.submit("at once", "ann")
    assert claimable(db, limit=1) == [("at once", 1)]
    assert db.row(MESSAGE).status == "PENDING"

    monkeypatch.setattr("server.eventstore.sqlite.sql.SqliteSql.clock", lambda _: micros(after(9.9)))
    assert claimable(db) == [("at once", 1)]

    monkeypatch.setattr("server.eventstore.sqlite.sql.SqliteSql.clock", lambda _: micros(after(10)))
    assert claimable(db) == [("at once", 1), (MESSAGE, 1)]


def test_a_page_with_nothing_but_scheduled_messages_has_no_work_before_their_time(
    db: DrivenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.submit(MESSAGE, "ann", schedule_time=after(10))
    assert pages(db) == []

    monkeypatch.setattr("server.eventstore.sqlite.sql.SqliteSql.clock", lambda _: micros(after(10)))
    assert pages(db) == ["1001"]


def test_what_falls_due_queues_up_behind_what_was_planned_before_that(
    db: DrivenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.submit("for 30", "ann", at=0, schedule_time=after(30))
    db.submit("for 20", "ann", at=1, schedule_time=after(20))
    db.submit("at 15", "ann", at=15)
    db.submit("at 25", "ann", at=25)
    monkeypatch.setattr("server.eventstore.sqlite.sql.SqliteSql.clock", lambda _: micros(after(60)))

    names = [message_id for message_id, _ in claimable(db)]

    assert names == ["at 15", "for 20", "at 25", "for 30"]
    assert [message_id for message_id, _ in claimable(db, limit=2)] == names[:2]


@pytest.mark.parametrize("seconds", [-10, -1e10])
def test_a_time_in_the_past_means_at_once(db: DrivenStore, seconds: float) -> None:
    db.submit(MESSAGE, "ann", schedule_time=after(seconds))

    assert claimable(db) == [(MESSAGE, 1)]


def test_a_scheduled_stream_waits_once_it_is_submitted(db: DrivenStore) -> None:
    db.write(db.of_message(db.message(), message_staged()))
    db.stages[MESSAGE] = 1
    db.write(*db.new_batches(MESSAGE, [batch_recipients("ann")], first=1))
    db.write(db.of_message(db.message(), message_submitted(1, stage=1, schedule_time=after(10))))

    assert claimable(db) == []
    assert db.row(MESSAGE).schedule_time == micros(after(10))


def test_a_scheduled_message_may_be_paused_beyond_its_time_and_waits_for_it_again(
    db: DrivenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.submit(MESSAGE, "ann", schedule_time=after(10))
    paused(db)
    monkeypatch.setattr("server.eventstore.sqlite.sql.SqliteSql.clock", lambda _: micros(after(60)))
    assert claimable(db) == []

    resumed(db)
    assert claimable(db) == [(MESSAGE, 1)]

    monkeypatch.setattr("server.eventstore.sqlite.sql.SqliteSql.clock", lambda _: micros(NOW))
    assert claimable(db) == []


# What it costs


def test_however_much_waits_only_what_can_be_claimed_is_looked_at(db: DrivenStore) -> None:
    """The index is entered at the page and at what is due: what is paused or scheduled lies behind."""
    groups = [batch_recipients(f"r{number}") for number in range(300)]
    for message_id, later in (("paused", None), ("scheduled", after(10))):
        submitted = message_submitted(300, message_id=message_id, batches=300, schedule_time=later)
        db.write(db.of_message(db.message(message_id), submitted), *db.new_batches(message_id, groups, first=1))
    paused(db, "paused")
    db.submit("other", "ann")

    steps = db.steps(lambda sql: batches.claimable_of_page(sql, "1001", 65))

    assert claimable(db) == [("other", 1)]
    assert steps < 1_000  # of SQLite's virtual machine; a walk through what waits takes thousands
