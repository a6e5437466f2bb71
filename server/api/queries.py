"""What the lists ask of the read models, each in one snapshot; none shows what is not the caller's."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from domain.retry import RetryType
from projections import batches, deliveries
from projections.batches import BatchRow
from projections.deliveries import DeliveryFilter, DeliveryRow
from projections.message_rows import MessageRow
from projections.sql import Micros, Sql
from server.commands.lookup import find_message
from server.delivery.ownership import leases


class BatchFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which batches a list shows; no statuses = all."""

    owner: str
    message_id: str
    statuses: tuple[str, ...] = ()


class LeasedBatch(msgspec.Struct, frozen=True):
    """A batch, and until when its worker need not give another sign of life; None unless it is started."""

    row: BatchRow
    lease_expire_time: Micros | None


def batches_of_message(wanted: BatchFilter, *, after: int, limit: int) -> Callable[[Sql], Sequence[LeasedBatch]]:
    """A message's batches by number; raises MessageNotFound."""

    def query(sql: Sql) -> Sequence[LeasedBatch]:
        find_message(sql, wanted.owner, wanted.message_id)
        rows = batches.of_message(sql, wanted.message_id, statuses=wanted.statuses, after=after, limit=limit)
        alive = leases(sql)
        return [LeasedBatch(row, _lease(row, alive)) for row in rows]

    return query


def _lease(row: BatchRow, alive: Mapping[str, Micros]) -> Micros | None:
    """A claim's lease is renewed by its worker's."""
    return None if row.lease_expire_time is None else max(row.lease_expire_time, alive.get(row.worker, 0))


def attempts_of_message(
    owner: str, wanted: DeliveryFilter, *, after: tuple[int, int], limit: int
) -> Callable[[Sql], Sequence[DeliveryRow]]:
    """A message's attempts by batch and position; raises MessageNotFound."""

    def query(sql: Sql) -> Sequence[DeliveryRow]:
        find_message(sql, owner, wanted.message_id)
        return deliveries.attempts(sql, wanted, after=after, limit=limit)

    return query


def is_for_timer(message: MessageRow) -> bool:
    """The timer takes its failures, one run after another, until its rounds are used up."""
    has_rounds_left = message.retry_count < message.retry_policy.max_retry_attempts
    return message.retry_policy.type is RetryType.CRON and has_rounds_left and not message.cancelled
