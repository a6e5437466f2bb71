"""The page Reports: results of the attempts of a page or a message."""

from dataclasses import replace
from datetime import UTC, datetime

from fastapi import FastAPI

from redrive.dashboard.downloads import REPORT_EXPORT_PATH, add_report_export
from redrive.dashboard.pages.current_view import CurrentView
from redrive.dashboard.pages.frame import Frame
from redrive.dashboard.pages.registry import PageRegistry
from redrive.dashboard.pages.report_view import ReportView
from redrive.dashboard.state.report_scope import BETWEEN, TIME_RANGES, ReportData, ReportScope
from redrive.dashboard.widgets.elements import Tag, choice, link
from redrive.dashboard.widgets.inputs import time_input
from redrive.dashboard.widgets.pager import PageCursor, Pager
from redrive.v1.message_pb2 import Message
from redrive.v1.page_pb2 import Page

_CHOICES = 100  # messages that can be selected; older ones are reached by /reports?message=ID


def add_reports(registry: PageRegistry, app: FastAPI) -> None:
    """Register the page and its download."""
    add_report_export(app, registry.sessions)

    @registry.page("/reports", "Reports")
    async def reports(frame: Frame) -> None:
        await _ReportsPage(frame).open()


class _ReportsPage:
    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        asked = frame.request.query_params
        self._scope = ReportScope(page_id=asked.get("page", ""), message_id=asked.get("message", ""))
        self._asked_for = Message()
        self._pages: list[Page] | None = None
        self._cursor = PageCursor()
        self._current_view = CurrentView(frame)

    async def open(self) -> None:
        """Draw the page, and follow the report. Raises RedriveError."""
        self._draw_scope()
        self._hint = Tag("p", "Choose a page.", "card empty")
        with Tag("div") as self._box:
            self._view = ReportView()
            self._pager = Pager(self._cursor, self._follow)
        self._box.show(when=False)
        await self._frame.follow(("pages", "all"), self._frame.backend.pages, self._show_pages)
        if self._scope.message_id:
            self._asked_for = await self._frame.client.get_message(self._scope.message_id)
            self._scope = replace(self._scope, page_id=self._asked_for.page_id)
        self._scope = replace(self._scope, page_id=self._scope.page_id or (self._pages[0].id if self._pages else ""))
        self._draw_page_choice()
        await self._choose_page(self._scope.page_id)

    def _draw_scope(self) -> None:
        with Tag("div", "", "toolbar", role="search"):
            self._page_place = Tag("span", "", "contents")
            self._message_place = Tag("span", "", "contents")
            choice("Time", dict(TIME_RANGES), self._choose_span)
            with Tag("span", "", "contents") as self._times:
                time_input("From", self._choose_start)
                time_input("Until", self._choose_end)
            self._times.show(when=False)
            self._export = link("Export all attempts (CSV)", REPORT_EXPORT_PATH, "button", download="attempts.csv")

    def _show_pages(self, pages: list[Page]) -> None:
        old_names = [(page.id, page.name) for page in self._pages or ()]
        self._pages = pages
        if old_names != [(page.id, page.name) for page in pages]:
            self._draw_page_choice()

    def _draw_page_choice(self) -> None:
        options = {"": "Choose one"} | {page.id: page.name or page.id for page in self._pages or ()}
        self._page_place.clear()
        with self._page_place:
            choice("Page", options, self._change_page, value=self._scope.page_id)

    async def _change_page(self, page_id: str) -> None:
        self._asked_for = Message()
        self._scope = replace(self._scope, message_id="")
        await self._choose_page(page_id)

    async def _choose_page(self, page_id: str) -> None:
        self._scope = replace(self._scope, page_id=page_id)
        messages = await self._messages_of(page_id) if page_id else []
        self._message_place.clear()
        with self._message_place:
            options = {"": "All messages"} | {one.id: one.title or "Untitled" for one in messages}
            choice("Message", options, self._choose_message, value=self._scope.message_id)
        await self._reload()

    async def _messages_of(self, page_id: str) -> list[Message]:
        """Return the newest messages of the page, and the one in the URL."""
        listing = self._frame.client.list_messages(page_id=page_id, page_size=_CHOICES)
        listed = await self._frame.try_call(listing.page())
        messages = list(listed.messages) if listed is not None else []
        if self._asked_for.id and all(one.id != self._asked_for.id for one in messages):
            messages.append(self._asked_for)
        return messages

    async def _choose_message(self, message_id: str) -> None:
        self._scope = replace(self._scope, message_id=message_id)
        await self._reload()

    async def _choose_span(self, span: str) -> None:
        self._scope = replace(self._scope, span=span)
        self._times.show(when=span == BETWEEN)
        await self._reload()

    async def _choose_start(self, _: str, moment: datetime | None) -> None:
        self._scope = replace(self._scope, start=moment)
        await self._reload()

    async def _choose_end(self, _: str, moment: datetime | None) -> None:
        self._scope = replace(self._scope, end=moment)
        await self._reload()

    async def _reload(self) -> None:
        self._frame.errors.clear()
        self._cursor.reset()
        subject = f"message={self._scope.message_id}" if self._scope.message_id else f"page={self._scope.page_id}"
        self._export.set_attributes(href=f"{REPORT_EXPORT_PATH}?{subject}")
        await self._follow()

    async def _follow(self) -> None:
        self._current_view.clear()
        scope, token = self._scope, self._cursor.token
        self._box.show(when=bool(scope.page_id))
        self._hint.show(when=not scope.page_id)
        if problem := scope.problem():
            self._frame.errors.show_text(problem, "Choose an earlier start, or a later end.")
        if scope.page_id and not problem:
            client = self._frame.client
            await self._current_view.switch_to(
                ("report", scope, token), lambda: scope.read(client, datetime.now(UTC), token), self._show
            )

    def _show(self, reading: ReportData) -> None:
        self._cursor.next_token = reading.report.next_page_token
        self._view.show(reading, covers_all_time=self._scope.covers_all_time)
        self._pager.show(f"Messages, page {self._cursor.number}")
