"""What the lists ask of the read models, each in one snapshot; none shows what is not the caller's."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from domain.errors import MessageNotFound
from projections import batches, failures, message_rows
from projections.batches import BatchRow
from projections.failures import ErrorTypeRow
from projections.message_rows import MessageFilter, MessageRow
from projections.sql import Micros, Sql
from server.cluster.page_leases import leases
from server.commands.lookup import find_message


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
        rows = batches.list_of_message(sql, wanted.message_id, statuses=wanted.statuses, after=after, limit=limit)
        alive = leases(sql)
        return [LeasedBatch(row, _lease(row, alive)) for row in rows]

    return query


def _lease(row: BatchRow, alive: Mapping[str, Micros]) -> Micros | None:
    """A claim's lease is renewed by its worker's."""
    return None if row.lease_expire_time is None else max(row.lease_expire_time, alive.get(row.worker, 0))


class SummaryFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which messages a summary of failures shows; what is empty does not filter."""

    owner: str
    message_ids: tuple[str, ...] = ()
    page_id: str = ""


class FailureSummary(msgspec.Struct, frozen=True):
    """A message with failed or unconfirmed recipients, and these by error type."""

    message: MessageRow
    error_types: Sequence[ErrorTypeRow]


def _check_are_there(sql: Sql, owner: str, message_ids: Sequence[str]) -> None:
    mine = MessageFilter(owner=owner)
    found = message_rows.list_newest(sql, mine, among=message_ids, before=None, limit=len(message_ids))
    for missing in set(message_ids).difference(row.message_id for row in found):
        raise MessageNotFound(missing)


def failures_of_messages(
    wanted: SummaryFilter, *, before: tuple[Micros, str] | None, limit: int
) -> Callable[[Sql], Sequence[FailureSummary]]:
    """Messages with failures, newest first, after the last one seen; raises MessageNotFound for a named one."""

    def query(sql: Sql) -> Sequence[FailureSummary]:
        _check_are_there(sql, wanted.owner, wanted.message_ids)
        failed = MessageFilter(owner=wanted.owner, page_id=wanted.page_id, with_failures=True)
        rows = message_rows.list_newest(sql, failed, among=wanted.message_ids, before=before, limit=limit)
        found: dict[str, list[ErrorTypeRow]] = {row.message_id: [] for row in rows}
        for error_type in failures.summarize(sql, list(found)):
            found[error_type.message_id].append(error_type)
        return [FailureSummary(row, found[row.message_id]) for row in rows]

    return query
