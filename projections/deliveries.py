"""The deliveries table: a row for each attempt, and how events change it."""

from collections.abc import Sequence
from typing import Any

from domain.batch_events import (
    BatchCancelled,
    BatchEvent,
    DeliveriesDispatched,
    DeliveriesReturned,
    LateOutcomesRecorded,
    OutcomesRecorded,
    RecordedOutcome,
)
from domain.delivery import status_of
from domain.event import RecordedEvent
from domain.message_events import MessageAbandoned
from domain.outcome import Failed, Sent, Unconfirmed
from domain.receipts import Receipt, ReceiptKind, ReceiptsRecorded
from projections.new_batches import NewBatches
from projections.sql import BulkRows, Sql, micros

TABLES = (
    """
    CREATE TABLE IF NOT EXISTS deliveries (
        message_id TEXT NOT NULL,
        batch_number INTEGER NOT NULL,
        position INTEGER NOT NULL,
        recipient_id TEXT NOT NULL,
        recipient_name TEXT NOT NULL,
        attempt_number INTEGER NOT NULL,
        status TEXT NOT NULL,
        token_generation INTEGER NOT NULL DEFAULT 0,
        provider_message_id TEXT NOT NULL DEFAULT '',
        error_code INTEGER NOT NULL DEFAULT 0,
        error_subcode INTEGER NOT NULL DEFAULT 0,
        error_message TEXT NOT NULL DEFAULT '',
        error_type TEXT,
        retry TEXT,
        create_time BIGINT NOT NULL,
        update_time BIGINT NOT NULL,
        sent_time BIGINT,
        failed_time BIGINT,
        has_receipt INTEGER NOT NULL DEFAULT 0,
        delivered_time BIGINT,
        read_time BIGINT
    )
    """,
    "CREATE INDEX IF NOT EXISTS deliveries_of_recipient ON deliveries (message_id, recipient_id, attempt_number)",
    """
    CREATE INDEX IF NOT EXISTS deliveries_by_error ON deliveries (message_id, error_type, batch_number, position)
    WHERE error_type IS NOT NULL
    """,
    # The key must be created last. While the table is empty, all indexes look equal to PostgreSQL's planner, which then
    # takes the newest one and keeps that plan. With another index each row would cost a scan of the whole message.
    "CREATE UNIQUE INDEX IF NOT EXISTS deliveries_key ON deliveries (message_id, batch_number, position)",
)


def apply(sql: Sql, recorded: RecordedEvent) -> None:
    """Apply an event to existing attempts; projections.recipients calls it, and counts the changes."""
    event = recorded.event
    match event:
        case DeliveriesDispatched():
            _move(sql, event, event.positions, "SENDING", event.token_generation)
        case OutcomesRecorded() | LateOutcomesRecorded():
            _record(sql, event, event.outcomes)
        case DeliveriesReturned():
            _move(sql, event, event.positions, event.to.value, None)
        case BatchCancelled():
            _cancel(sql, event)
        case ReceiptsRecorded():
            _apply_receipts(sql, event)
        case MessageAbandoned():
            sql.execute("DELETE FROM deliveries WHERE message_id = :message_id", {"message_id": event.message_id})


def insert(sql: Sql, new: NewBatches) -> None:
    """Insert the attempts of new batches."""
    sql.execute(
        """
        INSERT INTO deliveries (message_id, batch_number, position, recipient_id, recipient_name, attempt_number,
                                status, create_time, update_time)
        SELECT :message_id, batch_number, position, recipient_id, recipient_name, attempt_number,
               'PENDING', :time, :time FROM given
        """,
        new.shared_parameters,
        new.attempts,
    )


_WHERE_GIVEN = """
    FROM given WHERE deliveries.message_id = :message_id AND deliveries.batch_number = :batch_number
                 AND deliveries.position = given.position
"""
# A receipt overrides outcomes (protocol rule 4): a delivery with a receipt stays SENT after any outcome.
_WITHOUT_RECEIPT = f"{_WHERE_GIVEN} AND deliveries.has_receipt = 0"


