"""The batches table: a row for each batch, with the counts of its own deliveries."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import msgspec

from domain.batch_events import (
    BatchCancelled,
    BatchCompleted,
    BatchEvent,
    BatchReleased,
    BatchStarted,
)
from domain.delivery import DeliveryStatus
from domain.event import RecordedEvent
from domain.message_events import (
    MessageAbandoned,
    MessagePaused,
    MessageResumed,
    MessageStopped,
    MessageSubmitted,
)
from projections.new_batches import NewBatches
from projections.sql import BulkRows, Micros, Sql, in_condition, micros

TABLES = (
    """
    CREATE TABLE IF NOT EXISTS batches (
        message_id TEXT NOT NULL,
        number INTEGER NOT NULL,
        stage INTEGER NOT NULL,
        round INTEGER NOT NULL,
        page_id TEXT NOT NULL,
        status TEXT NOT NULL,
        is_cancelled INTEGER NOT NULL DEFAULT 0,
        worker TEXT NOT NULL DEFAULT '',
        generation INTEGER NOT NULL DEFAULT 0,
        lease_expire_time BIGINT,
        total INTEGER NOT NULL,
        pending INTEGER NOT NULL,
        sending INTEGER NOT NULL DEFAULT 0,
        sent INTEGER NOT NULL DEFAULT 0,
        failed INTEGER NOT NULL DEFAULT 0,
        unconfirmed INTEGER NOT NULL DEFAULT 0,
        cancelled INTEGER NOT NULL DEFAULT 0,
        create_time BIGINT NOT NULL,
        start_time BIGINT,
        end_time BIGINT,
        position BIGINT NOT NULL,
        due_time BIGINT NOT NULL DEFAULT 0,
        PRIMARY KEY (message_id, number)
    )
    """,
    """
    CREATE INDEX IF NOT EXISTS batches_claimable ON batches (page_id, due_time, position)
    WHERE status IN ('PENDING', 'STARTED')
    """,
    """
    CREATE INDEX IF NOT EXISTS batches_open_of_message ON batches (message_id, number)
    WHERE status IN ('PENDING', 'STARTED')
    """,
)


# The time from which a pending batch may be claimed: the message's schedule_time, 0 without one, NEVER while it is
# paused.
NEVER_DUE = 2**62
_DUE = f"""
    COALESCE((SELECT CASE WHEN is_paused = 1 THEN {NEVER_DUE} ELSE schedule_time END
              FROM messages WHERE messages.message_id = :message_id), 0)
"""  # noqa: S608 - a constant of this module


class BatchRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the batches table; `lease_expire_time` belongs to its claim."""

    message_id: str
    number: int
    stage: int
    round: int
    page_id: str
    status: str
    worker: str
    generation: int
    lease_expire_time: Micros | None
    total: int
    pending: int
    sending: int
    sent: int
    failed: int
    unconfirmed: int
    cancelled: int
    create_time: Micros
    start_time: Micros | None
    end_time: Micros | None


def apply(sql: Sql, recorded: RecordedEvent) -> None:
    """Apply an event to existing batches, except for the counts (see add_counts)."""
    event = recorded.event
    if isinstance(event, BatchEvent):
        _change(sql, event)
    match event:
        case MessageSubmitted() if event.stage:
            _publish(sql, event.message_id)
        case MessagePaused() | MessageStopped() | MessageResumed():
            _update_due_times(sql, event.message_id)
        case MessageAbandoned():
            sql.execute("DELETE FROM batches WHERE message_id = :message_id", {"message_id": event.message_id})


def _change(sql: Sql, event: BatchEvent) -> None:
    match event:
        case BatchStarted():
            _start(sql, event)
        case BatchReleased():
            _set(sql, event, f"status = 'PENDING', worker = '', lease_expire_time = NULL, due_time = {_DUE}")
        case BatchCancelled():
            _set(sql, event, "is_cancelled = 1")
        case BatchCompleted():
            _complete(sql, event)


_NEW = (("number", int), ("total", int), ("position", int))


def insert(sql: Sql, new: NewBatches) -> None:
    """Insert new batches as PENDING, or as STAGED while the message's stream is open: then no worker claims them."""
    sql.execute(
        f"""
        INSERT INTO batches (message_id, number, stage, round, page_id, status, total, pending, create_time, position,
                             due_time)
        SELECT :message_id, number, :stage, :round, :page_id,
               CASE WHEN EXISTS (SELECT 1 FROM messages WHERE message_id = :message_id AND is_visible = 1)
                    THEN 'PENDING' ELSE 'STAGED' END,
               total, total, :time, position, {_DUE}
        FROM given
        """,  # noqa: S608 - here and below: constants of this module
        new.shared_parameters,
        BulkRows(
            _NEW,
            [
                (event.batch_number, len(event.recipients), position)
                for event, position in zip(new.created, new.log_positions, strict=True)
            ],
        ),
    )


