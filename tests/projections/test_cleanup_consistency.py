"""Cleanups at any time change only the rows that they remove.

The log of each run is projected twice, the second time with cleanups after some of the events. Later events for
remaining and for removed rows must give the same counts, states and reports.
"""

import random
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from eventsourcing.sqlite import SQLiteCursor
from hypothesis import Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from domain import batch_decisions
from domain.batch_events import BatchEvent
from domain.delivery import DeliveryStatus as S
from domain.event import Event, RecordedEvent
from domain.retention_events import CleanedPart, CleanupStarted, DeliveriesCleaned
from domain.streams import cleanup_stream
from projections import read_models, removable_deliveries
from projections.count_deltas import CountDeltas
from projections.removable_deliveries import CleanupCursor
from projections.sql import Sql, micros
from server.eventstore.commit import StreamEvents
from server.eventstore.sqlite.sql import SqliteSql
from tests.builders import FAILED, MESSAGE, OWNER, UNCONFIRMED, after, known
from tests.projections.caller_rules import CallerRules
from tests.projections.driven_store import DrivenStore, counts_of
from tests.projections.message_model import Place

MAX_RUNS = 5
LATER = after(1_000_000)  # after all events of a run
SAME = ("batches", "failures", "outcomes", "page_outcomes", "requests", "pages")


class ReadModels:
    """Read models to which each event is applied in its own transaction."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self.sql: Sql = SqliteSql(SQLiteCursor(self._connection.cursor()))
        self.removed = self.events_after_a_cleanup = 0
        read_models.create(self.sql)

    def close(self) -> None:
        self._connection.close()

    def apply(self, recorded: RecordedEvent) -> None:
        if isinstance(recorded.event, BatchEvent) and self._is_cleaned(recorded.event.message_id):
            self.events_after_a_cleanup += 1
        deltas = CountDeltas()
        read_models.apply(self.sql, [recorded], deltas)
        deltas.write(self.sql)

    def _is_cleaned(self, message_id: str) -> bool:
        row = self.sql.row("SELECT is_cleaned FROM messages WHERE message_id = :message_id", {"message_id": message_id})
        return row is not None and row["is_cleaned"] == 1

    def clean(self, version: int) -> int:
        """Remove everything removable, and return the cleanup's new version."""
        cursor: CleanupCursor | None = CleanupCursor()
        while cursor is not None:
            parts, cursor = removable_deliveries.find_removable(self.sql, micros(LATER), cursor)
            if parts:
                version += 1
                self.removed += sum(part.deliveries for part in parts)
                assert removable_deliveries.is_unchanged(self.sql, micros(LATER), parts)
                cleaned = DeliveriesCleaned(cleanup_id="c", before=LATER, parts=tuple(parts), time=LATER)
                self.apply(of_cleanup(version, cleaned))
        return version

    def rows(self, table: str, columns: str = "*", condition: str = "1 = 1") -> list[Mapping[str, Any]]:
        return sorted(self.sql.rows(f"SELECT {columns} FROM {table} WHERE {condition}"), key=repr)  # noqa: S608


def of_cleanup(version: int, event: Event) -> RecordedEvent:
    return RecordedEvent(0, cleanup_stream("c"), version, event)


def read_models_from(log: Sequence[RecordedEvent], chance: random.Random | None) -> ReadModels:
    """Return the read models of a log, with cleanups after random events and at the end if `chance` is given."""
    made, version = ReadModels(), 1
    started = CleanupStarted(cleanup_id="c", requested_by=OWNER, before=LATER, time=LATER)
    made.apply(of_cleanup(version, started))
    for recorded in log:
        made.apply(recorded)
        if chance is not None and chance.random() < 0.5:
            version = made.clean(version)
    if chance is not None:
        made.clean(version)
        assert made.rows("cleanups", "deliveries_removed")[0]["deliveries_removed"] == made.removed
    return made


