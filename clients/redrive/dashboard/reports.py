"""Reports: how the attempts of a page or of a message went."""

from dataclasses import replace
from datetime import UTC, datetime

from fastapi import FastAPI

from redrive.dashboard.current_view import CurrentView
from redrive.dashboard.elements import Tag, choice, link
from redrive.dashboard.entries import time_entry
from redrive.dashboard.frame import Frame
from redrive.dashboard.pager import Pager, Turns
from redrive.dashboard.report_export import ADDRESS, add_report_export
from redrive.dashboard.report_scope import BETWEEN, SPANS, Reading, ReportScope
from redrive.dashboard.report_view import ReportView
from redrive.dashboard.site import Site
from redrive.v1.message_pb2 import Message
from redrive.v1.page_pb2 import Page

_CHOICES = 100  # messages of a page that can be chosen; older ones have the way here on their own page


def add_reports(site: Site, app: FastAPI) -> None:
    """Registers the page, and its download."""
    add_report_export(app, site.sessions)

    @site.page("/reports", "Reports")
    async def reports(frame: Frame) -> None:
        await _Reports(frame).open()


class _Reports:
    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        asked = frame.request.query_params
        self._scope = ReportScope(page_id=asked.get("page", ""), message_id=asked.get("message", ""))
        self._asked_for = Message()
        self._pages: list[Page] | None = None
        self._turns = Turns()
        self._current_view = CurrentView(frame)

    async def open(self) -> None:
        """Draws everything, and follows the report. Raises RedriveError."""
        self._draw_scope()
        self._hint = Tag("p", "Choose a page.", "card empty")
        with Tag("div") as self._box:
            self._view = ReportView()
            self._pager = Pager(self._turns, self._follow)
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
            choice("Time", dict(SPANS), self._choose_span)
            with Tag("span", "", "contents") as self._times:
                time_entry("From", self._choose_start)
                time_entry("Until", self._choose_end)
            self._times.show(when=False)
            self._export = link("Export all attempts (CSV)", ADDRESS, "button", download="attempts.csv")

    def _show_pages(self, pages: list[Page]) -> None:
        had = [(page.id, page.name) for page in self._pages or ()]
        self._pages = pages
        if had != [(page.id, page.name) for page in pages]:
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
            options = {"": "All its messages"} | {one.id: one.title or "Untitled" for one in messages}
            choice("Message", options, self._choose_message, value=self._scope.message_id)
        await self._look()

    async def _messages_of(self, page_id: str) -> list[Message]:
        """The newest of the page, and the one that was asked for."""
        listing = self._frame.client.list_messages(page_id=page_id, page_size=_CHOICES)
        listed = await self._frame.attempt(listing.page())
        messages = list(listed.messages) if listed is not None else []
        if self._asked_for.id and all(one.id != self._asked_for.id for one in messages):
            messages.append(self._asked_for)
        return messages

    async def _choose_message(self, message_id: str) -> None:
        self._scope = replace(self._scope, message_id=message_id)
        await self._look()

    async def _choose_span(self, span: str) -> None:
        self._scope = replace(self._scope, span=span)
        self._times.show(when=span == BETWEEN)
        await self._look()

    async def _choose_start(self, _: str, moment: datetime | None) -> None:
        self._scope = replace(self._scope, start=moment)
        await self._look()

    async def _choose_end(self, _: str, moment: datetime | None) -> None:
        self._scope = replace(self._scope, end=moment)
        await self._look()

    async def _look(self) -> None:
        self._frame.errors.clear()
        self._turns.to_start()
        subject = f"message={self._scope.message_id}" if self._scope.message_id else f"page={self._scope.page_id}"
        self._export.attributes(href=f"{ADDRESS}?{subject}")
        await self._follow()

    async def _follow(self) -> None:
        self._current_view.look_away()
        scope, token = self._scope, self._turns.token
        self._box.show(when=bool(scope.page_id))
        self._hint.show(when=not scope.page_id)
        if gap := scope.gap():
            self._frame.errors.tell(gap, "Give an earlier beginning, or a later end.")
        if scope.page_id and not gap:
            client = self._frame.client
            await self._current_view.look(
                ("report", scope, token), lambda: scope.read(client, datetime.now(UTC), token), self._show
            )

    def _show(self, reading: Reading) -> None:
        self._turns.next_token = reading.report.next_page_token
        self._view.show(reading, is_whole=self._scope.is_whole)
        self._pager.show(f"Messages, page {self._turns.number}")
