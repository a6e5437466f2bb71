"""The scope of a report: a page or one of its messages, and a time range."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from redrive.client import Client
from redrive.v1.report_service_pb2 import GetDeliveryReportResponse, MessageFailures

MESSAGES = 50  # messages on one page of the list
BETWEEN = "between"
TIME_RANGES: Mapping[str, str] = {
    "": "All time",
    "24": "Last 24 hours",
    "168": "Last 7 days",
    "720": "Last 30 days",
    BETWEEN: "Between two times",
}  # hours and their names


class ReportData(NamedTuple):
    """The report, and the present failures by message id."""

    report: GetDeliveryReportResponse
    failures: Mapping[str, MessageFailures]


@dataclass(frozen=True)
class ReportScope:
    """`start` and `end` apply only to the time range BETWEEN; either may be open."""

    page_id: str = ""
    message_id: str = ""
    span: str = ""
    start: datetime | None = None
    end: datetime | None = None

    @property
    def covers_all_time(self) -> bool:
        """Whether the report covers all attempts, so that every retry's first attempt is in it."""
        return not self.span or (self.span == BETWEEN and self.start is None)

    def bounds(self, now: datetime) -> tuple[datetime | None, datetime | None]:
        """Return the start and the end; None for an open one."""
        if not self.span:
            return None, None
        if self.span == BETWEEN:
            return self.start, self.end
        return now - timedelta(hours=int(self.span)), None

    def problem(self) -> str:
        """Return what is wrong with the times; empty if nothing is."""
        is_backwards = self.span == BETWEEN and self.start and self.end and self.start >= self.end
        return "The report ends before it begins." if is_backwards else ""

    async def read(self, client: Client, now: datetime, page_token: str = "") -> ReportData:
        """Read the report, and the failures of its messages. Raises RedriveError."""
        start, end = self.bounds(now)
        listing = client.get_delivery_report(
            message_id=self.message_id,
            page_id="" if self.message_id else self.page_id,
            start_time=start,
            end_time=end,
            page_size=MESSAGES,
        )
        report = await listing.page(page_token)
        ids = [message.message_id for message in report.messages]
        if not ids:
            return ReportData(report, {})
        failures = await client.summarize_failures(message_ids=ids, page_size=MESSAGES).page()
        return ReportData(report, {one.message_id: one for one in failures.messages})