def _move(sql: Sql, event: BatchEvent, positions: Sequence[int], status: str, token_generation: int | None) -> None:
    sql.execute(
        f"""
        UPDATE deliveries SET status = :status, update_time = :time,
                              token_generation = COALESCE(:token_generation, token_generation)
        {_WITHOUT_RECEIPT}
        """,  # noqa: S608 - here and below: constants of this module
        {
            "message_id": event.message_id,
            "batch_number": event.batch_number,
            "status": status,
            "token_generation": token_generation,
            "time": micros(event.time),
        },
        BulkRows((("position", int),), [(position,) for position in positions]),
    )


def _cancel(sql: Sql, event: BatchCancelled) -> None:
    sql.execute(
        """
        UPDATE deliveries SET status = 'CANCELLED', update_time = :time
        WHERE message_id = :message_id AND batch_number = :batch_number AND status = 'PENDING'
        """,
        {"message_id": event.message_id, "batch_number": event.batch_number, "time": micros(event.time)},
    )


_SENT = (("position", int), ("provider_message_id", str), ("time", int))
_FAILED = (
    ("position", int),
    ("status", str),
    ("code", int),
    ("subcode", int),
    ("message", str),
    ("error_type", str),
    ("retry", str),
    ("time", int),
)


def _record(sql: Sql, event: BatchEvent, outcomes: Sequence[RecordedOutcome]) -> None:
    batch = {"message_id": event.message_id, "batch_number": event.batch_number}
    if sent := [_sent_row(known) for known in outcomes if isinstance(known.outcome, Sent)]:
        sql.execute(
            f"""
            UPDATE deliveries SET status = 'SENT', provider_message_id = given.provider_message_id,
                   error_code = 0, error_subcode = 0, error_message = '', error_type = NULL, retry = NULL,
                   update_time = given.time, sent_time = given.time, failed_time = NULL
            {_WITHOUT_RECEIPT}
            """,  # noqa: S608
            batch,
            BulkRows(_SENT, sent),
        )
    if failed := [_failed_row(known, known.outcome) for known in outcomes if not isinstance(known.outcome, Sent)]:
        sql.execute(
            f"""
            UPDATE deliveries SET status = given.status, provider_message_id = '', error_code = given.code,
                   error_subcode = given.subcode, error_message = given.message, error_type = given.error_type,
                   retry = given.retry, update_time = given.time, sent_time = NULL, failed_time = given.time
            {_WITHOUT_RECEIPT}
            """,  # noqa: S608
            batch,
            BulkRows(_FAILED, failed),
        )


def _sent_row(known: RecordedOutcome) -> tuple[Any, ...]:
    assert isinstance(known.outcome, Sent)  # noqa: S101 - the caller checks it
    return known.position, known.outcome.provider_message_id, micros(known.time)


def _failed_row(known: RecordedOutcome, outcome: Failed | Unconfirmed) -> tuple[Any, ...]:
    fault, status = outcome.fault, status_of(outcome).value
    return (
        *(known.position, status, fault.code, fault.subcode, fault.message),
        *(fault.type.value, fault.retry.value, micros(known.time)),
    )


def _apply_receipts(sql: Sql, event: ReceiptsRecorded) -> None:
    batch = {"message_id": event.message_id, "batch_number": event.batch_number}
    for kind, statement in _RECEIPT_STATEMENTS.items():
        if rows := [_receipt_row(receipt) for receipt in event.receipts if receipt.kind is kind]:
            sql.execute(statement, {**batch, "update_time": micros(event.time)}, BulkRows(_SENT, rows))


_RECEIPT_STATEMENTS = {
    ReceiptKind.ECHO: f"""
        UPDATE deliveries SET status = 'SENT', has_receipt = 1, provider_message_id = given.provider_message_id,
               error_code = 0, error_subcode = 0, error_message = '', error_type = NULL, retry = NULL,
               update_time = :update_time, sent_time = given.time, failed_time = NULL
        {_WHERE_GIVEN}
    """,  # noqa: S608
    ReceiptKind.DELIVERED: f"UPDATE deliveries SET delivered_time = given.time {_WHERE_GIVEN}",  # noqa: S608
    ReceiptKind.READ: f"UPDATE deliveries SET read_time = given.time {_WHERE_GIVEN}",  # noqa: S608
}


def _receipt_row(receipt: Receipt) -> tuple[Any, ...]:
    return receipt.position, receipt.provider_message_id, micros(receipt.time)