def _publish(sql: Sql, message_id: str) -> None:
    sql.execute(
        f"""
        UPDATE batches SET status = 'PENDING', due_time = {_DUE} WHERE message_id = :message_id AND status = 'STAGED'
        """,  # noqa: S608
        {"message_id": message_id},
    )


def _update_due_times(sql: Sql, message_id: str) -> None:
    """Set the due times of a message's unclaimed batches."""
    sql.execute(
        f"""
        UPDATE batches SET due_time = {_DUE}
        WHERE message_id = :message_id AND status IN ('PENDING', 'STARTED') AND status = 'PENDING'
        """,  # noqa: S608
        {"message_id": message_id},
    )


def _start(sql: Sql, event: BatchStarted) -> None:
    sql.execute(
        """
        UPDATE batches SET status = 'STARTED', worker = :worker, generation = :generation, lease_expire_time = :lease,
               start_time = COALESCE(start_time, :time), due_time = 0
        WHERE message_id = :message_id AND number = :number
        """,
        {
            "message_id": event.message_id,
            "number": event.batch_number,
            "worker": event.worker,
            "generation": event.generation,
            "lease": micros(event.lease_expire_time),
            "time": micros(event.time),
        },
    )


def _complete(sql: Sql, event: BatchCompleted) -> None:
    status = "status = CASE WHEN is_cancelled = 1 THEN 'CANCELLED' ELSE 'COMPLETED' END"
    _set(sql, event, f"{status}, lease_expire_time = NULL, end_time = :time")


def _set(sql: Sql, event: BatchEvent, assignments: str) -> None:
    named = {"message_id": event.message_id, "number": event.batch_number}
    timed = {**named, "time": micros(event.time)} if ":time" in assignments else named
    statement = f"UPDATE batches SET {assignments} WHERE message_id = :message_id AND number = :number"  # noqa: S608
    sql.execute(statement, timed)


_ADD_COUNTS = """
    UPDATE batches SET
        pending = pending + :PENDING,
        sending = sending + :SENDING,
        sent = sent + :SENT,
        failed = failed + :FAILED,
        unconfirmed = unconfirmed + :UNCONFIRMED,
        cancelled = cancelled + :CANCELLED
    WHERE message_id = :message_id AND number = :number
"""


def add_counts(sql: Sql, event: BatchEvent, changes: Mapping[DeliveryStatus, int]) -> None:
    """Add changes, by status, to the counts of a batch's own deliveries."""
    counts = {status.value: changes.get(status, 0) for status in DeliveryStatus}
    sql.execute(_ADD_COUNTS, {**counts, "message_id": event.message_id, "number": event.batch_number})


def _rows(sql: Sql, condition: str, parameters: dict[str, object]) -> Sequence[BatchRow]:
    found = sql.rows(f"SELECT * FROM batches WHERE {condition}", parameters)  # noqa: S608 - conditions of this module
    return [msgspec.convert(dict(row), BatchRow) for row in found]


def list_of_message(
    sql: Sql, message_id: str, *, statuses: Sequence[str] = (), after: int = 0, limit: int
) -> Sequence[BatchRow]:
    """Return a message's batches, ordered by number, after the number `after`."""
    in_statuses, parameters = in_condition("status", "status", statuses)
    condition = f"message_id = :message_id AND {in_statuses} AND number > :after ORDER BY number LIMIT :limit"
    return _rows(sql, condition, {**parameters, "message_id": message_id, "after": after, "limit": limit})


_OF_OTHER_ROUNDS = """
    AND (status = 'STARTED' OR NOT EXISTS (
        SELECT 1 FROM given WHERE given.message_id = batches.message_id AND given.round = batches.round))
"""


