"""The cleanups table: a row for each cleanup, with its progress, so that any process can continue it."""

from collections.abc import Mapping
from typing import Any

import msgspec

from domain.event import RecordedEvent
from domain.retention_events import (
    CleanupCompleted,
    CleanupCounted,
    CleanupEvent,
    CleanupStarted,
    DeliveriesCleaned,
)
from projections.removable_deliveries import CleanupCursor
from projections.sql import Micros, Row, Sql, micros

TABLES = (
    """
    CREATE TABLE IF NOT EXISTS cleanups (
        cleanup_id TEXT PRIMARY KEY,
        before_time BIGINT NOT NULL,
        state TEXT NOT NULL,
        deliveries_total BIGINT,
        deliveries_removed BIGINT NOT NULL DEFAULT 0,
        last_message TEXT NOT NULL DEFAULT '',
        last_batch INTEGER NOT NULL DEFAULT 0,
        create_time BIGINT NOT NULL,
        end_time BIGINT,
        version BIGINT NOT NULL
    )
    """,
    "CREATE INDEX IF NOT EXISTS cleanups_running ON cleanups (create_time, cleanup_id) WHERE state = 'RUNNING'",
)


class CleanupRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the cleanups table.

    `version` is the version of the cleanup's stream. `deliveries_total` is None until the deliveries are counted.
    """

    cleanup_id: str
    before_time: Micros
    state: str
    deliveries_total: int | None
    deliveries_removed: int
    last_message: str
    last_batch: int
    create_time: Micros
    end_time: Micros | None
    version: int

    @property
    def is_done(self) -> bool:
        """Whether all deliveries are removed."""
        return self.state == "DONE"

    @property
    def cursor(self) -> CleanupCursor:
        """The place after which the cleanup continues."""
        return CleanupCursor(self.last_message, self.last_batch)


def apply(sql: Sql, recorded: RecordedEvent) -> None:
    """Apply an event to the cleanups."""
    event = recorded.event
    match event:
        case CleanupStarted():
            _start(sql, event)
        case CleanupCounted():
            _set(sql, recorded.version, event, "deliveries_total = :total", {"total": event.deliveries})
        case DeliveriesCleaned():
            _advance(sql, recorded.version, event)
        case CleanupCompleted():
            _set(sql, recorded.version, event, "state = 'DONE', end_time = :time", {"time": micros(event.time)})


def _start(sql: Sql, event: CleanupStarted) -> None:
    sql.execute(
        """
        INSERT INTO cleanups (cleanup_id, before_time, state, create_time, version)
        VALUES (:cleanup_id, :before, 'RUNNING', :time, 1)
        """,
        {"cleanup_id": event.cleanup_id, "before": micros(event.before), "time": micros(event.time)},
    )


def _advance(sql: Sql, version: int, event: DeliveriesCleaned) -> None:
    last = event.parts[-1]
    _set(
        sql,
        version,
        event,
        "deliveries_removed = deliveries_removed + :removed, last_message = :message_id, last_batch = :batch_number",
        {
            "removed": sum(part.deliveries for part in event.parts),
            "message_id": last.message_id,
            "batch_number": last.last_batch,
        },
    )


def _set(sql: Sql, version: int, event: CleanupEvent, assignments: str, values: Mapping[str, Any]) -> None:
    statement = f"UPDATE cleanups SET {assignments}, version = :version WHERE cleanup_id = :cleanup_id"  # noqa: S608 - constants
    sql.execute(statement, {**values, "version": version, "cleanup_id": event.cleanup_id})


def find(sql: Sql, cleanup_id: str) -> CleanupRow | None:
    """Return a cleanup; None if there is none with this id."""
    row = sql.row("SELECT * FROM cleanups WHERE cleanup_id = :cleanup_id", {"cleanup_id": cleanup_id})
    return _cleanup_row(row) if row else None


def oldest_running(sql: Sql) -> CleanupRow | None:
    """Return the oldest running cleanup, which is processed first; None if none is running."""
    row = sql.row("SELECT * FROM cleanups WHERE state = 'RUNNING' ORDER BY create_time, cleanup_id LIMIT 1")
    return _cleanup_row(row) if row else None


def _cleanup_row(row: Row) -> CleanupRow:
    return msgspec.convert(dict(row), CleanupRow)
