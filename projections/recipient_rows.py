"""Queries of the recipients table."""

from collections.abc import Mapping, Sequence

import msgspec

from projections.delivery_rows import DeliveryFilter
from projections.sql import BulkRows, Micros, Sql, in_condition

_WITH_ERROR = frozenset(("FAILED", "UNCONFIRMED"))  # states


class RecipientRow(msgspec.Struct, frozen=True, kw_only=True):
    """A recipient with the result of its deciding attempt."""

    message_id: str
    recipient_id: str
    recipient_name: str
    state: str
    attempts: int
    error_code: int
    error_subcode: int
    error_message: str
    error_type: str | None
    last_attempt_time: Micros
    origin_batch: int
    origin_position: int


def list_recipients(sql: Sql, wanted: DeliveryFilter, *, after: str, limit: int) -> Sequence[RecipientRow]:
    """Return a message's recipients, ordered by id, after the id `after`.

    The filter applies to the deciding attempt of each recipient.
    """
    in_states, states = in_condition("state", "state", wanted.statuses)
    in_types, types = in_condition("error_type", "error_type", wanted.error_types)
    rows = sql.rows(
        f"""
        SELECT * FROM recipients
        WHERE message_id = :message_id AND recipient_id > :after AND {in_states} AND {in_types}
          {"AND recipient_id = :recipient_id" if wanted.recipient_id else ""}
          {"AND state IN ('FAILED', 'UNCONFIRMED')" if _has_error(wanted) else ""}
        ORDER BY recipient_id LIMIT :limit
        """,  # noqa: S608 - constant conditions
        {
            **states,
            **types,
            "message_id": wanted.message_id,
            "recipient_id": wanted.recipient_id,
            "after": after,
            "limit": limit,
        },
    )
    return [msgspec.convert(dict(row), RecipientRow) for row in rows]


def _has_error(wanted: DeliveryFilter) -> bool:
    """Return whether only failed and unconfirmed recipients match, which have an index of their own."""
    return bool(wanted.error_types) or (bool(wanted.statuses) and _WITH_ERROR.issuperset(wanted.statuses))


def origins(sql: Sql, people: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], tuple[int, int]]:
    """Return the batch number and position of recipients in the first round, by message id and recipient id."""
    rows = sql.rows(
        """
        SELECT given.message_id, given.recipient_id, recipients.origin_batch, recipients.origin_position
        FROM given CROSS JOIN recipients
        WHERE recipients.message_id = given.message_id AND recipients.recipient_id = given.recipient_id
        """,
        given=BulkRows((("message_id", str), ("recipient_id", str)), people),
    )
    return {(row["message_id"], row["recipient_id"]): (row["origin_batch"], row["origin_position"]) for row in rows}
