"""View failed & retry: who was not reached and why, and the way from the cause to the cure."""

import asyncio

from redrive.dashboard.chips import FilterChip
from redrive.dashboard.current_view import CurrentView
from redrive.dashboard.elements import Tag, button, checkbox, icon, link, relabel
from redrive.dashboard.failed_query import PAGE, FailedFilter, matching, types_there
from redrive.dashboard.failed_row import COLUMNS, Failed, FailedRow
from redrive.dashboard.formats import counted, number
from redrive.dashboard.frame import Frame
from redrive.dashboard.labels import ERROR_TYPES
from redrive.dashboard.pager import Pager, Turns
from redrive.dashboard.resend_choice import MOST_NAMED, ResendChoice, everyone, of_types, selected
from redrive.dashboard.resend_preview import ResendPreview
from redrive.dashboard.selection import Selection
from redrive.dashboard.site import Site
from redrive.dashboard.table import Table
from redrive.dashboard.token_dialog import TokenDialog
from redrive.v1.delivery_service_pb2 import ListFailedResponse
from redrive.v1.error_pb2 import ErrorType
from redrive.v1.message_pb2 import Message

_TOKEN = ErrorType.ERROR_TYPE_ACCESS_TOKEN


def add_failed(site: Site) -> None:
    """Registers the page."""

    @site.page("/messages/{message_id}/failed", "View failed & retry")
    async def failed(frame: Frame, message_id: str) -> None:
        await _FailedPage(frame, message_id).open()


