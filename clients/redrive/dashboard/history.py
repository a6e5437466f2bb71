"""The history: every message, with where its recipients stand."""

import asyncio
from dataclasses import replace

from redrive.dashboard.chips import Chip
from redrive.dashboard.counts_bar import CountsBar, done
from redrive.dashboard.current_view import CurrentView
from redrive.dashboard.elements import Tag, checkbox, choice, link, search, time_of
from redrive.dashboard.formats import moment, number, share
from redrive.dashboard.frame import Frame
from redrive.dashboard.history_query import NEWEST, ORDERS, PAGE, SHOWN, WINDOW, HistoryFilter, arrange
from redrive.dashboard.labels import RETRY_TYPES, STATUSES, status_label
from redrive.dashboard.pager import Pager, Turns
from redrive.dashboard.retryable_counts import RetryableCounts
from redrive.dashboard.site import Site
from redrive.dashboard.table import Table, cell
from redrive.v1.delivery_service_pb2 import ListMessagesResponse
from redrive.v1.message_pb2 import Message
from redrive.v1.page_pb2 import Page

_COLUMNS = (
    *("Message", "Status", "Page", "Progress", "Sent#", "Failed#", "Unconfirmed#", "Retryable#"),
    *("Retries", "Age"),
)


def add_history(site: Site) -> None:
    """Registers the page."""

    @site.page("/", "History")
    async def history(frame: Frame) -> None:
        await _History(frame).open()


class _Row:
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
        """Fills the row."""
        counts, retryable = item.counts, self._retryable.known(item)
        self._title.say(item.title or "Untitled")
        self._title.attributes(href=f"/messages/{item.id}")
        self._status.show(status_label(item.status))
        self._page.say(item.page_id)
        self._bar.show(counts)
        self._share.say(share(done(counts), counts.total))
        self._sent.say(number(counts.sent))
        self._failed.say(number(counts.failed))
        self._unconfirmed.say(number(counts.unconfirmed))
        self._retry.say("…" if retryable is None else number(retryable))
        self._type.say(RETRY_TYPES.get(item.retry_policy.type, ""))
        self._age.attributes(datetime=moment(item.create_time))


class _History:
    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._retryable = frame.backend.retryable
        self._filter = HistoryFilter()
        self._search, self._order = "", NEWEST
        self._turns = Turns()
        self._shown: list[Message] = []
        self._answer = ListMessagesResponse()
        self._current_view = CurrentView(frame)
        self._filling: asyncio.Task[None] | None = None
        self._page_names: list[tuple[str, str]] = []

    async def open(self) -> None:
        """Draws everything, and follows the list."""
        self._draw_filters()
        self._table = Table("Messages", _COLUMNS, lambda: _Row(self._retryable), "No message is like that.")
        self._pager = Pager(self._turns, self._follow)
        self._frame.on_leave(self._stop)
        await self._follow()
        await self._frame.follow(("history", "retryable"), self._retryable.renew_one, lambda _: self._show_rows())
        await self._frame.follow(("history", "pages"), self._frame.backend.pages, self._show_pages)

    def _draw_filters(self) -> None:
        statuses = {"0": "Any status"} | {str(number): label.word for number, label in STATUSES.items()}
        with Tag("div", "", "toolbar", role="search"):
            search("Search", self._look_for, placeholder="Title, id, page or owner")
            choice("Status", statuses, lambda value: self._narrow(replace(self._filter, status=int(value))))
            with Tag("span", "", "contents") as self._page_place:
                self._page_choice([])
            choice("Order", dict(ORDERS), self._order_by)
            checkbox("With failures", lambda is_on: self._narrow(replace(self._filter, with_failures=is_on)))

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

    async def _look_for(self, words: str) -> None:
        self._search = words
        await self._narrow(self._filter)

    async def _order_by(self, order: str) -> None:
        self._order = order
        await self._narrow(self._filter)

    async def _of_page(self, page_id: str) -> None:
        await self._narrow(replace(self._filter, page_id=page_id))

    async def _narrow(self, wanted: HistoryFilter) -> None:
        self._filter = replace(wanted, page_size=WINDOW if self._is_window else PAGE)
        self._turns.to_start()
        await self._follow()

    @property
    def _is_window(self) -> bool:
        return bool(self._search.strip()) or self._order != NEWEST

    async def _follow(self) -> None:
        wanted, token = self._filter, self._turns.token
        await self._current_view.look(
            ("history", wanted, token), lambda: wanted.read(self._frame.client, token), self._show
        )
        self._stop_filling()
        self._filling = asyncio.create_task(self._retryable.fill(self._shown, self._show_rows))

    def _stop_filling(self) -> None:
        if self._filling is not None:
            self._filling.cancel()

    def _show(self, answer: ListMessagesResponse) -> None:
        self._answer = answer
        self._turns.next_token = answer.next_page_token
        found = arrange(answer.messages, self._search, self._order)
        self._shown = found[:SHOWN]
        self._retryable.look_at(self, self._shown)
        self._show_rows()
        self._pager.show(self._where(len(found)))

    def _stop(self) -> None:
        self._stop_filling()
        self._retryable.look_away(self)

    def _show_rows(self) -> None:
        self._table.show(self._shown)

    def _where(self, found: int) -> str:
        if not self._is_window:
            return f"Page {self._turns.number}"
        looked = f"among {number(len(self._answer.messages))} messages, newest first"
        more = ", and there are older ones" if self._answer.next_page_token else ""
        shown = f", {number(len(self._shown))} are shown" if found > len(self._shown) else ""
        return f"{number(found)} found {looked}{more}{shown}"
