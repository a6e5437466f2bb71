"""Batches that may not be claimed yet: batches of paused and of scheduled messages."""

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


def test_batches_of_a_paused_message_are_not_claimable(db: DrivenStore) -> None:
    db.submit(MESSAGE, "ann")
    db.submit("other", "ann")

    paused(db)

    assert claimable(db, limit=1) == [("other", 1)]
    assert db.row(MESSAGE).status == "PAUSED"


def test_a_page_with_only_paused_messages_has_no_work(db: DrivenStore) -> None:
    db.submit(MESSAGE, "ann")
    assert pages(db) == ["1001"]

    paused(db)
    assert pages(db) == []

    resumed(db)
    assert pages(db) == ["1001"]


def test_a_resumed_message_keeps_its_place_in_the_order(db: DrivenStore) -> None:
    for message_id in ("first", MESSAGE, "last"):
        db.submit(message_id, "ann")
    paused(db)

    resumed(db)

    assert claimable(db) == [("first", 1), (MESSAGE, 1), ("last", 1)]
    assert db.row(MESSAGE).status == "PENDING"


def test_a_started_batch_of_a_paused_message_is_claimable(db: DrivenStore) -> None:
    """A worker takes over the batch, so that its sending deliveries become unconfirmed; after its release it waits."""
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


def test_a_batch_claimed_after_the_pause_is_claimable_again(db: DrivenStore) -> None:
    db.submit(MESSAGE, "ann")
    batch = db.batch(MESSAGE, 1)
    paused(db)

    db.write(db.of_batch(batch, start(batch)))

    assert claimable(db) == [(MESSAGE, 1)]


def test_new_batches_of_a_paused_message_are_not_claimable(db: DrivenStore) -> None:
    db.submit(MESSAGE, "ann")
    paused(db)

    message = db.message()
    again = db.new_batches(MESSAGE, [batch_recipients("bob")], first=2, round=1)
    db.write(db.of_message(message, retry_requested()), *again)

    assert claimable(db) == []


# Scheduled


def test_a_scheduled_message_is_claimable_from_its_time_on(db: DrivenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    db.submit(MESSAGE, "ann", schedule_time=after(10))
    db.submit("at once", "ann")
    assert claimable(db, limit=1) == [("at once", 1)]
    assert db.row(MESSAGE).status == "PENDING"

    monkeypatch.setattr("server.eventstore.sqlite.sql.SqliteSql.clock", lambda _: micros(after(9.9)))
    assert claimable(db) == [("at once", 1)]

    monkeypatch.setattr("server.eventstore.sqlite.sql.SqliteSql.clock", lambda _: micros(after(10)))
    assert claimable(db) == [("at once", 1), (MESSAGE, 1)]


def test_a_page_with_only_scheduled_messages_has_no_work_before_their_time(
    db: DrivenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.submit(MESSAGE, "ann", schedule_time=after(10))
    assert pages(db) == []

    monkeypatch.setattr("server.eventstore.sqlite.sql.SqliteSql.clock", lambda _: micros(after(10)))
    assert pages(db) == ["1001"]


def test_scheduled_batches_are_ordered_by_due_time_among_the_others(
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
def test_a_schedule_time_in_the_past_means_at_once(db: DrivenStore, seconds: float) -> None:
    db.submit(MESSAGE, "ann", schedule_time=after(seconds))

    assert claimable(db) == [(MESSAGE, 1)]


def test_a_submitted_scheduled_stream_waits_for_its_time(db: DrivenStore) -> None:
    db.write(db.of_message(db.message(), message_staged()))
    db.stages[MESSAGE] = 1
    db.write(*db.new_batches(MESSAGE, [batch_recipients("ann")], first=1))
    db.write(db.of_message(db.message(), message_submitted(1, stage=1, schedule_time=after(10))))

    assert claimable(db) == []
    assert db.row(MESSAGE).schedule_time == micros(after(10))


def test_a_scheduled_message_resumed_before_its_time_waits_for_it(
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


# Cost


def test_the_claim_query_does_not_read_paused_or_scheduled_batches(db: DrivenStore) -> None:
    """The index is ordered by page and due time: paused and scheduled batches come after the due ones."""
    groups = [batch_recipients(f"r{number}") for number in range(300)]
    for message_id, later in (("paused", None), ("scheduled", after(10))):
        submitted = message_submitted(300, message_id=message_id, batches=300, schedule_time=later)
        db.write(db.of_message(db.message(message_id), submitted), *db.new_batches(message_id, groups, first=1))
    paused(db, "paused")
    db.submit("other", "ann")

    steps = db.steps(lambda sql: batches.claimable_of_page(sql, "1001", 65))

    assert claimable(db) == [("other", 1)]
    assert steps < 1_000  # of SQLite's virtual machine; reading the waiting batches takes thousands
