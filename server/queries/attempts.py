"""ListDeliveries: every attempt, and which of them an automatic round would follow."""

from collections.abc import Callable, Sequence

import msgspec

from domain.delivery import DeliveryStatus
from domain.retry import DEFAULT_SELECTION, RetryType, skip_reason
from projections import delivery_rows, retry_groups
from projections.delivery_rows import DeliveryFilter, DeliveryRow
from projections.message_rows import MessageRow
from projections.sql import Sql
from server.commands.lookup import find_message
from server.commands.resend_planning import judged_by

_FAILED = (DeliveryStatus.FAILED, DeliveryStatus.UNCONFIRMED)


class AttemptList(msgspec.Struct, frozen=True):
    """One page of attempts; `retryable` are recipients whom an automatic round takes, with the last attempt of each."""

    message: MessageRow
    rows: Sequence[DeliveryRow]
    retryable: frozenset[tuple[str, int]]


def list_attempts(
    owner: str, wanted: DeliveryFilter, *, after: tuple[int, int], limit: int
) -> Callable[[Sql], AttemptList]:
    """The query for a message's attempts by batch and position, after the last one seen; raises MessageNotFound."""

    def query(sql: Sql) -> AttemptList:
        message = find_message(sql, owner, wanted.message_id)
        rows = delivery_rows.list_attempts(sql, wanted, after=after, limit=limit)
        return AttemptList(message, rows, _retryable(sql, message, rows))

    return query


def _retryable(sql: Sql, message: MessageRow, rows: Sequence[DeliveryRow]) -> frozenset[tuple[str, int]]:
    """Nobody is looked for where no automatic round can come."""
    failed = {row.recipient_id for row in rows if row.status in _FAILED}
    if message.retry_policy.type is RetryType.MANUAL or not failed:
        return frozenset()
    within_limit = retry_groups.attempted_since(sql, message.message_id, message.automatic_from_batch, failed)
    found = retry_groups.find_named(sql, judged_by(sql, message), sorted(within_limit))
    return frozenset(
        (row.recipient_id, row.attempts)
        for row in found
        if row.retry_state.status in _FAILED
        and skip_reason(row.retry_state, DEFAULT_SELECTION, message.on_unconfirmed) is None
    )
