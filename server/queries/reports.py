"""GetDeliveryReport: the numbers of a delivery report, read in one snapshot."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from projections import delivery_reports
from projections.delivery_reports import ErrorCountRow, OutcomeCounts, ReportFilter
from projections.message_rows import MessageRow
from projections.sql import Micros, Sql
from server.commands.lookup import require_known_page, require_message
from server.eventstore.outcome_backfill import counted_since

_NONE = OutcomeCounts(sent=0, failed=0, unconfirmed=0)


class MessageReport(msgspec.Struct, frozen=True):
    """A message, and the outcomes of its first attempts."""

    message: MessageRow
    first_attempts: OutcomeCounts


class DeliveryReport(msgspec.Struct, frozen=True, kw_only=True):
    """A report with one page of its messages; all other numbers are of the whole report.

    `counted_since` is the time from which outcomes were counted, 0 if none is missing.
    """

    messages: Sequence[MessageReport]
    attempts: Mapping[int, OutcomeCounts]
    hours: Mapping[Micros, OutcomeCounts]
    errors: Sequence[ErrorCountRow]
    counted_since: Micros

    @property
    def first_attempts(self) -> OutcomeCounts:
        """Return the outcomes of first attempts over all messages."""
        return self.attempts.get(1, _NONE)


def delivery_report(
    wanted: ReportFilter, *, before: tuple[Micros, str] | None, limit: int
) -> Callable[[Sql], DeliveryReport]:
    """Return a query for a report with its messages, newest first; raises MessageNotFound, PageNotRegistered."""

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
        return [require_message(sql, wanted.owner, wanted.message_id)]
    require_known_page(sql, wanted.owner, wanted.page_id)
    return delivery_reports.list_messages(sql, wanted, before=before, limit=limit)


def _counted_since(sql: Sql, wanted: ReportFilter, rows: Sequence[MessageRow]) -> Micros:
    """Return when counting started, or 0 if it started before the time of the report."""
    since = counted_since(sql)
    begins = rows[0].create_time if wanted.message_id else wanted.start
    return since if since > max(begins, wanted.start) else 0
