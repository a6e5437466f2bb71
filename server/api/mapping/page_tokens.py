"""Paging of lists. A page token holds the start of the next page, and is valid only for the same list and filter."""

import base64
import hashlib
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, Protocol, TypeVar

import msgspec

from domain.errors import InvalidRequest, Violation
from domain.event import RecordedEvent
from projections.delivery_rows import DeliveryRow
from projections.message_rows import MessageRow
from projections.pages import PageRow
from projections.sql import Micros
from server.queries.failures import Failure
from server.queries.lists import FailureSummary, LeasedBatch
from server.queries.reports import MessageReport
from server.queries.rounds import RetryRound

C = TypeVar("C")
R = TypeVar("R")

DEFAULT_PAGE_SIZE = 100

# The parts of cursors, within the limits of every database.
Number = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Name = Annotated[str, msgspec.Meta(max_length=128, pattern=r"^[^\x00]*$")]


class PageRequest(Protocol):
    """The fields of every request for a list."""

    @property
    def page_size(self) -> int: ...
    @property
    def page_token(self) -> str: ...


class ListPage(Generic[R, C]):
    """One page of a list. Its limit is one row more than it shows, to know whether another page follows."""

    def __init__(self, *, after: C, size: int, token_for: Callable[[R], str]) -> None:
        self.after = after
        self.limit = size + 1
        self._token_for = token_for

    def cut(self, rows: Sequence[R], *, is_cut_short: bool = False) -> tuple[Sequence[R], str]:
        """Return the rows of the page, and the token of the next one; empty at the end of the list.

        A page with `is_cut_short` is never the last one.
        """
        if len(rows) < self.limit:
            return rows, self._token_for(rows[-1]) if is_cut_short else ""
        page = rows[: self.limit - 1]
        return page, self._token_for(page[-1])


class Listing(Generic[R, C]):
    """One kind of list: its first cursor, and how a row becomes a cursor."""

    def __init__(self, method: str, cursor_type: Any, *, start: C, cursor_of: Callable[[R], C]) -> None:
        self._method = method
        self._start = start
        self._cursor_of = cursor_of
        self._tokens = msgspec.json.Decoder(tuple[cursor_type, str])

    def page(self, request: PageRequest, wanted: object) -> ListPage[R, C]:
        """Return the requested page for a filter; raises InvalidRequest for the token of another list or filter."""
        fingerprint = self._fingerprint(wanted)
        return ListPage(
            after=self._cursor(request.page_token, fingerprint) if request.page_token else self._start,
            size=request.page_size or DEFAULT_PAGE_SIZE,
            token_for=lambda row: _encode((self._cursor_of(row), fingerprint)),
        )

    def _fingerprint(self, wanted: object) -> str:
        return hashlib.sha256(msgspec.json.encode((self._method, wanted))).hexdigest()[:16]

    def _cursor(self, token: str, fingerprint: str) -> C:
        try:
            cursor: C
            cursor, found = self._tokens.decode(base64.b64decode(token.encode(), altchars=b"-_", validate=True))
        except ValueError:  # of base64, UTF-8 or msgspec
            raise _invalid_token("is not a token of this server") from None
        if found != fingerprint:
            raise _invalid_token("belongs to another list: the filter must stay the same from page to page")
        return cursor


def _encode(token: tuple[object, str]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(token)).decode()


def _invalid_token(text: str) -> InvalidRequest:
    return InvalidRequest([Violation("page_token", text)])


# The lists of the contract.
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
    "ListRetries", Number, start=2**62, cursor_of=lambda found: found.first_slice.round
)
EVENTS: Listing[RecordedEvent, int] = Listing("ListEvents", Number, start=0, cursor_of=lambda event: event.position)
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
