"""Attempts as their readers see them: the row, and the lists of them.

A list costs what it shows, however many attempts the message has and whatever the filter leaves out.
"""

from collections.abc import Mapping, Sequence

import msgspec

from domain.delivery import DeliveryStatus
from projections.sql import Micros, Sql, one_of


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
    delivered_time: Micros | None
    read_time: Micros | None


class DeliveryFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which attempts a list shows; what is empty does not filter."""

    message_id: str
    recipient_id: str = ""
    statuses: tuple[str, ...] = ()
    error_types: tuple[str, ...] = ()


def attempts(sql: Sql, wanted: DeliveryFilter, *, after: tuple[int, int], limit: int) -> Sequence[DeliveryRow]:
    """A message's attempts by batch and position, after the last one seen."""
    statement, parameters = _statement(wanted)
    place = {"message_id": wanted.message_id, "batch_number": after[0], "position": after[1], "limit": limit}
    return [msgspec.convert(dict(row), DeliveryRow) for row in sql.rows(statement, {**parameters, **place})]


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
    """A few attempts; + keeps the planner to the recipient's index."""
    in_statuses, statuses = one_of("status", "status", wanted.statuses)
    in_types, types = one_of("error_type", "error_type", wanted.error_types)
    statement = f"""
        SELECT * FROM deliveries
        WHERE message_id = :message_id AND recipient_id = :recipient_id AND {in_statuses} AND {in_types}
          AND (+batch_number, position) > (:batch_number, :position)
        ORDER BY +batch_number, position LIMIT :limit
    """  # noqa: S608 - here and below: our own words
    return statement, {**statuses, **types, "recipient_id": wanted.recipient_id}


def _of_error_types(wanted: DeliveryFilter) -> Statement:
    """The attempts with an error stand in an index by type and place: those of several types are merged."""
    in_statuses, statuses = one_of("status", "status", wanted.statuses)
    _, types = one_of("error_type", "error_type", wanted.error_types)
    of_each = [f"{_OF_MESSAGE} AND error_type = :{name} AND {in_statuses}" for name in types]
    return f"{' UNION ALL '.join(of_each)} {_IN_ORDER}", {**statuses, **types}


def _of_statuses(wanted: DeliveryFilter) -> Statement:
    """Batches know how many deliveries they have of each status: those that have none are passed over."""
    in_statuses, statuses = one_of("deliveries.status", "status", wanted.statuses)
    in_types, types = one_of("deliveries.error_type", "error_type", wanted.error_types)
    has_some = " OR ".join(f"batches.{DeliveryStatus(status).value.lower()} > 0" for status in wanted.statuses)
    # + keeps SQLite's planner from going on from each batch to all that follow.
    statement = f"""
        SELECT deliveries.* FROM batches CROSS JOIN deliveries
        WHERE batches.message_id = :message_id AND batches.number >= :batch_number AND ({has_some})
          AND deliveries.message_id = :message_id AND deliveries.batch_number = +batches.number AND {in_statuses}
          AND {in_types} AND (batches.number > :batch_number OR deliveries.position > :position)
        ORDER BY batches.number, deliveries.position LIMIT :limit
    """  # noqa: S608
    return statement, {**statuses, **types}
