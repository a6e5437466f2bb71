"""What a report is about: a page or one of its messages, and a span of time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from redrive.client import Client
from redrive.v1.report_service_pb2 import GetDeliveryReportResponse, MessageFailures

MESSAGES = 50  # on one page of the list of messages
BETWEEN = "between"
SPANS: Mapping[str, str] = {
    "": "All the time",
    "24": "The last 24 hours",
    "168": "The last 7 days",
    "720": "The last 30 days",
    BETWEEN: "Between two times",
}  # hours to their name


class Reading(NamedTuple):
    """The report, and what stands failed now, by the message's id."""

    report: GetDeliveryReportResponse
    failures: Mapping[str, MessageFailures]


@dataclass(frozen=True)
class ReportScope:
    """`start` and `end` count with the span BETWEEN only; either may be open."""

    page_id: str = ""
    message_id: str = ""
    span: str = ""
    start: datetime | None = None
    end: datetime | None = None

    @property
    def is_whole(self) -> bool:
        """Whether all attempts are in it: then every retry's first attempt is in it too."""
        return not self.span or (self.span == BETWEEN and self.start is None)

    def bounds(self, now: datetime) -> tuple[datetime | None, datetime | None]:
        """From when until when."""
        if not self.span:
            return None, None
        if self.span == BETWEEN:
            return self.start, self.end
        return now - timedelta(hours=int(self.span)), None

    def gap(self) -> str:
        """What is wrong with the times, in words; empty when nothing is."""
        is_backwards = self.span == BETWEEN and self.start and self.end and self.start >= self.end
        return "The report ends before it begins." if is_backwards else ""

    async def read(self, client: Client, now: datetime, page_token: str = "") -> Reading:
        """Asks for the report, and for the failures of the messages in it. Raises RedriveError."""
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
            return Reading(report, {})
        failures = await client.summarize_failures(message_ids=ids, page_size=MESSAGES).page()
        return Reading(report, {one.message_id: one for one in failures.messages})
