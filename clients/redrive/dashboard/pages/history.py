"""The page History: all messages with their counts."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from redrive.client import Client
from redrive.dashboard.pages.current_view import CurrentView
from redrive.dashboard.pages.frame import Frame
from redrive.dashboard.pages.registry import PageRegistry
from redrive.dashboard.state.retryable_counts import RetryableCounts
from redrive.dashboard.widgets.elements import Tag, checkbox, choice, link, search, time_of
from redrive.dashboard.widgets.labels import RETRY_TYPES, STATUSES, status_label
from redrive.dashboard.widgets.pager import PageCursor, Pager
from redrive.dashboard.widgets.status import Chip, CountsBar, finished_count
from redrive.dashboard.widgets.table import Table, cell
from redrive.texts.formats import format_number, format_share, iso_time
from redrive.v1.delivery_service_pb2 import ListMessagesResponse
from redrive.v1.message_pb2 import Message, MessageStatus
from redrive.v1.page_pb2 import Page

PAGE_SIZE = 25
SEARCH_WINDOW = 1_000  # a search covers this many messages at a time: the server neither searches nor sorts
MAX_RESULTS = 100  # results that are shown

NEWEST = "newest"
ORDERS: Mapping[str, str] = {
    NEWEST: "Newest first",
    "oldest": "Oldest first",
    "failed": "Most failures first",
    "progress": "Least progress first",
    "title": "By title",
}
_KEYS: Mapping[str, Callable[[Message], Any]] = {
    "oldest": lambda message: (message.create_time.seconds, message.create_time.nanos),
    "failed": lambda message: -(message.counts.failed + message.counts.unconfirmed),
    "progress": lambda message: finished_count(message.counts) / max(1, message.counts.total),
    "title": lambda message: message.title.casefold(),
}


@dataclass(frozen=True)
class HistoryFilter:
    """The filters of the server; equal filters share their reads."""

    status: int = 0
    page_id: str = ""
    with_failures: bool = False
    page_size: int = PAGE_SIZE

    async def read(self, client: Client, token: str) -> ListMessagesResponse:
        """Read one page of the list."""
        statuses = [_status(self.status)] if self.status else []
        listing = client.list_messages(
            page_id=self.page_id, statuses=statuses, with_failures=self.with_failures, page_size=self.page_size
        )
        return await listing.page(token)


def arrange(messages: Sequence[Message], search: str, order: str) -> list[Message]:
    """Return the messages that contain all words of `search` (title, id, page, owner), in this order."""
    words = search.casefold().split()
    found = [message for message in messages if all(word in _searched(message) for word in words)]
    return sorted(found, key=_KEYS[order]) if order in _KEYS else found


def _searched(message: Message) -> str:
    return f"{message.title} {message.id} {message.page_id} {message.owner}".casefold()


def _status(number: int) -> MessageStatus.ValueType:
    return MessageStatus.ValueType(number)


_COLUMNS = (
    *("Message", "Status", "Page", "Progress", "Sent#", "Failed#", "Unconfirmed#", "Retryable#"),
    *("Retries", "Age"),
)


def add_history(registry: PageRegistry) -> None:
    """Register the page."""

    @registry.page("/", "History")
    async def history(frame: Frame) -> None:
        await _HistoryPage(frame).open()


class _MessageRow:
    def __init__(self, retryable: RetryableCounts) -> None:
        self._retryable = retryable
        empty = Message()
        with Tag("tr") as self.box:
            with cell("Message", classes="wide"):
                self._title = link("", "/")
            with cell("Status"):
                self._status = Chip(status_label(0))
            self._page = cell("Page")
            with cell("Progress", classes="progress"):
                self._bar = CountsBar(empty.counts, "Progress")
                self._share = Tag("span", "", "muted")
            self._sent, self._failed, self._unconfirmed, self._retry = (
                cell(name, classes="number") for name in ("Sent", "Failed", "Unconfirmed", "Retryable")
            )
            self._type = cell("Retries")
            with cell("Age"):
                self._age = time_of(empty.create_time, as_age=True)

    def show(self, item: Message) -> None:
        counts, retryable = item.counts, self._retryable.known(item)
        self._title.update_text(item.title or "Untitled")
        self._title.set_attributes(href=f"/messages/{item.id}")
        self._status.show(status_label(item.status))
        self._page.update_text(item.page_id)
        self._bar.show(counts)
        self._share.update_text(format_share(finished_count(counts), counts.total))
        self._sent.update_text(format_number(counts.sent))
        self._failed.update_text(format_number(counts.failed))
        self._unconfirmed.update_text(format_number(counts.unconfirmed))
        self._retry.update_text("…" if retryable is None else format_number(retryable))
        self._type.update_text(RETRY_TYPES.get(item.retry_policy.type, ""))
        self._age.set_attributes(datetime=iso_time(item.create_time))


class _HistoryPage:
    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._retryable = frame.backend.retryable
        self._filter = HistoryFilter()
        self._search, self._order = "", NEWEST
        self._cursor = PageCursor()
        self._shown: list[Message] = []
        self._response = ListMessagesResponse()
        self._current_view = CurrentView(frame)
        self._loading: asyncio.Task[None] | None = None
        self._page_names: list[tuple[str, str]] = []

    async def open(self) -> None:
        """Draw the page, and follow the list."""
        self._draw_filters()
        self._table = Table("Messages", _COLUMNS, lambda: _MessageRow(self._retryable), "No message matches.")
        self._pager = Pager(self._cursor, self._follow)
        self._frame.on_leave(self._stop)
        await self._follow()
        await self._frame.follow(("history", "retryable"), self._retryable.refresh_one, lambda _: self._show_rows())
        await self._frame.follow(("history", "pages"), self._frame.backend.pages, self._show_pages)

    def _draw_filters(self) -> None:
        statuses = {"0": "Any status"} | {str(number): label.text for number, label in STATUSES.items()}
        with Tag("div", "", "toolbar", role="search"):
            search("Search", self._search_for, placeholder="Title, id, page or owner")
            choice("Status", statuses, lambda value: self._set_filter(replace(self._filter, status=int(value))))
            with Tag("span", "", "contents") as self._page_place:
                self._page_choice([])
            choice("Order", dict(ORDERS), self._order_by)
            checkbox("With failures", lambda is_on: self._set_filter(replace(self._filter, with_failures=is_on)))

    def _page_choice(self, pages: list[Page]) -> None:
        options = {"": "Any page"} | {page.id: page.name or page.id for page in pages}
        choice("Page", options, self._of_page, value=self._filter.page_id)

    def _show_pages(self, pages: list[Page]) -> None:
        names = [(page.id, page.name) for page in pages]
        if names == self._page_names:
            return
        self._page_names = names
        self._page_place.clear()
        with self._page_place:
            self._page_choice(pages)

    async def _search_for(self, words: str) -> None:
        self._search = words
        await self._set_filter(self._filter)

    async def _order_by(self, order: str) -> None:
        self._order = order
        await self._set_filter(self._filter)

    async def _of_page(self, page_id: str) -> None:
        await self._set_filter(replace(self._filter, page_id=page_id))

    async def _set_filter(self, new_filter: HistoryFilter) -> None:
        self._filter = replace(new_filter, page_size=SEARCH_WINDOW if self._is_window else PAGE_SIZE)
        self._cursor.reset()
        await self._follow()

    @property
    def _is_window(self) -> bool:
        return bool(self._search.strip()) or self._order != NEWEST

    async def _follow(self) -> None:
        active_filter, token = self._filter, self._cursor.token
        await self._current_view.switch_to(
            ("history", active_filter, token), lambda: active_filter.read(self._frame.client, token), self._show
        )
        self._stop_loading()
        self._loading = asyncio.create_task(self._retryable.load(self._shown, self._show_rows))

    def _stop_loading(self) -> None:
        if self._loading is not None:
            self._loading.cancel()

    def _show(self, response: ListMessagesResponse) -> None:
        self._response = response
        self._cursor.next_token = response.next_page_token
        found = arrange(response.messages, self._search, self._order)
        self._shown = found[:MAX_RESULTS]
        self._retryable.set_visible_messages(self, self._shown)
        self._show_rows()
        self._pager.show(self._position_text(len(found)))

    def _stop(self) -> None:
        self._stop_loading()
        self._retryable.forget_tab(self)

    def _show_rows(self) -> None:
        self._table.show(self._shown)

    def _position_text(self, found: int) -> str:
        if not self._is_window:
            return f"Page {self._cursor.number}"
        scope = f"in the newest {format_number(len(self._response.messages))} messages"
        more = ", older ones exist" if self._response.next_page_token else ""
        shown = f", {format_number(len(self._shown))} are shown" if found > len(self._shown) else ""
        return f"{format_number(found)} found {scope}{more}{shown}"