def claimable_of_page(
    sql: Sql, page_id: str, limit: int, *, but_for: Collection[tuple[str, int]] = ()
) -> Sequence[BatchRow]:
    """Return a page's batches that are started, or pending and due, ordered by the time of their planning or due time.

    The index skips batches that are paused or not due yet. Pending batches of the rounds (message id, round) in
    `but_for` are left out.
    """
    of_others = _OF_OTHER_ROUNDS if but_for else ""
    rows = sql.rows(
        f"""
        SELECT * FROM (
            SELECT * FROM (
                SELECT batches.*, create_time AS ready_time FROM batches
                WHERE page_id = :page_id AND status IN ('PENDING', 'STARTED') AND due_time = 0 {of_others}
                ORDER BY position LIMIT :limit
            ) AS at_once
            UNION ALL
            SELECT * FROM (
                SELECT batches.*, due_time AS ready_time FROM batches
                WHERE page_id = :page_id AND status IN ('PENDING', 'STARTED') AND due_time > 0 AND due_time <= :now
                      {of_others}
                ORDER BY due_time, position LIMIT :limit
            ) AS scheduled
        ) AS claimable
        ORDER BY ready_time, position LIMIT :limit
        """,  # noqa: S608
        {"page_id": page_id, "limit": limit, "now": sql.clock()},
        BulkRows((("message_id", str), ("round", int)), sorted(but_for)) if but_for else None,
    )
    return [msgspec.convert(dict(row), BatchRow) for row in rows]


def started_of_page(sql: Sql, page_id: str, limit: int) -> Sequence[BatchRow]:
    """Return a page's started batches, in the order in which they were planned."""
    condition = "page_id = :page_id AND status = 'STARTED' AND due_time = 0 ORDER BY position LIMIT :limit"
    return _rows(sql, condition, {"page_id": page_id, "limit": limit})


def open_of_message(sql: Sql, message_id: str, *, after: int = 0, limit: int) -> Sequence[BatchRow]:
    """Return a message's pending and started batches, ordered by number, after the number `after`."""
    condition = (
        "message_id = :message_id AND status IN ('PENDING', 'STARTED') AND number > :after ORDER BY number LIMIT :limit"
    )
    return _rows(sql, condition, {"message_id": message_id, "after": after, "limit": limit})


def count_open(sql: Sql, message_id: str) -> int:
    """Return the number of a message's pending and started batches."""
    row = sql.row(
        "SELECT COUNT(*) AS batches FROM batches WHERE message_id = :message_id AND status IN ('PENDING', 'STARTED')",
        {"message_id": message_id},
    )
    return row["batches"] if row else 0


def pages_with_work(sql: Sql) -> Sequence[str]:
    """Return the pages with batches that are started, or pending and due; for pages on hold only started ones count."""
    found = sql.rows(
        """
        SELECT page_id FROM pages
        WHERE (SELECT 1 FROM batches WHERE batches.page_id = pages.page_id AND status IN ('PENDING', 'STARTED')
               AND due_time <= :now AND (pages.is_held = 0 OR status = 'STARTED') LIMIT 1) IS NOT NULL
        """,  # one index look-up per page: there may be very many scheduled or paused batches, for a long time
        {"now": sql.clock()},
    )
    return [row["page_id"] for row in found]


def pending_of(sql: Sql, message_id: str, number: int) -> int:
    """Return how many deliveries of a batch are pending; 0 for an unknown batch."""
    row = sql.row(
        "SELECT pending FROM batches WHERE message_id = :message_id AND number = :number",
        {"message_id": message_id, "number": number},
    )
    return row["pending"] if row else 0


class BatchesResult(NamedTuple):
    """The result of a range of batches: whether all have ended, and how many deliveries did not succeed."""

    have_ended: bool
    failed: int
    unconfirmed: int


def result_of(sql: Sql, message_id: str, *, first: int, count: int) -> BatchesResult:
    """Return the result of `count` batches of a message, starting with the number `first`."""
    row = sql.row(
        """
        SELECT COUNT(end_time) AS ended, SUM(failed) AS failed, SUM(unconfirmed) AS unconfirmed
        FROM batches WHERE message_id = :message_id AND number BETWEEN :first AND :last
        """,
        {"message_id": message_id, "first": first, "last": first + count - 1},
    )
    if row is None or row["ended"] < count:
        return BatchesResult(have_ended=False, failed=0, unconfirmed=0)
    return BatchesResult(have_ended=True, failed=row["failed"], unconfirmed=row["unconfirmed"])


_SUMS = ", ".join(f"SUM({status.value.lower()}) AS {status.value.lower()}" for status in DeliveryStatus)


def attempt_counts_by_round(
    sql: Sql, message_id: str, rounds: Sequence[int]
) -> Mapping[int, Mapping[DeliveryStatus, int]]:
    """Return the number of attempts by status for each of a message's rounds."""
    in_rounds, parameters = in_condition("round", "round", rounds)
    rows = sql.rows(
        f"SELECT round, {_SUMS} FROM batches WHERE message_id = :message_id AND {in_rounds} GROUP BY round",  # noqa: S608
        {**parameters, "message_id": message_id},
    )
    return {row["round"]: {status: row[status.value.lower()] for status in DeliveryStatus} for row in rows}