class _FailedPage:
    def __init__(self, frame: Frame, message_id: str) -> None:
        self._frame = frame
        self._id = message_id
        self._message = Message()
        self._answer = ListFailedResponse()
        self._filter = FailedFilter()
        self._turns = Turns()
        self._selection = Selection()
        self._current_view = CurrentView(frame)
        self._turning: asyncio.Task[None] | None = None
        self._preview = ResendPreview(frame, message_id, self._after_resend)
        self._token = TokenDialog(frame, self._after_token)

    async def open(self) -> None:
        """Draws everything, and follows the list."""
        self._draw_head()
        self._draw_filters()
        self._draw_retries()
        self._table = Table(
            "Failed and unconfirmed recipients", COLUMNS, lambda: FailedRow(self._tick), "Nobody is left."
        )
        self._pager = Pager(self._turns, self._follow)
        client, message_id = self._frame.client, self._id
        await self._frame.follow(("failed", message_id), lambda: client.get_message(message_id), self._show_message)
        await self._follow()

    def _draw_head(self) -> None:
        with Tag("p", "", "row spread"):
            with Tag("span", "", "row"):
                self._back = link("Back to the message", f"/messages/{self._id}")
                self._stats = Tag("span", "", "muted")
            self._export = link("", "", "button", download=True)
            with self._export:
                icon("download")
                self._export_words = Tag("span", "Export as CSV")
        with Tag("div", "", "note row spread") as self._expired:
            self._expired_words = Tag("span", "")
            self._replace = button("", self._ask_token, icon_name="key")
        self._unconfirmed = Tag("p", "", "note info")

    def _draw_filters(self) -> None:
        with Tag("div", "", "row chips", role="group", aria_label="Filter by error type"):
            self._chips = {
                error_type: FilterChip(label, lambda is_on, kind=error_type: self._switch(kind, is_on=is_on))  # type: ignore[misc]
                for error_type, label in ERROR_TYPES.items()
            }
            checkbox(
                "Only those who can be retried", lambda is_on: self._narrow(FailedFilter(self._filter.types, is_on))
            )

    def _draw_retries(self) -> None:
        with Tag("div", "", "row retries"):
            self._retry_all = button("", self._ask_all, icon_name="replay", classes="primary")
            self._retry_types = button("", self._ask_types, icon_name="filter_alt")
            self._retry_selected = button("", self._ask_selected, icon_name="check_box")
        with Tag("div", "", "row selecting"):
            self._select_page = checkbox("All on this page", self._tick_page)
            self._select_all = button("", self._take_all, classes="quiet")
            self._select_none = button("Clear the selection", self._take_none, classes="quiet")

    async def _follow(self) -> None:
        wanted, token = self._filter, self._turns.token
        await self._current_view.look(
            ("failed", self._id, wanted, token), lambda: wanted.read(self._frame.client, self._id, token), self._show
        )

    async def _begin_anew(self) -> None:
        self._turns.to_start()
        await self._follow()

    async def _narrow(self, wanted: FailedFilter) -> None:
        self._filter = wanted
        self._selection.clear()
        await self._begin_anew()

    async def _switch(self, error_type: ErrorType.ValueType, *, is_on: bool) -> None:
        await self._narrow(self._filter.with_type(error_type, is_on=is_on))

    def _show_message(self, message: Message) -> None:
        self._message = message
        self._frame.title.say(f"{message.title or 'Untitled message'}: failed recipients")

    def _show(self, answer: ListFailedResponse) -> None:
        self._answer = answer
        self._turns.next_token = answer.next_page_token
        stats = answer.stats
        self._stats.say(
            f"{number(stats.failed)} failed and {number(stats.unconfirmed)} unconfirmed of {number(stats.total)}"
        )
        counts: dict[int, int] = {entry.error_type: entry.count for entry in answer.error_type_counts}
        for error_type, chip in self._chips.items():
            chip.show(counts.get(error_type, 0))
        self._show_notes(counts.get(_TOKEN, 0))
        types = "".join(f"&error_type={kind}" for kind in self._filter.types)
        self._export.attributes(href=f"/messages/{self._id}/failed.csv?{types.removeprefix('&')}")
        self._export_words.say(f"Export as CSV{', retryable or not' if self._filter.retryable_only else ''}")
        self._draw_selection()
        if not answer.failed_recipients and self._turns.number > 1:  # resent to by somebody else, meanwhile
            self._turning = asyncio.create_task(self._begin_anew())

    def _show_notes(self, expired: int) -> None:
        self._expired.show(when=expired > 0)
        self._expired_words.say(
            f"{counted(expired, 'recipient')} failed because the page's token expired or was refused."
        )
        relabel(self._replace, f"Replace the token, then resend these {number(expired)}")
        unconfirmed = self._answer.stats.unconfirmed
        self._unconfirmed.show(when=unconfirmed > 0)
        self._unconfirmed.say(
            f"{counted(unconfirmed, 'recipient')} may have got the message, and nobody knows. "
            "They are resent only if you say so in the preview; it may then arrive twice."
        )

    def _draw_selection(self) -> None:
        """The rows, and all that depends on the ticks."""
        answer, types = self._answer, self._filter.types
        found = matching(answer, types)
        limit = answer.max_retry_attempts
        rows = [Failed(one, limit, self._selection.has(one.recipient_id)) for one in answer.failed_recipients]
        self._table.show(rows)
        self._pager.show(self._where(len(rows), found))
        chosen = self._selection.count(found)
        self._enable(self._retry_all, answer.retryable_count, everyone(answer.retryable_count))
        self._enable(self._retry_types, len(types), of_types(types, found))
        self._retry_types.show(when=bool(types))
        self._enable(self._retry_selected, chosen, selected(chosen))
        self._select_page.attributes(checked=bool(rows) and all(row.is_selected for row in rows))
        self._select_all.show(when=not self._filter.retryable_only and found > len(rows) and not self._selection.is_all)
        relabel(self._select_all, f"Select all {number(found)} that match")
        self._select_none.show(when=chosen > 0)

    def _enable(self, pressed: Tag, count: int, text: str) -> None:
        relabel(pressed, text)
        pressed.attributes(disabled=count == 0)

    def _where(self, shown: int, found: int) -> str:
        first = (self._turns.number - 1) * PAGE
        of = "" if self._filter.retryable_only else f" of {number(found)}"
        return f"{number(first + 1)} to {number(first + shown)}{of}" if shown else ""

    def _tick(self, recipient_id: str, is_on: bool) -> None:  # noqa: FBT001 - a checkbox's own callback
        self._selection.set(recipient_id, is_on=is_on, on_page=self._on_page())
        self._draw_selection()

    def _tick_page(self, is_on: bool) -> None:  # noqa: FBT001 - a checkbox's own callback
        self._selection.set_page(self._on_page(), is_on=is_on)
        self._draw_selection()

    def _on_page(self) -> list[str]:
        return [one.recipient_id for one in self._answer.failed_recipients]

    def _take_all(self) -> None:
        self._selection.take_all()
        self._draw_selection()

    def _take_none(self) -> None:
        self._selection.clear()
        self._draw_selection()

    async def _ask_all(self) -> None:
        await self._open_preview(ResendChoice())

    async def _ask_types(self) -> None:
        await self._open_preview(ResendChoice(error_types=self._filter.types))

    async def _ask_selected(self) -> None:
        choice = self._selection.choice(types_there(self._answer, self._filter.types))
        if len(choice.recipient_ids) > MOST_NAMED:
            self._frame.errors.tell(
                f"At most {number(MOST_NAMED)} can be resent to by name.", "Select fewer, or a type."
            )
            return
        await self._open_preview(choice)

    async def _open_preview(self, choice: ResendChoice) -> None:
        await self._preview.open(choice, sequence=self._answer.sequence)

    def _ask_token(self) -> None:
        self._token.open(self._message.page_id, "Then you see whom a resend would take.")

    async def _after_token(self) -> None:
        await self._open_preview(ResendChoice(error_types=(_TOKEN,)))

    async def _after_resend(self) -> None:
        self._selection.clear()
        await self._begin_anew()
