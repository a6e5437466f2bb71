"""Cleanups: a row each, with how far it is, from which any process goes on with it."""

from collections.abc import Mapping
from typing import Any

import msgspec

from domain.cleanup_events import (
    CleanupCompleted,
    CleanupCounted,
    CleanupEvent,
    CleanupStarted,
    DeliveriesCleaned,
)
from projections.recorded import Recorded
from projections.removable import Cursor
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
    """A cleanup as its readers see it; `version` is that of its stream. The total is None until it is counted."""

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
        """Nothing is left to remove."""
        return self.state == "DONE"

    @property
    def cursor(self) -> Cursor:
        """Where it goes on."""
        return Cursor(self.last_message, self.last_batch)


def apply(sql: Sql, recorded: Recorded) -> None:
    """What events change of cleanups."""
    event = recorded.event
    match event:
        case CleanupStarted():
            _start(sql, event)
        case CleanupCounted():
            _set(sql, recorded.version, event, "deliveries_total = :total", {"total": event.deliveries})
        case DeliveriesCleaned():
            _go_on(sql, recorded.version, event)
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


def _go_on(sql: Sql, version: int, event: DeliveriesCleaned) -> None:
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
    statement = f"UPDATE cleanups SET {assignments}, version = :version WHERE cleanup_id = :cleanup_id"  # noqa: S608 - our own words
    sql.execute(statement, {**values, "version": version, "cleanup_id": event.cleanup_id})


def find(sql: Sql, cleanup_id: str) -> CleanupRow | None:
    """A cleanup, or None."""
    row = sql.row("SELECT * FROM cleanups WHERE cleanup_id = :cleanup_id", {"cleanup_id": cleanup_id})
    return _cleanup(row) if row else None


def oldest_running(sql: Sql) -> CleanupRow | None:
    """The one that is worked off first, or None when none is left."""
    row = sql.row("SELECT * FROM cleanups WHERE state = 'RUNNING' ORDER BY create_time, cleanup_id LIMIT 1")
    return _cleanup(row) if row else None


def _cleanup(row: Row) -> CleanupRow:
    return msgspec.convert(dict(row), CleanupRow)
