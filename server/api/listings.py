"""The lists of the contract: where each begins, and what tells a row's place in it."""

from projections.delivery_rows import DeliveryRow
from projections.message_rows import MessageRow
from projections.pages import PageRow
from projections.recorded import Recorded
from projections.sql import Micros
from server.api.page_token import Listing, Name, Number
from server.api.queries import FailureSummary, LeasedBatch
from server.api.report_queries import MessageReport
from server.commands.failure_list import Failure
from server.commands.retry_list import RetryRound

MESSAGES: Listing[MessageRow, tuple[Micros, str] | None] = Listing(
    "ListMessages", tuple[Number, Name], start=None, cursor_of=lambda row: (row.create_time, row.message_id)
)
BATCHES: Listing[LeasedBatch, int] = Listing("ListBatches", Number, start=0, cursor_of=lambda batch: batch.row.number)
DELIVERIES: Listing[DeliveryRow, tuple[int, int]] = Listing(
    "ListDeliveries", tuple[Number, Number], start=(0, 0), cursor_of=lambda row: (row.batch_number, row.position)
)
FAILURES: Listing[Failure, str] = Listing(
    "ListFailed", Name, start="", cursor_of=lambda failure: failure.row.recipient_id
)
RETRIES: Listing[RetryRound, int] = Listing(
    "ListRetries", Number, start=2**62, cursor_of=lambda found: found.asked.round
)
EVENTS: Listing[Recorded, int] = Listing("ListEvents", Number, start=0, cursor_of=lambda event: event.position)
SUMMARIES: Listing[FailureSummary, tuple[Micros, str] | None] = Listing(
    "SummarizeFailures",
    tuple[Number, Name],
    start=None,
    cursor_of=lambda summary: (summary.message.create_time, summary.message.message_id),
)
REPORTED_MESSAGES: Listing[MessageReport, tuple[Micros, str] | None] = Listing(
    "GetDeliveryReport",
    tuple[Number, Name],
    start=None,
    cursor_of=lambda report: (report.message.create_time, report.message.message_id),
)
PAGES: Listing[PageRow, str] = Listing("ListPages", Name, start="", cursor_of=lambda row: row.page_id)
