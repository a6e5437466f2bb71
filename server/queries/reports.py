"""What a delivery report asks of the read models, in one snapshot."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from projections import delivery_reports
from projections.delivery_reports import ErrorCountRow, OutcomeCounts, ReportFilter
from projections.message_rows import MessageRow
from projections.sql import Micros, Sql
from server.commands.lookup import check_page_is_known, find_message
from server.eventstore.outcome_backfill import counted_since

_NONE = OutcomeCounts(sent=0, failed=0, unconfirmed=0)


class MessageReport(msgspec.Struct, frozen=True):
    """A message, and how its first attempts went."""

    message: MessageRow
    first_attempts: OutcomeCounts


class DeliveryReport(msgspec.Struct, frozen=True, kw_only=True):
    """A report with one page of its messages; all else is of the whole. `counted_since`: 0 when nothing is missing."""

    messages: Sequence[MessageReport]
    attempts: Mapping[int, OutcomeCounts]
    hours: Mapping[Micros, OutcomeCounts]
    errors: Sequence[ErrorCountRow]
    counted_since: Micros

    @property
    def first_attempts(self) -> OutcomeCounts:
        """How they went, over all messages."""
        return self.attempts.get(1, _NONE)


def delivery_report(
    wanted: ReportFilter, *, before: tuple[Micros, str] | None, limit: int
) -> Callable[[Sql], DeliveryReport]:
    """A report with its messages by age, after the last one seen; raises MessageNotFound, PageNotRegistered."""

    def query(sql: Sql) -> DeliveryReport:
        rows = _messages(sql, wanted, before, limit)
        firsts = delivery_reports.first_attempt_counts(sql, wanted, [row.message_id for row in rows])
        return DeliveryReport(
            messages=[MessageReport(row, firsts.get(row.message_id, _NONE)) for row in rows],
            attempts=delivery_reports.counts_by_attempt(sql, wanted),
            hours=delivery_reports.counts_by_hour(sql, wanted),
            errors=delivery_reports.most_common_errors(sql, wanted),
            counted_since=_counted_since(sql, wanted, rows),
        )

    return query


def _messages(sql: Sql, wanted: ReportFilter, before: tuple[Micros, str] | None, limit: int) -> Sequence[MessageRow]:
    if wanted.message_id:
        return [find_message(sql, wanted.owner, wanted.message_id)]
    check_page_is_known(sql, wanted.owner, wanted.page_id)
    return delivery_reports.list_messages(sql, wanted, before=before, limit=limit)


def _counted_since(sql: Sql, wanted: ReportFilter, rows: Sequence[MessageRow]) -> Micros:
    """When counting began; 0 when it was before all that the report is about."""
    since = counted_since(sql)
    begins = rows[0].create_time if wanted.message_id else wanted.start
    return since if since > max(begins, wanted.start) else 0
