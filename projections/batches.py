"""Batches: a row each, with the counts of its own deliveries."""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from domain.batch_events import (
    BatchCancelled,
    BatchCompleted,
    BatchEvent,
    BatchReleased,
    BatchStarted,
)
from domain.delivery import DeliveryStatus
from domain.message_events import (
    MessageAbandoned,
    MessagePaused,
    MessageResumed,
    MessageStopped,
    MessageSubmitted,
)
from projections.new_batches import NewBatches
from projections.recorded import Recorded
from projections.sql import Given, Micros, Sql, micros, one_of

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


# When a pending batch may be claimed: 0 at once, else its message's schedule_time, and never while that is paused.
NEVER = 2**62
_DUE = f"""
    COALESCE((SELECT CASE WHEN is_paused = 1 THEN {NEVER} ELSE schedule_time END
              FROM messages WHERE messages.message_id = :message_id), 0)
"""  # noqa: S608 - our own words


class BatchRow(msgspec.Struct, frozen=True, kw_only=True):
    """A batch as its readers see it; `lease_expire_time` is that of its claim."""

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


def apply(sql: Sql, recorded: Recorded) -> None:
    """What events change of batches that are there, but for the counts."""
    event = recorded.event
    if isinstance(event, BatchEvent):
        _change(sql, event)
    match event:
        case MessageSubmitted() if event.stage:
            _publish(sql, event.message_id)
        case MessagePaused() | MessageStopped() | MessageResumed():
            _settle_due_times(sql, event.message_id)
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


def create(sql: Sql, new: NewBatches) -> None:
    """All of them pending; those of a stream that is open are STAGED: nobody sees or claims them."""
    sql.execute(
        f"""
        INSERT INTO batches (message_id, number, stage, round, page_id, status, total, pending, create_time, position,
                             due_time)
        SELECT :message_id, number, :stage, :round, :page_id,
               CASE WHEN EXISTS (SELECT 1 FROM messages WHERE message_id = :message_id AND is_visible = 1)
                    THEN 'PENDING' ELSE 'STAGED' END,
               total, total, :time, position, {_DUE}
        FROM given
        """,  # noqa: S608 - here and below: our own words
        new.common,
        Given(
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


def _settle_due_times(sql: Sql, message_id: str) -> None:
    """Of those that nobody has claimed."""
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
    """Adds to the counts of a batch's own deliveries, by status."""
    counts = {status.value: changes.get(status, 0) for status in DeliveryStatus}
    sql.execute(_ADD_COUNTS, {**counts, "message_id": event.message_id, "number": event.batch_number})


def _rows(sql: Sql, condition: str, parameters: dict[str, object]) -> Sequence[BatchRow]:
    found = sql.rows(f"SELECT * FROM batches WHERE {condition}", parameters)  # noqa: S608 - conditions of our own words
    return [msgspec.convert(dict(row), BatchRow) for row in found]


def of_message(
    sql: Sql, message_id: str, *, statuses: Sequence[str] = (), after: int = 0, limit: int
) -> Sequence[BatchRow]:
    """A message's batches by number."""
    in_statuses, parameters = one_of("status", "status", statuses)
    condition = f"message_id = :message_id AND {in_statuses} AND number > :after ORDER BY number LIMIT :limit"
    return _rows(sql, condition, {**parameters, "message_id": message_id, "after": after, "limit": limit})


_OF_OTHER_ROUNDS = """
    AND (status = 'STARTED' OR NOT EXISTS (
        SELECT 1 FROM given WHERE given.message_id = batches.message_id AND given.round = batches.round))
"""


def claimable_of_page(
    sql: Sql, page_id: str, limit: int, *, but_for: Collection[tuple[str, int]] = ()
) -> Sequence[BatchRow]:
    """A page's batches that are started, or pending and due: in the order in which they were planned, or fell due.

    What is not due yet, or paused, is not even looked at; what is pending of some messages' rounds is passed over.
    """
    of_others = _OF_OTHER_ROUNDS if but_for else ""
    rows = sql.rows(
        f"""
        SELECT * FROM (
            SELECT * FROM (
                SELECT batches.*, create_time AS turn FROM batches
                WHERE page_id = :page_id AND status IN ('PENDING', 'STARTED') AND due_time = 0 {of_others}
                ORDER BY position LIMIT :limit
            ) AS at_once
            UNION ALL
            SELECT * FROM (
                SELECT batches.*, due_time AS turn FROM batches
                WHERE page_id = :page_id AND status IN ('PENDING', 'STARTED') AND due_time > 0 AND due_time <= :now
                      {of_others}
                ORDER BY due_time, position LIMIT :limit
            ) AS scheduled
        ) AS claimable
        ORDER BY turn, position LIMIT :limit
        """,  # noqa: S608
        {"page_id": page_id, "limit": limit, "now": sql.clock()},
        Given((("message_id", str), ("round", int)), sorted(but_for)) if but_for else None,
    )
    return [msgspec.convert(dict(row), BatchRow) for row in rows]


def started_of_page(sql: Sql, page_id: str, limit: int) -> Sequence[BatchRow]:
    """A page's batches that are started, in the order in which they were planned."""
    condition = "page_id = :page_id AND status = 'STARTED' AND due_time = 0 ORDER BY position LIMIT :limit"
    return _rows(sql, condition, {"page_id": page_id, "limit": limit})


def open_of_message(sql: Sql, message_id: str, *, after: int = 0, limit: int) -> Sequence[BatchRow]:
    """A message's batches that are pending or started, by number, after the last one seen."""
    condition = (
        "message_id = :message_id AND status IN ('PENDING', 'STARTED') AND number > :after ORDER BY number LIMIT :limit"
    )
    return _rows(sql, condition, {"message_id": message_id, "after": after, "limit": limit})


def count_open(sql: Sql, message_id: str) -> int:
    """How many batches of a message are pending or started."""
    row = sql.row(
        "SELECT COUNT(*) AS batches FROM batches WHERE message_id = :message_id AND status IN ('PENDING', 'STARTED')",
        {"message_id": message_id},
    )
    return row["batches"] if row else 0


def pages_with_work(sql: Sql) -> Sequence[str]:
    """Pages that have batches to claim now, or started ones; those on hold only for what is started."""
    found = sql.rows(
        """
        SELECT page_id FROM pages
        WHERE (SELECT 1 FROM batches WHERE batches.page_id = pages.page_id AND status IN ('PENDING', 'STARTED')
               AND due_time <= :now AND (pages.is_held = 0 OR status = 'STARTED') LIMIT 1) IS NOT NULL
        """,  # one look-up each: what is scheduled or paused may be very much, and stay for long
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
