"""The page View failed & retry: failed recipients, their errors, and resends."""

import asyncio
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from redrive.client import Client
from redrive.dashboard.pages.current_view import CurrentView
from redrive.dashboard.pages.form_dialog import FormDialog, OnDone
from redrive.dashboard.pages.frame import Frame
from redrive.dashboard.pages.registry import PageRegistry
from redrive.dashboard.pages.resend_preview import ResendPreview
from redrive.dashboard.state.resend_choice import (
    MAX_NAMED,
    ResendChoice,
    Selection,
    retry_all_text,
    retry_selected_text,
    retry_types_text,
)
from redrive.dashboard.widgets.elements import (
    Tag,
    bare_checkbox,
    button,
    checkbox,
    icon,
    link,
    set_button_text,
    time_of,
)
from redrive.dashboard.widgets.inputs import text_input
from redrive.dashboard.widgets.labels import ERROR_TYPES, Label, error_label
from redrive.dashboard.widgets.pager import PageCursor, Pager
from redrive.dashboard.widgets.status import Chip, FilterChip
from redrive.dashboard.widgets.table import Table, cell
from redrive.texts.errors import error_code
from redrive.texts.formats import format_count, format_number, iso_time
from redrive.texts.resends import skip_reason_of, skip_text
from redrive.v1.delivery_pb2 import FailedRecipient
from redrive.v1.delivery_service_pb2 import ListFailedResponse
from redrive.v1.error_pb2 import ErrorType
from redrive.v1.message_pb2 import Message
from redrive.v1.page_service_pb2 import PutPageRequest

PAGE_SIZE = 50
COLUMNS = ("Select", "Recipient", "Last error", "Attempts#", "Retry", "Last attempt", "Next retry")
_RETRYABLE = Label("Retryable", "replay", "good")
_TOKEN = ErrorType.ERROR_TYPE_ACCESS_TOKEN


@dataclass(frozen=True)
class FailedFilter:
    """The filter of the list; equal filters share their reads."""

    types: tuple[ErrorType.ValueType, ...] = ()
    retryable_only: bool = False

    async def read(self, client: Client, message_id: str, token: str) -> ListFailedResponse:
        """Read one page of the list, with the counts of the whole list."""
        listing = client.list_failed(
            message_id, error_types=self.types, retryable_only=self.retryable_only, page_size=PAGE_SIZE
        )
        return await listing.page(token)

    def with_type(self, error_type: ErrorType.ValueType, *, is_on: bool) -> "FailedFilter":
        """Return the filter with one type added or removed."""
        types = {*self.types, error_type} if is_on else {*self.types} - {error_type}
        return FailedFilter(tuple(sorted(types)), self.retryable_only)


def count_matching(response: ListFailedResponse, types: Sequence[int]) -> int:
    """Return how many recipients failed with these types; all if none is given."""
    return sum(entry.count for entry in response.error_type_counts if not types or entry.error_type in types)


def present_types(response: ListFailedResponse, types: Sequence[ErrorType.ValueType]) -> list[ErrorType.ValueType]:
    """Return the types of the list that match the filter."""
    return [entry.error_type for entry in response.error_type_counts if not types or entry.error_type in types]


class FailedItem(NamedTuple):
    """The data of a row."""

    recipient: FailedRecipient
    max_retry_attempts: int
    is_selected: bool


class FailedRecipientRow:
    """A row of the list; calls `ticked` when its checkbox changes."""

    def __init__(self, ticked: Callable[[str, bool], None]) -> None:
        self._id = ""
        with Tag("tr") as self.box:
            with cell("Select"):
                self._tick = bare_checkbox("Select", lambda is_on: ticked(self._id, is_on))
            with cell("Recipient", classes="wide recipient"):
                self._name = Tag("strong", "")
                self._recipient_id = Tag("span", "", "muted")
            with cell("Last error", classes="wide"):
                self._type = Chip(error_label(0))
                self._error = Tag("span", "", "error-words")
            self._attempts = cell("Attempts", classes="number")
            with cell("Retry"):
                self._retry = Chip(_RETRYABLE)
            with cell("Last attempt"):
                self._last = time_of(Timestamp())
            with cell("Next retry"):
                self._next = time_of(Timestamp())

    def show(self, item: FailedItem) -> None:
        recipient = item.recipient
        self._id = recipient.recipient_id
        label = f"Select {' '.join(filter(None, (recipient.recipient_name, recipient.recipient_id)))}"
        self._tick.set_attributes(checked=item.is_selected, aria_label=label)
        self._name.update_text(recipient.recipient_name)
        self._recipient_id.update_text(recipient.recipient_id)
        self._type.show(error_label(recipient.last_error_type))
        self._error.update_text(last_error_text(recipient))
        self._attempts.update_text(f"{recipient.attempt_count} of {item.max_retry_attempts + 1}")
        self._retry.show(retry_state_label(recipient, item.max_retry_attempts))
        self._last.set_attributes(datetime=iso_time(recipient.last_attempt_time))
        self._next.set_attributes(datetime=iso_time(recipient.next_retry_time))


