"""Lists that come page by page: a page's token says where the next one begins, and is of use only to the same list."""

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

# What cursors are made of, within what every database takes.
Number = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Name = Annotated[str, msgspec.Meta(max_length=128, pattern=r"^[^\x00]*$")]


class PageRequest(Protocol):
    """What every request for a list has."""

    @property
    def page_size(self) -> int: ...
    @property
    def page_token(self) -> str: ...


class ListPage(Generic[R, C]):
    """One page of a list; one row more than it shows is asked for, to know whether another page follows."""

    def __init__(self, *, after: C, size: int, token_for: Callable[[R], str]) -> None:
        self.after = after
        self.limit = size + 1
        self._token_for = token_for

    def cut(self, rows: Sequence[R], *, is_cut_short: bool = False) -> tuple[Sequence[R], str]:
        """Return the rows to show, and the token of the next page; empty at the end, which no list cut short is at."""
        if len(rows) < self.limit:
            return rows, self._token_for(rows[-1]) if is_cut_short else ""
        shown = rows[: self.limit - 1]
        return shown, self._token_for(shown[-1])


class Listing(Generic[R, C]):
    """One kind of list: where it begins, and which part of a row tells its place."""

    def __init__(self, method: str, cursor_type: Any, *, start: C, cursor_of: Callable[[R], C]) -> None:
        self._method = method
        self._start = start
        self._cursor_of = cursor_of
        self._tokens = msgspec.json.Decoder(tuple[cursor_type, str])

    def page(self, request: PageRequest, wanted: object) -> ListPage[R, C]:
        """The page that a request asks for of what is wanted; raises InvalidRequest for another list's token."""
        of_list = self._fingerprint(wanted)
        return ListPage(
            after=self._read(request.page_token, of_list) if request.page_token else self._start,
            size=request.page_size or DEFAULT_PAGE_SIZE,
            token_for=lambda row: _written((self._cursor_of(row), of_list)),
        )

    def _fingerprint(self, wanted: object) -> str:
        return hashlib.sha256(msgspec.json.encode((self._method, wanted))).hexdigest()[:16]

    def _read(self, token: str, of_list: str) -> C:
        try:
            cursor: C
            cursor, found = self._tokens.decode(base64.b64decode(token.encode(), altchars=b"-_", validate=True))
        except ValueError:  # of base64, UTF-8 or msgspec
            raise _refused("is not a token that this server gave") from None
        if found != of_list:
            raise _refused("belongs to another list: the filter must stay the same from page to page")
        return cursor


def _written(token: tuple[object, str]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(token)).decode()


def _refused(words: str) -> InvalidRequest:
    return InvalidRequest([Violation("page_token", words)])


# The lists of the contract: where each begins, and what tells a row's place in it.


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
