"""Queries of the deliveries table.

The cost of a list depends on the rows it returns, not on the number of the message's attempts or on the filter.
"""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from domain.delivery import DeliveryStatus
from projections.sql import BulkRows, Micros, Sql, in_condition

DeliveryPlace = tuple[int, int]  # batch number, position


class DeliveryRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the deliveries table."""

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
    delivered_time: Micros | None
    read_time: Micros | None


class DeliveryFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which attempts a list returns; an empty field does not filter."""

    message_id: str
    recipient_id: str = ""
    statuses: tuple[str, ...] = ()
    error_types: tuple[str, ...] = ()


def list_attempts(sql: Sql, wanted: DeliveryFilter, *, after: tuple[int, int], limit: int) -> Sequence[DeliveryRow]:
    """Return a message's attempts, ordered by batch and position, after the batch and position `after`."""
    statement, parameters = _statement(wanted)
    start = {"message_id": wanted.message_id, "batch_number": after[0], "position": after[1], "limit": limit}
    return [msgspec.convert(dict(row), DeliveryRow) for row in sql.rows(statement, {**parameters, **start})]


def recipient_ids_at(sql: Sql, message_id: str, places: Collection[DeliveryPlace]) -> frozenset[str]:
    """Return the ids of the recipients of some deliveries of a message."""
    rows = sql.rows(
        """
        SELECT deliveries.recipient_id FROM given CROSS JOIN deliveries
        WHERE deliveries.message_id = :message_id AND deliveries.batch_number = given.batch_number
          AND deliveries.position = given.position
        """,
        {"message_id": message_id},
        BulkRows((("batch_number", int), ("position", int)), sorted(places)),
    )
    return frozenset(row["recipient_id"] for row in rows)


Statement = tuple[str, Mapping[str, object]]

_OF_MESSAGE = """
    SELECT * FROM deliveries
    WHERE message_id = :message_id AND (batch_number, position) > (:batch_number, :position)
"""
_IN_ORDER = "ORDER BY batch_number, position LIMIT :limit"


def _statement(wanted: DeliveryFilter) -> Statement:
    if wanted.recipient_id:
        return _of_recipient(wanted)
    if wanted.error_types and set(wanted.statuses) != {DeliveryStatus.UNCONFIRMED}:
        return _of_error_types(wanted)
    if wanted.statuses:
        return _of_statuses(wanted)
    return f"{_OF_MESSAGE} {_IN_ORDER}", {}


def _of_recipient(wanted: DeliveryFilter) -> Statement:
    """Return the statement for the attempts of one recipient; the + makes SQLite use the recipient's index."""
    in_statuses, statuses = in_condition("status", "status", wanted.statuses)
    in_types, types = in_condition("error_type", "error_type", wanted.error_types)
    statement = f"""
        SELECT * FROM deliveries
        WHERE message_id = :message_id AND recipient_id = :recipient_id AND {in_statuses} AND {in_types}
          AND (+batch_number, position) > (:batch_number, :position)
        ORDER BY +batch_number, position LIMIT :limit
    """  # noqa: S608 - here and below: constants of this module
    return statement, {**statuses, **types, "recipient_id": wanted.recipient_id}


def _of_error_types(wanted: DeliveryFilter) -> Statement:
    """Return the statement for some error types: an index is ordered by type and position, so the types are merged."""
    in_statuses, statuses = in_condition("status", "status", wanted.statuses)
    _, types = in_condition("error_type", "error_type", wanted.error_types)
    of_each = [f"{_OF_MESSAGE} AND error_type = :{name} AND {in_statuses}" for name in types]
    return f"{' UNION ALL '.join(of_each)} {_IN_ORDER}", {**statuses, **types}


def _of_statuses(wanted: DeliveryFilter) -> Statement:
    """Return the statement for some statuses: batches whose counts show no such delivery are skipped."""
    in_statuses, statuses = in_condition("deliveries.status", "status", wanted.statuses)
    in_types, types = in_condition("deliveries.error_type", "error_type", wanted.error_types)
    has_some = " OR ".join(f"batches.{DeliveryStatus(status).value.lower()} > 0" for status in wanted.statuses)
    # Without the + SQLite's planner would scan, for each batch, all following batches too.
    statement = f"""
        SELECT deliveries.* FROM batches CROSS JOIN deliveries
        WHERE batches.message_id = :message_id AND batches.number >= :batch_number AND ({has_some})
          AND deliveries.message_id = :message_id AND deliveries.batch_number = +batches.number AND {in_statuses}
          AND {in_types} AND (batches.number > :batch_number OR deliveries.position > :position)
        ORDER BY batches.number, deliveries.position LIMIT :limit
    """  # noqa: S608
    return statement, {**statuses, **types}
