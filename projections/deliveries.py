"""Deliveries: a row for every attempt."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from domain.batch_events import (
    BatchCancelled,
    BatchCreated,
    BatchEvent,
    DeliveriesDispatched,
    DeliveriesReturned,
    LateOutcomesRecorded,
    OutcomesRecorded,
    RecordedOutcome,
)
from domain.delivery import status_of
from domain.message_events import MessageAbandoned
from domain.outcome import Sent
from projections.recorded import Recorded
from projections.sql import Micros, Sql, micros, one_of

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
        failed_time BIGINT
    )
    """,
    "CREATE INDEX IF NOT EXISTS deliveries_of_recipient ON deliveries (message_id, recipient_id, attempt_number)",
    # The key comes last: of indexes that look alike while a table is empty, PostgreSQL plans with the newest, and keeps
    # to that plan; by the other one each row would cost a walk through all of the message.
    "CREATE UNIQUE INDEX IF NOT EXISTS deliveries_key ON deliveries (message_id, batch_number, position)",
)


class DeliveryRow(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt as its readers see it."""

    message_id: str
    batch_number: int
    position: int
    recipient_id: str
    recipient_name: str
    attempt_number: int
    status: str
    provider_message_id: str
    error_code: int
    error_subcode: int
    error_message: str
    error_type: str | None
    create_time: Micros
    update_time: Micros
    sent_time: Micros | None
    failed_time: Micros | None


class DeliveryFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which attempts a list shows; what is empty does not filter."""

    message_id: str
    recipient_id: str = ""
    statuses: tuple[str, ...] = ()
    error_types: tuple[str, ...] = ()


def apply(sql: Sql, recorded: Recorded) -> None:
    """What events change of attempts."""
    event = recorded.event
    match event:
        case BatchCreated():
            _create(sql, event)
        case DeliveriesDispatched():
            _dispatch(sql, event)
        case OutcomesRecorded() | LateOutcomesRecorded():
            _record(sql, event, event.outcomes)
        case DeliveriesReturned():
            _move(sql, event, event.positions, event.to.value)
        case BatchCancelled():
            _cancel(sql, event)
        case MessageAbandoned():
            sql.execute("DELETE FROM deliveries WHERE message_id = :message_id", {"message_id": event.message_id})


def _create(sql: Sql, event: BatchCreated) -> None:
    time = micros(event.time)
    sql.executemany(
        """
        INSERT INTO deliveries (message_id, batch_number, position, recipient_id, recipient_name, attempt_number,
                                status, create_time, update_time)
        VALUES (:message_id, :batch_number, :position, :recipient_id, :name, :attempt_number, 'PENDING', :time, :time)
        """,
        (
            {
                "message_id": event.message_id,
                "batch_number": event.batch_number,
                "position": position,
                "recipient_id": recipient.id,
                "name": recipient.name,
                "attempt_number": recipient.attempt_number,
                "time": time,
            }
            for position, recipient in enumerate(event.recipients)
        ),
    )


def _keys(event: BatchEvent, positions: Iterable[int], **values: Any) -> Iterable[Mapping[str, Any]]:
    named = {"message_id": event.message_id, "batch_number": event.batch_number, **values}
    return ({**named, "position": position} for position in positions)


_KEY = "message_id = :message_id AND batch_number = :batch_number AND position = :position"


def _dispatch(sql: Sql, event: DeliveriesDispatched) -> None:
    sql.executemany(
        f"UPDATE deliveries SET status = 'SENDING', token_generation = :generation, update_time = :time WHERE {_KEY}",  # noqa: S608
        _keys(event, event.positions, generation=event.token_generation, time=micros(event.time)),
    )


def _move(sql: Sql, event: BatchEvent, positions: Sequence[int], status: str) -> None:
    sql.executemany(
        f"UPDATE deliveries SET status = :status, update_time = :time WHERE {_KEY}",  # noqa: S608
        _keys(event, positions, status=status, time=micros(event.time)),
    )


def _cancel(sql: Sql, event: BatchCancelled) -> None:
    sql.execute(
        """
        UPDATE deliveries SET status = 'CANCELLED', update_time = :time
        WHERE message_id = :message_id AND batch_number = :batch_number AND status = 'PENDING'
        """,
        {"message_id": event.message_id, "batch_number": event.batch_number, "time": micros(event.time)},
    )


_RECORD = f"""
    UPDATE deliveries SET status = :status, provider_message_id = :provider_message_id, error_code = :code,
           error_subcode = :subcode, error_message = :message, error_type = :error_type, retry = :retry,
           update_time = :time, sent_time = :sent_time, failed_time = :failed_time
    WHERE {_KEY}
"""  # noqa: S608


def _record(sql: Sql, event: BatchEvent, outcomes: Sequence[RecordedOutcome]) -> None:
    named = {"message_id": event.message_id, "batch_number": event.batch_number}
    sql.executemany(_RECORD, ({**named, **_outcome_columns(known)} for known in outcomes))


def _outcome_columns(known: RecordedOutcome) -> dict[str, Any]:
    return {
        "position": known.position,
        "status": status_of(known.outcome).value,
        "time": micros(known.time),
        **(_sent(known.outcome, known.time) if isinstance(known.outcome, Sent) else _failed(known)),
    }


def _sent(outcome: Sent, time: datetime) -> dict[str, Any]:
    no_error = {"code": 0, "subcode": 0, "message": "", "error_type": None, "retry": None, "failed_time": None}
    return {**no_error, "provider_message_id": outcome.provider_message_id, "sent_time": micros(time)}


def _failed(known: RecordedOutcome) -> dict[str, Any]:
    assert not isinstance(known.outcome, Sent)  # noqa: S101 - told apart by the caller
    fault = known.outcome.fault
    return {
        "code": fault.code,
        "subcode": fault.subcode,
        "message": fault.message,
        "error_type": fault.type.value,
        "retry": fault.retry.value,
        "provider_message_id": "",
        "sent_time": None,
        "failed_time": micros(known.time),
    }


def attempts(sql: Sql, wanted: DeliveryFilter, *, after: tuple[int, int], limit: int) -> Sequence[DeliveryRow]:
    """A message's attempts by batch and position, after the last one seen."""
    in_statuses, statuses = one_of("status", "status", wanted.statuses)
    in_types, types = one_of("error_type", "error_type", wanted.error_types)
    batch = "+batch_number" if wanted.recipient_id else "batch_number"  # + keeps the planner to the recipient's index
    rows = sql.rows(
        f"""
        SELECT * FROM deliveries
        WHERE message_id = :message_id AND {in_statuses} AND {in_types}
          {"AND recipient_id = :recipient_id" if wanted.recipient_id else ""}
          AND ({batch}, position) > (:batch_number, :position)
        ORDER BY {batch}, position LIMIT :limit
        """,  # noqa: S608 - conditions of our own words
        {
            **statuses,
            **types,
            "message_id": wanted.message_id,
            "recipient_id": wanted.recipient_id,
            "batch_number": after[0],
            "position": after[1],
            "limit": limit,
        },
    )
    return [msgspec.convert(dict(row), DeliveryRow) for row in rows]
