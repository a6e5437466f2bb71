"""The page of one message: its progress, failures, outcomes and events, and the actions pause, resume and cancel."""

import uuid
from collections.abc import Awaitable, Callable

from google.protobuf.timestamp_pb2 import Timestamp
from nicegui import ui

from redrive.dashboard.pages.frame import Frame
from redrive.dashboard.pages.outcomes import OutcomeBucket, chart, load_outcomes
from redrive.dashboard.pages.progress_card import ProgressCard
from redrive.dashboard.pages.registry import PageRegistry
from redrive.dashboard.pages.rounds import rounds_table
from redrive.dashboard.pages.timeline import EventReader, TimelineEntry, build_timeline
from redrive.dashboard.widgets.elements import Tag, button, icon, link, set_button_text, time_of
from redrive.dashboard.widgets.labels import RETRY_TYPES, error_label, status_label
from redrive.dashboard.widgets.status import Chip, PauseNote
from redrive.texts.formats import format_count, format_number, iso_time
from redrive.texts.stops import hold_remedy, stop_cause_text, stop_remedy
from redrive.v1.delivery_service_pb2 import LogEvent
from redrive.v1.message_pb2 import Message, MessageStatus
from redrive.v1.progress_pb2 import Progress
from redrive.v1.resend_pb2 import ListRetriesResponse

_ROUNDS = 50  # the newest rounds
SUSPENDED = (
    "Automatic retries are suspended: a canary failed, and the rest of its resend was not sent. "
    "Resume continues them for all retryable recipients; a manual resend ends the suspension too."
)
_OVER = {
    MessageStatus.MESSAGE_STATUS_SENT,
    MessageStatus.MESSAGE_STATUS_PARTIALLY_SENT,
    MessageStatus.MESSAGE_STATUS_FAILED,
    MessageStatus.MESSAGE_STATUS_CANCELLED,
}


class MessageActions:
    """The buttons that the state of the message allows; pause and cancel ask for confirmation."""

    def __init__(self, frame: Frame, message_id: str) -> None:
        self._frame = frame
        self._message_id = message_id
        self._open = 0
        with Tag("div", "", "row"):
            self._pause = button("Pause", self._ask_pause, icon_name="pause")
            self._resume = button("Resume", self._do_resume, icon_name="play_arrow", classes="primary")
            self._cancel = button("Cancel", self._ask_cancel, icon_name="cancel", classes="danger")
        for pressed in (self._pause, self._resume, self._cancel):
            pressed.show(when=False)

    def show(self, message: Message) -> None:
        """Show the buttons for the state of the message.

        A message that waits for an automatic retry can be paused and cancelled; one with suspended automatic retries
        can be resumed and cancelled.
        """
        self._open = message.counts.pending + message.counts.sending
        is_over = message.status in _OVER and not message.HasField("next_retry_time")
        is_paused = message.status == MessageStatus.MESSAGE_STATUS_PAUSED
        is_suspended = message.automatic_rounds_suspended
        self._pause.show(when=not is_over and not is_paused)
        self._resume.show(when=is_paused or is_suspended)
        self._cancel.show(when=not is_over or is_suspended)

    def _ask_pause(self) -> None:
        text = "Nothing more is sent until you resume it; requests in flight finish."
        self._frame.dialog.confirm("Pause this message?", text, "Pause", self._do_pause)

    def _ask_cancel(self) -> None:
        text = (
            f"{format_count(self._open, 'recipient')} with open deliveries will not get it. "
            "Sent deliveries are not recalled, and a cancelled message cannot be resent."
        )
        self._frame.dialog.confirm(
            "Cancel this message?", text, "Cancel the message", self._do_cancel, classes="danger"
        )

    async def _do_pause(self) -> None:
        await self._do(self._frame.client.pause_message, "Paused.")

    async def _do_resume(self) -> None:
        await self._do(self._frame.client.resume_message, "Resumed.")

    async def _do_cancel(self) -> None:
        await self._do(self._frame.client.cancel_message, "Cancelled.")

    async def _do(self, call: Callable[..., Awaitable[Message]], done: str) -> None:
        message = await self._frame.try_call(call(self._message_id, request_id=str(uuid.uuid4())))
        if message is not None:
            self._frame.announce(done)
            self.show(message)


