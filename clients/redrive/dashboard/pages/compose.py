"""The page Compose: write a message to the recipients of a file, check it with a dry run, and send it once."""

from collections.abc import Awaitable
from datetime import UTC, datetime

from fastapi import FastAPI
from nicegui import ui

from redrive.dashboard.pages.compose_options import OptionsSection
from redrive.dashboard.pages.compose_recipients import RecipientsSection
from redrive.dashboard.pages.compose_retries import RetriesSection
from redrive.dashboard.pages.compose_sender import SenderSection
from redrive.dashboard.pages.compose_text import TextSection
from redrive.dashboard.pages.frame import Frame
from redrive.dashboard.pages.registry import PageRegistry
from redrive.dashboard.state.composition import Composition, SendResult, text_problems
from redrive.dashboard.state.compositions import Compositions
from redrive.dashboard.state.recipient_file import RecipientFile
from redrive.dashboard.uploads import add_recipient_upload
from redrive.dashboard.widgets.elements import Tag, button, link, time_of
from redrive.dashboard.widgets.labels import RETRY_TYPES
from redrive.errors import AlreadyExists
from redrive.texts.formats import format_count
from redrive.texts.message_text import filled_in
from redrive.v1.delivery_service_pb2 import SendRequest


def add_compose(registry: PageRegistry, app: FastAPI, compositions: Compositions) -> None:
    """Register the page and its upload."""
    add_recipient_upload(app, registry.sessions, compositions)

    @registry.page("/compose", "Compose")
    async def compose(frame: Frame) -> None:
        known = compositions.find(frame.request.query_params.get("composition", ""), frame.backend)
        composition = known or compositions.create(frame.backend)
        if known is None:  # a reload finds the composition again by its random id
            ui.run_javascript(f"history.replaceState(history.state, '', '/compose?composition={composition.id}')")
        await _ComposePage(frame, composition).open()


class _ComposePage:
    def __init__(self, frame: Frame, composition: Composition) -> None:
        self._frame = frame
        self._composition = composition

    async def open(self) -> None:
        """Draw the form; for a sent message, the link to it."""
        if self._composition.message_id:
            self._draw_sent()
            return
        with Tag("div", "", "compose"):
            with Tag("div"):
                sender = SenderSection(self._composition)
                RecipientsSection(self._composition, self._other_recipients)
                text_room = Tag("div")
                RetriesSection(self._composition)
                OptionsSection(self._composition, self._other_attachment)
            with Tag("div", "", "aside") as side_column:
                with text_room:
                    self._text = TextSection(self._composition, side_column)
                self._draw_actions()
        self._frame.on_leave(self._text.stop)
        self._text.show_recipients()
        await sender.follow(self._frame)

    def _draw_actions(self) -> None:
        with Tag("section", "", "card", aria_label="Send"):
            Tag("p", "In a dry run the server checks everything, and sends nothing.", "muted")
            with Tag("div", "", "row"):
                self._try_button = button("Dry run", self._try, icon_name="rule")
                self._send_button = button("Send …", self._ask, icon_name="send", classes="primary")
            self._state = Tag("p", "", "send-state", role="status")

    def _draw_sent(self) -> None:
        with Tag("section", "", "card"):
            Tag("p", "This message was sent.")
            with Tag("div", "", "row"):
                link("Show the message", f"/messages/{self._composition.message_id}", "button primary")
                link("Compose another", "/compose", "button")

    async def _other_recipients(self) -> None:
        self._state.update_text("")
        self._text.show_recipients()

    def _other_attachment(self) -> None:
        self._text.preview.show()

    async def _ready(self) -> RecipientFile | None:
        """Return the recipients if nothing is missing; else show what is missing and return None."""
        self._frame.errors.clear()
        self._state.update_text("")
        if self._composition.message_id:
            self._go_to_message()
            return None
        problems = list(self._composition.problems())
        check = await self._composition.check_text()
        if check is not None:
            self._text.show_check(check)
            problems += text_problems(check)
        if problems:
            what = "One input is" if len(problems) == 1 else f"{len(problems)} inputs are"
            self._frame.errors.show_text(f"{what} missing or wrong. Nothing was sent.", "\n".join(problems))
            return None
        return self._composition.recipients

    async def _try(self) -> None:
        recipients = await self._ready()
        if recipients is None:
            return
        response = await self._try_call(
            self._composition.send(self._frame.client, self._composition.header(is_dry_run=True), recipients)
        )
        if response is not None:
            recipients_text = format_count(response.message.counts.total, "recipient")
            dropped = response.duplicates_dropped
            left_out = f" {format_count(dropped, 'duplicate is skipped', 'duplicates are skipped')}." if dropped else ""
            passed = f" {words}" if (words := self._composition.schedule_passed(datetime.now(UTC))) else ""
            self._state.update_text(
                f"The dry run passed: the message would go to {recipients_text}.{left_out}{passed} Nothing was sent."
            )

    async def _ask(self) -> None:
        recipients = await self._ready()
        if recipients is None:
            return
        header = self._composition.header()
        count_text = format_count(len(recipients), "recipient")
        with self._frame.dialog.opened(f"Send to {count_text}?"):
            _summary(header)
            if passed := self._composition.schedule_passed(datetime.now(UTC)):
                Tag("p", f"{passed} It is sent at once.", "note", role="alert")
            if header.content.text:
                Tag("p", filled_in(header.content.text, recipients.first[0]), "bubble")
            Tag("p", "A sent message cannot be recalled.", "muted")
            self._frame.dialog.add_buttons(f"Send to {count_text}", lambda: self._send(header, recipients))

    async def _send(self, header: SendRequest, recipients: RecipientFile) -> None:
        if self._composition.is_being_sent:
            self._state.update_text("Another tab is sending this message.")
            return
        self._state.update_text("Sending to the server …")
        self._composition.is_being_sent = True
        try:
            response = await self._try_call(self._composition.send(self._frame.client, header, recipients))
        finally:
            self._composition.is_being_sent = False
        if response is not None:
            self._go_to_message()
        else:
            self._state.update_text(
                "Your input is kept. It is safe to send again: the message is sent once, even if it has arrived."
            )

    def _go_to_message(self) -> None:
        ui.navigate.to(f"/messages/{self._composition.message_id}")

    async def _try_call(self, call: Awaitable[SendResult]) -> SendResult | None:
        self._busy(is_busy=True)
        try:
            return await self._frame.try_call(self._unless_sent_before(call))
        finally:
            self._busy(is_busy=False)

    async def _unless_sent_before(self, call: Awaitable[SendResult]) -> SendResult | None:
        try:
            return await call
        except AlreadyExists:
            self._frame.errors.show_text(
                "This message was sent before, with other input.",
                "Find it in the history. For another message, open Compose again.",
            )
            return None

    def _busy(self, *, is_busy: bool) -> None:
        self._try_button.set_attributes(disabled=is_busy)
        self._send_button.set_attributes(disabled=is_busy)


def _summary(header: SendRequest) -> None:
    with Tag("dl", "", "facts"):
        _fact("Page", header.page_id)
        retries = header.retry_policy
        _fact(
            "Retries",
            f"{RETRY_TYPES[retries.type]}, at most {format_count(retries.max_retry_attempts, 'retry', 'retries')}",
        )
        with Tag("div"):
            Tag("dt", "Send at")
            with Tag("dd"):
                if header.HasField("schedule_time"):
                    time_of(header.schedule_time, with_zone=True)
                else:
                    Tag("span", "At once")


def _fact(name: str, value: str) -> None:
    with Tag("div"):
        Tag("dt", name)
        Tag("dd", value)