def last_error_text(recipient: FailedRecipient) -> str:
    """Return the platform's message with its code."""
    code = error_code(recipient.last_error_code, recipient.last_error_subcode)
    return f"{recipient.last_error_message} ({code})" if code else recipient.last_error_message


def retry_state_label(recipient: FailedRecipient, max_retry_attempts: int) -> Label:
    """Return whether a plain resend takes the recipient, or why not."""
    reason = skip_reason_of(recipient, max_retry_attempts)
    if not reason:
        return _RETRYABLE
    icon = "help" if recipient.unconfirmed else "block"
    return Label(skip_text(reason).label.capitalize(), icon, "warn" if recipient.unconfirmed else "neutral")


class TokenDialog:
    """The dialog that replaces a page's token; calls `replaced` after the platform accepted it."""

    def __init__(self, frame: Frame, replaced: OnDone) -> None:
        self._frame = frame
        self._form = FormDialog(frame)
        self._replaced = replaced
        self._request = PutPageRequest()

    def open(self, page_id: str, then: str) -> None:
        """Ask for the new token of a page; `then` says what follows."""
        self._request = PutPageRequest(page_id=page_id)
        with self._form.opened("Replace the page's token", "Replace the token", self._put, self._replaced):
            Tag("p", f"The platform verifies the new token of page {page_id}. {then}")
            text_input("New page token", self._note, kind="password", required=True, spellcheck="false", autofocus=True)

    def _note(self, token: str) -> None:
        self._request.access_token = token.strip()

    async def _put(self) -> bool:
        self._request.request_id = str(uuid.uuid4())
        response = await self._form.try_call(self._frame.client.put_page(self._request))
        if response is None:
            return False
        self._request.Clear()
        self._frame.announce(" ".join(["The token is replaced.", *response.warnings]))
        return True


def add_failed(registry: PageRegistry) -> None:
    """Register the page."""

    @registry.page("/messages/{message_id}/failed", "View failed & retry")
    async def failed(frame: Frame, message_id: str) -> None:
        await _FailedPage(frame, message_id).open()