def add_message(registry: PageRegistry) -> None:
    """Register the page."""

    @registry.page("/messages/{message_id}", "Message")
    async def message(frame: Frame, message_id: str) -> None:
        await _MessagePage(frame, message_id).open()


class _MessagePage:
    def __init__(self, frame: Frame, message_id: str) -> None:
        self._frame = frame
        self._id = message_id
        self._message = Message()
        self._stage: tuple[int, int] | None = None  # status and round of the last progress
        self._errors_shown: dict[int, int] | None = None
        self._events = EventReader(frame.client, message_id)
        self._buckets_shown: list[OutcomeBucket] = []
        self._entries_shown: list[TimelineEntry] = []

    async def open(self) -> None:
        """Draw the page, and follow the message."""
        self._draw()
        client, message_id = self._frame.client, self._id
        await self._frame.follow(("message", message_id), lambda: client.get_message(message_id), self._show_message)
        self._frame.watch(lambda show: self._frame.backend.progress.follow(message_id, show), self._show_progress)
        await self._frame.follow(("message", message_id, "events"), self._events.read, self._show_timeline)
        retries = client.list_retries(message_id, page_size=_ROUNDS)
        await self._frame.follow(("message", message_id, "rounds"), retries.page, self._show_rounds)
        await self._frame.follow(
            ("message", message_id, "outcomes"), lambda: load_outcomes(client, message_id), self._show_outcomes
        )

    def _draw(self) -> None:
        with Tag("div", "", "row spread"):
            with Tag("div", "", "row muted"):
                self._status = Chip(status_label(0))
                self._facts = Tag("span", "")
                self._age = time_of(Timestamp(), as_age=True)
            self._actions = MessageActions(self._frame, self._id)
        self._hold = Tag("p", "", "note")
        self._stop = Tag("p", "", "note")
        self._pause = PauseNote()
        self._next = Tag("p", "", "note info")
        with self._next:
            Tag("span", "Next automatic retry: ")
            self._next_time = time_of(Timestamp())
        self._suspended = Tag("p", SUSPENDED, "note")
        self._progress = ProgressCard(self._message.counts)
        self._failures = link("", f"/messages/{self._id}/failed", "button primary big")
        with self._failures:
            icon("manage_search")
            Tag("span", "View failed & retry")
        with Tag("section", "", "rounds", aria_labelledby="rounds-title") as self._rounds_box:
            Tag("h2", "Resends", id="rounds-title")
            self._rounds_suspended = Tag("p", "Automatic retries are suspended since a canary failed.", "muted")
            self._rounds = rounds_table()
        with Tag("div", "", "columns"):
            self._draw_charts()
            with Tag("section", "", "card", aria_labelledby="timeline-title"):
                Tag("h2", "Timeline", id="timeline-title")
                self._timeline = Tag("ol", "", "timeline")
        later = (
            self._hold,
            self._stop,
            self._next,
            self._suspended,
            self._failures,
            self._rounds_box,
            self._rounds_suspended,
        )
        for hidden in later:
            hidden.show(when=False)

    def _draw_charts(self) -> None:
        with Tag("section", "", "card", aria_labelledby="errors-title"):
            Tag("h2", "Failed and unconfirmed, by type", id="errors-title")
            self._errors = Tag("div", "", "bars")
        with Tag("section", "", "card", aria_labelledby="outcomes-title"):
            Tag("h2", "Outcomes over time", id="outcomes-title")
            self._chart = ui.echart(chart([]), renderer="svg").classes("chart").props('aria-hidden="true"')
            with Tag("details"):
                Tag("summary", "As a table")
                self._buckets = Tag("div", "", "table-box")

    def _show_message(self, message: Message) -> None:
        self._message = message
        self._frame.title.update_text(message.title or "Untitled message")
        policy = message.retry_policy
        retries = f"{RETRY_TYPES.get(policy.type, '').lower()} retries, at most {policy.max_retry_attempts}"
        self._facts.update_text(f"Page {message.page_id} · {retries} · owner {message.owner}")
        self._age.set_attributes(datetime=iso_time(message.create_time))
        self._next.show(when=message.HasField("next_retry_time"))
        self._next_time.set_attributes(datetime=iso_time(message.next_retry_time))
        for note in (self._suspended, self._rounds_suspended):
            note.show(when=message.automatic_rounds_suspended)
        self._actions.show(message)
        self._show_hold(message)
        self._show_stop(message)
        if self._stage is None:
            self._progress.show_counts(message.counts)
            self._status.show(status_label(message.status))
            self._show_failures(message.counts.failed + message.counts.unconfirmed)
            self._pause.show(message.page_pause if message.HasField("page_pause") else None)

    def _show_rounds(self, response: ListRetriesResponse) -> None:
        self._rounds_box.show(when=bool(response.rounds))
        self._rounds.show(response.rounds)

    def _show_hold(self, message: Message) -> None:
        self._hold.show(when=message.HasField("page_hold"))
        self._hold.update_text(
            f"Nothing is sent: page {message.page_id} is on hold. {message.page_hold.reason} "
            f"{hold_remedy(message.page_hold)} Pending deliveries stay pending until then."
        )

    def _show_stop(self, message: Message) -> None:
        self._stop.show(when=message.HasField("stop"))
        self._stop.update_text(
            f"Stopped: {stop_cause_text(message.stop)}. {stop_remedy(message.stop)} Pending deliveries stay pending."
        )

    def _show_progress(self, progress: Progress) -> None:
        self._pause.show(progress.page_pause if progress.HasField("page_pause") else None)
        if (progress.status, progress.round) != self._stage:
            self._stage = (progress.status, progress.round)
            self._frame.backend.reads.read_next(
                *(("message", self._id, *part) for part in ((), ("events",), ("rounds",)))
            )
        self._progress.show(progress)
        self._status.show(status_label(progress.status))
        self._show_failures(progress.counts.failed + progress.counts.unconfirmed)
        counts: dict[int, int] = {entry.error_type: entry.count for entry in progress.error_type_counts}
        self._show_errors(counts)

    def _show_failures(self, count: int) -> None:
        self._failures.show(when=count > 0)
        set_button_text(self._failures, f"View failed & retry ({format_number(count)})")

    def _show_errors(self, counts: dict[int, int]) -> None:
        if counts == self._errors_shown:
            return
        self._errors_shown = counts
        self._errors.clear()
        most = max(counts.values(), default=1)
        with self._errors:
            if not counts:
                Tag("p", "No failures.", "muted")
            for error_type, count in sorted(counts.items(), key=lambda entry: -entry[1]):
                label = error_label(error_type)
                with Tag("div", "", "bar-row"):
                    Tag("span", label.text)
                    Tag("span", "", f"bar {label.tone}", style=f"width:{100 * count / most:.1f}%", aria_hidden="true")
                    Tag("span", format_number(count), "number")

    def _show_timeline(self, events: list[LogEvent]) -> None:
        entries = build_timeline(events, self._message)
        if entries == self._entries_shown:
            return
        self._entries_shown = entries
        self._timeline.clear()
        with self._timeline:
            for entry in entries:
                with Tag("li"):
                    icon(entry.icon)
                    with Tag("div"):
                        Tag("p", entry.text)
                        time_of(entry.time)

    def _show_outcomes(self, buckets: list[OutcomeBucket]) -> None:
        if buckets == self._buckets_shown:
            return
        self._buckets_shown = buckets
        self._chart.options.update(chart(buckets))
        self._chart.update()
        self._buckets.clear()
        with self._buckets, Tag("table"), Tag("tbody"):
            for bucket in buckets:
                with Tag("tr"):
                    with Tag("td"):
                        Tag("red-time", "", "", datetime=bucket.start.isoformat())
                    Tag("td", format_count(bucket.sent, "sent", "sent"), "number")
                    Tag("td", f"{format_number(bucket.failed)} failed", "number")
                    Tag("td", f"{format_number(bucket.unconfirmed)} unconfirmed", "number")
