"""ListBatches and SummarizeFailures. Each query runs in one snapshot, and returns only what its owner may see."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from domain.errors import MessageNotFound
from projections import batches, failures, message_rows
from projections.batches import BatchRow
from projections.failures import ErrorTypeRow
from projections.message_rows import MessageFilter, MessageRow
from projections.sql import Micros, Sql
from server.cluster.page_leases import leases
from server.commands.lookup import require_message


class BatchFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which batches to list; without statuses, all of the message."""

    owner: str
    message_id: str
    statuses: tuple[str, ...] = ()


class LeasedBatch(msgspec.Struct, frozen=True):
    """A batch, and when its lease expires; None unless it is started."""

    row: BatchRow
    lease_expire_time: Micros | None


def list_batches(wanted: BatchFilter, *, after: int, limit: int) -> Callable[[Sql], Sequence[LeasedBatch]]:
    """Return a query for a message's batches by number; raises MessageNotFound."""

    def query(sql: Sql) -> Sequence[LeasedBatch]:
        require_message(sql, wanted.owner, wanted.message_id)
        rows = batches.list_of_message(sql, wanted.message_id, statuses=wanted.statuses, after=after, limit=limit)
        worker_leases = leases(sql)
        return [LeasedBatch(row, _lease_expiry(row, worker_leases)) for row in rows]

    return query


def _lease_expiry(row: BatchRow, worker_leases: Mapping[str, Micros]) -> Micros | None:
    """Return when a batch's lease expires: its worker renews its own lease, and that of its batches with it."""
    return None if row.lease_expire_time is None else max(row.lease_expire_time, worker_leases.get(row.worker, 0))


class SummaryFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which messages to summarize; an empty field does not filter."""

    owner: str
    message_ids: tuple[str, ...] = ()
    page_id: str = ""


class FailureSummary(msgspec.Struct, frozen=True):
    """A message with failed or unconfirmed recipients, and their counts by error type."""

    message: MessageRow
    error_types: Sequence[ErrorTypeRow]


def _require_all(sql: Sql, owner: str, message_ids: Sequence[str]) -> None:
    owned = MessageFilter(owner=owner)
    found = message_rows.list_newest(sql, owned, among=message_ids, before=None, limit=len(message_ids))
    for missing in set(message_ids).difference(row.message_id for row in found):
        raise MessageNotFound(missing)


def summarize_failures(
    wanted: SummaryFilter, *, before: tuple[Micros, str] | None, limit: int
) -> Callable[[Sql], Sequence[FailureSummary]]:
    """Return a query for messages with failures, newest first; raises MessageNotFound for an unknown named message."""

    def query(sql: Sql) -> Sequence[FailureSummary]:
        _require_all(sql, wanted.owner, wanted.message_ids)
        failed = MessageFilter(owner=wanted.owner, page_id=wanted.page_id, with_failures=True)
        rows = message_rows.list_newest(sql, failed, among=wanted.message_ids, before=before, limit=limit)
        found: dict[str, list[ErrorTypeRow]] = {row.message_id: [] for row in rows}
        for error_type in failures.summarize(sql, list(found)):
            found[error_type.message_id].append(error_type)
        return [FailureSummary(row, found[row.message_id]) for row in rows]

    return query
