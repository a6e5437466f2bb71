"""What an export holds: a row an attempt, or a row a recipient, each with its columns."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from projections import delivery_rows, recipient_rows
from projections.delivery_rows import DeliveryFilter, DeliveryRow
from projections.recipient_rows import RecipientRow
from projections.sql import Micros, Sql, from_micros
from server.log.keyed_ids import KeyedIds

R = TypeVar("R", DeliveryRow, RecipientRow)
Values = tuple[Any, ...]  # texts, numbers, or None where there is none


class RowKind(NamedTuple, Generic[R]):
    """One kind of rows: how they are read page by page, and what each shows."""

    columns: Sequence[str]
    start: Any
    read: Callable[[Sql, DeliveryFilter, Any, int], Sequence[R]]
    cursor_of: Callable[[R], Any]
    values: Callable[[R, KeyedIds], Values]


def _attempt(row: DeliveryRow, ids: KeyedIds) -> Values:
    return (
        *(row.message_id, row.recipient_id, row.recipient_name, row.status, row.attempt_number),
        *_error(row),
        _time(row.update_time),
        ids.delivery(row.message_id, row.batch_number, row.position),
        row.batch_number,
        row.provider_message_id or None,
        *(_time(row.create_time), _time(row.sent_time), _time(row.failed_time)),
    )


def _recipient(row: RecipientRow, _ids: KeyedIds) -> Values:
    return (
        *(row.message_id, row.recipient_id, row.recipient_name, row.state, row.attempts),
        *_error(row),
        _time(row.last_attempt_time),
    )


def _error(row: DeliveryRow | RecipientRow) -> Values:
    if row.error_type is None:
        return None, None, None, None
    return row.error_type, row.error_code, row.error_subcode, row.error_message


def _time(time: Micros | None) -> str | None:
    return None if time is None else from_micros(time).isoformat().replace("+00:00", "Z")


_COLUMNS = (
    *("message_id", "recipient_id", "recipient_name", "status", "attempt_number"),
    *("error_type", "error_code", "error_subcode", "error_message", "update_time"),
)
ATTEMPTS: RowKind[DeliveryRow] = RowKind(
    columns=(
        *_COLUMNS,
        *("delivery_id", "batch_number", "provider_message_id", "create_time", "sent_time", "failed_time"),
    ),
    start=(0, 0),
    read=lambda sql, wanted, after, limit: delivery_rows.attempts(sql, wanted, after=after, limit=limit),
    cursor_of=lambda row: (row.batch_number, row.position),
    values=_attempt,
)
RECIPIENTS: RowKind[RecipientRow] = RowKind(
    columns=_COLUMNS,
    start="",
    read=lambda sql, wanted, after, limit: recipient_rows.recipients(sql, wanted, after=after, limit=limit),
    cursor_of=lambda row: row.recipient_id,
    values=_recipient,
)