def assert_equal_except_removed(whole: ReadModels, cleaned: ReadModels) -> None:
    for table in SAME:
        assert cleaned.rows(table) == whole.rows(table), table
    for made in (whole, cleaned):
        made.sql.execute("UPDATE messages SET is_cleaned = 0")
    assert cleaned.rows("messages") == whole.rows("messages")
    assert cleaned.rows("recipients", condition="state <> 'SENT'") == whole.rows(
        "recipients", condition="state <> 'SENT'"
    )
    columns = "message_id, recipient_id, recipient_name, state, attempts, error_type"
    assert cleaned.rows("recipients", columns) == whole.rows("recipients", columns)
    for table in ("deliveries", "receipts"):
        all_rows = [repr(row) for row in whole.rows(table)]
        assert all(repr(row) in all_rows for row in cleaned.rows(table)), table
    removed = len(whole.rows("deliveries")) - len(cleaned.rows("deliveries"))
    assert removed == cleaned.removed
    assert not cleaned.rows(
        "deliveries",
        condition="status IN ('SENT', 'CANCELLED') AND (SELECT state FROM recipients"
        " WHERE recipients.message_id = deliveries.message_id AND recipients.recipient_id = deliveries.recipient_id)"
        " IN ('SENT', 'CANCELLED') AND (SELECT is_completed FROM messages"
        " WHERE messages.message_id = deliveries.message_id) = 1",
    )


class CleanedReadModels(CallerRules):
    """The state machine, whose log is projected again with cleanups at the end of each run."""

    removed = 0
    events_after_a_cleanup = 0

    def echo(self, place: Place, some: Sequence[int]) -> None:
        """Record echoes, except for cancelled deliveries: they were not sent, and a cleanup may have removed them."""
        attempts = self.at(place).attempts
        super().echo(place, [position for position in some if attempts[position].status is not S.CANCELLED])

    def teardown(self) -> None:
        log = self.db.store.recorded_after(0, 100_000)
        chance = random.Random(self.ticks)  # noqa: S311 - the same in each run
        with closing(read_models_from(log, None)) as whole, closing(read_models_from(log, chance)) as cleaned:
            assert_equal_except_removed(whole, cleaned)
            CleanedReadModels.removed += cleaned.removed
            CleanedReadModels.events_after_a_cleanup += cleaned.events_after_a_cleanup
        super().teardown()


def test_a_cleanup_changes_only_the_removed_rows() -> None:
    for number in range(MAX_RUNS):
        run_state_machine_as_test(
            seed(number)(type("ReadModels", (CleanedReadModels,), {})),
            settings=settings(
                database=None, deadline=None, max_examples=10, stateful_step_count=40, phases=[Phase.generate]
            ),
        )
        if CleanedReadModels.removed > 10 and CleanedReadModels.events_after_a_cleanup > 5:
            break

    assert CleanedReadModels.removed > 10
    assert CleanedReadModels.events_after_a_cleanup > 5


def test_a_late_outcome_of_a_removed_delivery_is_not_counted(db: DrivenStore) -> None:
    """The batch's own stream does not have the receipt that made the delivery SENT and removable."""
    db.register_page()
    db.send(MESSAGE, {"ann": UNCONFIRMED, "bob": UNCONFIRMED})
    db.record_echoes(db.batch(MESSAGE, 1), [0], now=after(1))
    part = CleanedPart(message_id=MESSAGE, first_batch=1, last_batch=1, deliveries=1)
    started = CleanupStarted(cleanup_id="c", requested_by=OWNER, before=LATER, time=LATER)
    cleaned = DeliveriesCleaned(cleanup_id="c", before=LATER, parts=(part,), time=LATER)
    db.write(StreamEvents(cleanup_stream("c"), 0, [started, cleaned]))
    batch = db.batch(MESSAGE, 1)

    db.write(db.of_batch(batch, batch_decisions.record_late(batch, [known(0, FAILED), known(1, FAILED)], now=after(2))))

    assert [row["recipient_id"] for row in db.rows("SELECT * FROM deliveries")] == ["bob"]
    assert db.row().counts == {**dict.fromkeys(S, 0), S.SENT: 1, S.FAILED: 1}
    assert counts_of(db.rows("SELECT * FROM batches")[0]) == {S.SENT: 1, S.FAILED: 1}
    db.assert_rebuilt_equal()
