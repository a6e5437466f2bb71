"""Compose: writes a message to the people of a file, tries it, and sends it once."""

from collections.abc import Awaitable
from datetime import UTC, datetime

from fastapi import FastAPI
from nicegui import ui

from redrive.cli.message_text import filled_in
from redrive.dashboard.compose_options import OptionsPart
from redrive.dashboard.compose_recipients import RecipientsPart
from redrive.dashboard.compose_retries import RetriesPart
from redrive.dashboard.compose_sender import SenderPart
from redrive.dashboard.compose_text import TextPart
from redrive.dashboard.composition import Answer, Composition, text_gaps
from redrive.dashboard.compositions import Compositions
from redrive.dashboard.elements import Tag, button, link, time_of
from redrive.dashboard.formats import counted
from redrive.dashboard.frame import Frame
from redrive.dashboard.labels import RETRY_TYPES
from redrive.dashboard.recipient_file import RecipientFile
from redrive.dashboard.recipient_upload import add_recipient_upload
from redrive.dashboard.site import Site
from redrive.errors import AlreadyExists
from redrive.v1.delivery_service_pb2 import SendRequest


def add_compose(site: Site, app: FastAPI, compositions: Compositions) -> None:
    """Registers the page, and where it sends its files."""
    add_recipient_upload(app, site.sessions, compositions)

    @site.page("/compose", "Compose")
    async def compose(frame: Frame) -> None:
        known = compositions.find(frame.request.query_params.get("composition", ""), frame.backend)
        composition = known or compositions.begin(frame.backend)
        if known is None:  # a reload finds it again; the id says nothing, and is nobody else's
            ui.run_javascript(f"history.replaceState(history.state, '', '/compose?composition={composition.id}')")
        await _Compose(frame, composition).open()


class _Compose:
    def __init__(self, frame: Frame, composition: Composition) -> None:
        self._frame = frame
        self._made = composition

    async def open(self) -> None:
        """Draws the form; after it was sent, the way to the message."""
        if self._made.message_id:
            self._draw_sent()
            return
        with Tag("div", "", "compose"):
            with Tag("div"):
                sender = SenderPart(self._made)
                RecipientsPart(self._made, self._other_recipients)
                text_room = Tag("div")
                RetriesPart(self._made)
                OptionsPart(self._made, self._other_attachment)
            with Tag("div", "", "aside") as aside:
                with text_room:
                    self._text = TextPart(self._made, aside)
                self._draw_actions()
        self._frame.on_leave(self._text.stop)
        self._text.show_recipients()
        await sender.follow(self._frame)

    def _draw_actions(self) -> None:
        with Tag("section", "", "card", aria_label="Send"):
            Tag("p", "A dry run has the server check everything, and sends nothing.", "muted")
            with Tag("div", "", "row"):
                self._try_button = button("Dry run", self._try, icon_name="rule")
                self._send_button = button("Send …", self._ask, icon_name="send", classes="primary")
            self._state = Tag("p", "", "send-state", role="status")

    def _draw_sent(self) -> None:
        with Tag("section", "", "card"):
            Tag("p", "This message was sent.")
            with Tag("div", "", "row"):
                link("Look at it", f"/messages/{self._made.message_id}", "button primary")
                link("Compose another", "/compose", "button")

    async def _other_recipients(self) -> None:
        self._state.say("")
        self._text.show_recipients()

    def _other_attachment(self) -> None:
        self._text.preview.show()

    async def _ready(self) -> RecipientFile | None:
        """The recipients, when nothing is missing; what is, is told."""
        self._frame.errors.clear()
        self._state.say("")
        if self._made.message_id:
            self._go_to_message()
            return None
        gaps = list(self._made.gaps())
        check = await self._made.check_text()
        if check is not None:
            self._text.show_check(check)
            gaps += text_gaps(check)
        if gaps:
            what = "One thing is" if len(gaps) == 1 else f"{len(gaps)} things are"
            self._frame.errors.tell(f"{what} missing or wrong. Nothing was sent.", "\n".join(gaps))
            return None
        return self._made.recipients

    async def _try(self) -> None:
        recipients = await self._ready()
        if recipients is None:
            return
        answer = await self._attempt(
            self._made.send(self._frame.client, self._made.header(is_dry_run=True), recipients)
        )
        if answer is not None:
            would = counted(answer.message.counts.total, "recipient")
            dropped = answer.duplicates_dropped
            left_out = f" {counted(dropped, 'duplicate is', 'duplicates are')} left out." if dropped else ""
            passed = f" {words}" if (words := self._made.schedule_passed(datetime.now(UTC))) else ""
            self._state.say(f"In order: it would go to {would}.{left_out}{passed} Nothing was sent.")

    async def _ask(self) -> None:
        recipients = await self._ready()
        if recipients is None:
            return
        header = self._made.header()
        people = counted(len(recipients), "recipient")
        with self._frame.dialog.opened(f"Send to {people}?"):
            _summary(header)
            if passed := self._made.schedule_passed(datetime.now(UTC)):
                Tag("p", f"{passed} It is sent at once.", "note", role="alert")
            if header.content.text:
                Tag("p", filled_in(header.content.text, recipients.first[0]), "bubble")
            Tag("p", "What has left cannot be called back.", "muted")
            self._frame.dialog.buttons(f"Send to {people}", lambda: self._send(header, recipients))

    async def _send(self, header: SendRequest, recipients: RecipientFile) -> None:
        if self._made.is_being_sent:
            self._state.say("Another tab is sending it.")
            return
        self._state.say("The server takes it in …")
        self._made.is_being_sent = True
        try:
            answer = await self._attempt(self._made.send(self._frame.client, header, recipients))
        finally:
            self._made.is_being_sent = False
        if answer is not None:
            self._go_to_message()
        else:
            self._state.say(
                "What you entered is kept. Sending it again is safe: it is sent once, even if it did arrive."
            )

    def _go_to_message(self) -> None:
        ui.navigate.to(f"/messages/{self._made.message_id}")

    async def _attempt(self, call: Awaitable[Answer]) -> Answer | None:
        self._busy(is_busy=True)
        try:
            return await self._frame.attempt(self._unless_sent_before(call))
        finally:
            self._busy(is_busy=False)

    async def _unless_sent_before(self, call: Awaitable[Answer]) -> Answer | None:
        try:
            return await call
        except AlreadyExists:
            self._frame.errors.tell(
                "It was sent before, with other choices than these.",
                "Look for it in the history. For another message, begin anew under Compose.",
            )
            return None

    def _busy(self, *, is_busy: bool) -> None:
        self._try_button.attributes(disabled=is_busy)
        self._send_button.attributes(disabled=is_busy)


def _summary(header: SendRequest) -> None:
    with Tag("dl", "", "facts"):
        _fact("From", header.page_id)
        retries = header.retry_policy
        _fact(
            "Failures",
            f"{RETRY_TYPES[retries.type]}, at most {counted(retries.max_retry_attempts, 'retry', 'retries')}",
        )
        with Tag("div"):
            Tag("dt", "When")
            with Tag("dd"):
                if header.HasField("schedule_time"):
                    time_of(header.schedule_time, with_zone=True)
                else:
                    Tag("span", "At once")


def _fact(name: str, value: str) -> None:
    with Tag("div"):
        Tag("dt", name)
        Tag("dd", value)
