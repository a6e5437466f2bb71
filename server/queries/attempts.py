"""ListDeliveries: a message's attempts, and the recipients that an automatic round would take."""

from collections.abc import Callable, Sequence

import msgspec

from domain.delivery import DeliveryStatus
from domain.retry import DEFAULT_SELECTION, RetryType, skip_reason
from projections import delivery_rows, retry_groups
from projections.delivery_rows import DeliveryFilter, DeliveryRow
from projections.message_rows import MessageRow
from projections.sql import Sql
from server.commands.lookup import require_message
from server.commands.resend_planning import retry_context

_FAILED = (DeliveryStatus.FAILED, DeliveryStatus.UNCONFIRMED)


class AttemptList(msgspec.Struct, frozen=True):
    """One page of attempts. `retryable`: recipients that an automatic round takes, with their last attempt number."""

    message: MessageRow
    rows: Sequence[DeliveryRow]
    retryable: frozenset[tuple[str, int]]


def list_attempts(
    owner: str, wanted: DeliveryFilter, *, after: tuple[int, int], limit: int
) -> Callable[[Sql], AttemptList]:
    """Return a query for attempts by batch and position, `after` a place; raises MessageNotFound."""

    def query(sql: Sql) -> AttemptList:
        message = require_message(sql, owner, wanted.message_id)
        rows = delivery_rows.list_attempts(sql, wanted, after=after, limit=limit)
        return AttemptList(message, rows, _retryable(sql, message, rows))

    return query


def _retryable(sql: Sql, message: MessageRow, rows: Sequence[DeliveryRow]) -> frozenset[tuple[str, int]]:
    """Return the retryable recipients of some rows; none if the message gets no automatic rounds."""
    failed = {row.recipient_id for row in rows if row.status in _FAILED}
    if message.retry_policy.type is RetryType.MANUAL or not failed:
        return frozenset()
    within_limit = retry_groups.attempted_since(sql, message.message_id, message.automatic_from_batch, failed)
    found = retry_groups.find_named(sql, retry_context(sql, message), sorted(within_limit))
    return frozenset(
        (row.recipient_id, row.attempts)
        for row in found
        if row.retry_state.status in _FAILED
        and skip_reason(row.retry_state, DEFAULT_SELECTION, message.on_unconfirmed) is None
    )