class _FailedPage:
    def __init__(self, frame: Frame, message_id: str) -> None:
        self._frame = frame
        self._id = message_id
        self._message = Message()
        self._response = ListFailedResponse()
        self._filter = FailedFilter()
        self._cursor = PageCursor()
        self._selection = Selection()
        self._current_view = CurrentView(frame)
        self._resetting: asyncio.Task[None] | None = None
        self._preview = ResendPreview(frame, message_id, self._after_resend)
        self._token = TokenDialog(frame, self._after_token)

    async def open(self) -> None:
        """Draw the page, and follow the list."""
        self._draw_head()
        self._draw_filters()
        self._draw_retries()
        self._table = Table(
            "Failed and unconfirmed recipients",
            COLUMNS,
            lambda: FailedRecipientRow(self._tick),
            "No failed recipients.",
        )
        self._pager = Pager(self._cursor, self._follow)
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
                self._export_text = Tag("span", "Export as CSV")
        with Tag("div", "", "note row spread") as self._expired:
            self._expired_text = Tag("span", "")
            self._replace = button("", self._ask_token, icon_name="key")
        self._unconfirmed = Tag("p", "", "note info")

    def _draw_filters(self) -> None:
        with Tag("div", "", "row chips", role="group", aria_label="Filter by error type"):
            self._chips = {
                error_type: FilterChip(label, lambda is_on, kind=error_type: self._switch(kind, is_on=is_on))  # type: ignore[misc]
                for error_type, label in ERROR_TYPES.items()
            }
            checkbox("Only retryable", lambda is_on: self._set_filter(FailedFilter(self._filter.types, is_on)))

    def _draw_retries(self) -> None:
        with Tag("div", "", "row retries"):
            self._retry_all = button("", self._ask_all, icon_name="replay", classes="primary")
            self._retry_types = button("", self._ask_types, icon_name="filter_alt")
            self._retry_selected = button("", self._ask_selected, icon_name="check_box")
        with Tag("div", "", "row selecting"):
            self._select_page = checkbox("All on this page", self._tick_page)
            self._select_all = button("", self._select_all_matching, classes="quiet")
            self._select_none = button("Clear the selection", self._clear_selection, classes="quiet")

    async def _follow(self) -> None:
        active_filter, token = self._filter, self._cursor.token
        await self._current_view.switch_to(
            ("failed", self._id, active_filter, token),
            lambda: active_filter.read(self._frame.client, self._id, token),
            self._show,
        )

    async def _reset_list(self) -> None:
        self._cursor.reset()
        await self._follow()

    async def _set_filter(self, new_filter: FailedFilter) -> None:
        self._filter = new_filter
        self._selection.clear()
        await self._reset_list()

    async def _switch(self, error_type: ErrorType.ValueType, *, is_on: bool) -> None:
        await self._set_filter(self._filter.with_type(error_type, is_on=is_on))

    def _show_message(self, message: Message) -> None:
        self._message = message
        self._frame.title.update_text(f"{message.title or 'Untitled message'}: failed recipients")

    def _show(self, response: ListFailedResponse) -> None:
        self._response = response
        self._cursor.next_token = response.next_page_token
        stats = response.stats
        self._stats.update_text(
            f"{format_number(stats.failed)} failed and {format_number(stats.unconfirmed)} unconfirmed "
            f"of {format_number(stats.total)}"
        )
        counts: dict[int, int] = {entry.error_type: entry.count for entry in response.error_type_counts}
        for error_type, chip in self._chips.items():
            chip.show(counts.get(error_type, 0))
        self._show_notes(counts.get(_TOKEN, 0))
        types = "".join(f"&error_type={kind}" for kind in self._filter.types)
        self._export.set_attributes(href=f"/messages/{self._id}/failed.csv?{types.removeprefix('&')}")
        self._export_text.update_text(f"Export as CSV{', retryable or not' if self._filter.retryable_only else ''}")
        self._draw_selection()
        if not response.failed_recipients and self._cursor.number > 1:  # another user has resent to these recipients
            self._resetting = asyncio.create_task(self._reset_list())

    def _show_notes(self, expired: int) -> None:
        self._expired.show(when=expired > 0)
        self._expired_text.update_text(
            f"{format_count(expired, 'recipient')} failed because the page's token expired or was refused."
        )
        set_button_text(self._replace, f"Replace the token, then resend these {format_number(expired)}")
        unconfirmed = self._response.stats.unconfirmed
        self._unconfirmed.show(when=unconfirmed > 0)
        self._unconfirmed.update_text(
            f"{format_count(unconfirmed, 'recipient')} may have the message: the outcome is unknown. "
            "They are resent only if you include them in the preview; the message may then arrive twice."
        )

    def _draw_selection(self) -> None:
        """Draw the rows, and everything that depends on the selection."""
        response, types = self._response, self._filter.types
        found = count_matching(response, types)
        limit = response.max_retry_attempts
        rows = [FailedItem(one, limit, self._selection.has(one.recipient_id)) for one in response.failed_recipients]
        self._table.show(rows)
        self._pager.show(self._position_text(len(rows), found))
        chosen = self._selection.count(found)
        self._enable(self._retry_all, response.retryable_count, retry_all_text(response.retryable_count))
        self._enable(self._retry_types, len(types), retry_types_text(types, found))
        self._retry_types.show(when=bool(types))
        self._enable(self._retry_selected, chosen, retry_selected_text(chosen))
        self._select_page.set_attributes(checked=bool(rows) and all(row.is_selected for row in rows))
        self._select_all.show(when=not self._filter.retryable_only and found > len(rows) and not self._selection.is_all)
        set_button_text(self._select_all, f"Select all {format_number(found)} that match")
        self._select_none.show(when=chosen > 0)

    def _enable(self, pressed: Tag, count: int, text: str) -> None:
        set_button_text(pressed, text)
        pressed.set_attributes(disabled=count == 0)

    def _position_text(self, shown: int, found: int) -> str:
        first = (self._cursor.number - 1) * PAGE_SIZE
        of = "" if self._filter.retryable_only else f" of {format_number(found)}"
        return f"{format_number(first + 1)} to {format_number(first + shown)}{of}" if shown else ""

    def _tick(self, recipient_id: str, is_on: bool) -> None:  # noqa: FBT001 - a checkbox's own callback
        self._selection.set(recipient_id, is_on=is_on, on_page=self._on_page())
        self._draw_selection()

    def _tick_page(self, is_on: bool) -> None:  # noqa: FBT001 - a checkbox's own callback
        self._selection.set_page(self._on_page(), is_on=is_on)
        self._draw_selection()

    def _on_page(self) -> list[str]:
        return [one.recipient_id for one in self._response.failed_recipients]

    def _select_all_matching(self) -> None:
        self._selection.select_all()
        self._draw_selection()

    def _clear_selection(self) -> None:
        self._selection.clear()
        self._draw_selection()

    async def _ask_all(self) -> None:
        await self._open_preview(ResendChoice())

    async def _ask_types(self) -> None:
        await self._open_preview(ResendChoice(error_types=self._filter.types))

    async def _ask_selected(self) -> None:
        choice = self._selection.choice(present_types(self._response, self._filter.types))
        if len(choice.recipient_ids) > MAX_NAMED:
            self._frame.errors.show_text(
                f"At most {format_number(MAX_NAMED)} recipients can be selected for a resend.",
                "Select fewer, or an error type.",
            )
            return
        await self._open_preview(choice)

    async def _open_preview(self, choice: ResendChoice) -> None:
        await self._preview.open(choice, sequence=self._response.sequence)

    def _ask_token(self) -> None:
        self._token.open(self._message.page_id, "Then you see the preview of a resend.")

    async def _after_token(self) -> None:
        await self._open_preview(ResendChoice(error_types=(_TOKEN,)))

    async def _after_resend(self) -> None:
        self._selection.clear()
        await self._reset_list()
