"""One message: how far it is, what came of it, what happened to it, and what can be done."""

from google.protobuf.timestamp_pb2 import Timestamp
from nicegui import ui

from redrive.dashboard.chips import Chip
from redrive.dashboard.elements import Tag, icon, link, relabel, time_of
from redrive.dashboard.formats import counted, moment, number
from redrive.dashboard.frame import Frame
from redrive.dashboard.labels import RETRY_TYPES, error_label, status_label
from redrive.dashboard.message_actions import MessageActions
from redrive.dashboard.outcomes import Step, chart, outcomes_over_time
from redrive.dashboard.pause_note import PauseNote
from redrive.dashboard.progress_card import ProgressCard
from redrive.dashboard.rounds import rounds_table
from redrive.dashboard.site import Site
from redrive.dashboard.timeline import Entry, EventReader, timeline
from redrive.halt_text import cause_of, remedy_for, remedy_for_hold
from redrive.v1.delivery_service_pb2 import LogEvent
from redrive.v1.message_pb2 import Message
from redrive.v1.progress_pb2 import Progress
from redrive.v1.resend_pb2 import ListRetriesResponse

_ROUNDS = 50  # the newest
SUSPENDED = (
    "Automatic retries are suspended: the first few of a resend failed, and the rest was left alone. "
    "Resume lets them go on for everyone who can be retried; a resend by hand ends the suspension too."
)


def add_message(site: Site) -> None:
    """Registers the page."""

    @site.page("/messages/{message_id}", "Message")
    async def message(frame: Frame, message_id: str) -> None:
        await _MessagePage(frame, message_id).open()


class _MessagePage:
    def __init__(self, frame: Frame, message_id: str) -> None:
        self._frame = frame
        self._id = message_id
        self._message = Message()
        self._stage: tuple[int, int] | None = None  # status and round, once there is progress
        self._errors_shown: dict[int, int] | None = None
        self._events = EventReader(frame.client, message_id)
        self._steps_shown: list[Step] = []
        self._entries_shown: list[Entry] = []

    async def open(self) -> None:
        """Draws everything, and follows the message."""
        self._draw()
        client, message_id = self._frame.client, self._id
        await self._frame.follow(("message", message_id), lambda: client.get_message(message_id), self._show_message)
        self._frame.watch(lambda show: self._frame.backend.progress.follow(message_id, show), self._show_progress)
        await self._frame.follow(("message", message_id, "events"), self._events.read, self._show_timeline)
        retries = client.list_retries(message_id, page_size=_ROUNDS)
        await self._frame.follow(("message", message_id, "rounds"), retries.page, self._show_rounds)
        await self._frame.follow(
            ("message", message_id, "outcomes"), lambda: outcomes_over_time(client, message_id), self._show_outcomes
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
            Tag("span", "The next retry starts by itself: ")
            self._next_time = time_of(Timestamp())
        self._suspended = Tag("p", SUSPENDED, "note")
        self._progress = ProgressCard(self._message.counts)
        self._failures = link("", f"/messages/{self._id}/failed", "button primary big")
        with self._failures:
            icon("manage_search")
            Tag("span", "View failed & retry")
        with Tag("section", "", "rounds", aria_labelledby="rounds-title") as self._rounds_box:
            Tag("h2", "Resends", id="rounds-title")
            self._rounds_suspended = Tag("p", "Automatic retries are suspended since a first few failed.", "muted")
            self._rounds = rounds_table()
        with Tag("div", "", "columns"):
            self._draw_charts()
            with Tag("section", "", "card", aria_labelledby="timeline-title"):
                Tag("h2", "What happened", id="timeline-title")
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
                self._steps = Tag("div", "", "table-box")

    def _show_message(self, message: Message) -> None:
        self._message = message
        self._frame.title.say(message.title or "Untitled message")
        policy = message.retry_policy
        retries = f"retries {RETRY_TYPES.get(policy.type, '').lower()}, at most {policy.max_retry_attempts}"
        self._facts.say(f"Page {message.page_id} · {retries} · from {message.owner}")
        self._age.attributes(datetime=moment(message.create_time))
        self._next.show(when=message.HasField("next_retry_time"))
        self._next_time.attributes(datetime=moment(message.next_retry_time))
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

    def _show_rounds(self, answer: ListRetriesResponse) -> None:
        self._rounds_box.show(when=bool(answer.rounds))
        self._rounds.show(answer.rounds)

    def _show_hold(self, message: Message) -> None:
        self._hold.show(when=message.HasField("page_hold"))
        self._hold.say(
            f"Nothing moves: page {message.page_id} is on hold. {message.page_hold.reason} "
            f"{remedy_for_hold(message.page_hold)} What is pending stays pending until then."
        )

    def _show_stop(self, message: Message) -> None:
        self._stop.show(when=message.HasField("stop"))
        self._stop.say(f"Stopped: {cause_of(message.stop)}. {remedy_for(message.stop)} What is pending stays pending.")

    def _show_progress(self, progress: Progress) -> None:
        self._pause.show(progress.page_pause if progress.HasField("page_pause") else None)
        if (progress.status, progress.round) != self._stage:
            self._stage = (progress.status, progress.round)
            self._frame.backend.reads.hurry(*(("message", self._id, *part) for part in ((), ("events",), ("rounds",))))
        self._progress.show(progress)
        self._status.show(status_label(progress.status))
        self._show_failures(progress.counts.failed + progress.counts.unconfirmed)
        counts: dict[int, int] = {entry.error_type: entry.count for entry in progress.error_type_counts}
        self._show_errors(counts)

    def _show_failures(self, count: int) -> None:
        self._failures.show(when=count > 0)
        relabel(self._failures, f"View failed & retry ({number(count)})")

    def _show_errors(self, counts: dict[int, int]) -> None:
        if counts == self._errors_shown:
            return
        self._errors_shown = counts
        self._errors.clear()
        most = max(counts.values(), default=1)
        with self._errors:
            if not counts:
                Tag("p", "Nobody failed.", "muted")
            for error_type, count in sorted(counts.items(), key=lambda entry: -entry[1]):
                label = error_label(error_type)
                with Tag("div", "", "bar-row"):
                    Tag("span", label.word)
                    Tag("span", "", f"bar {label.tone}", style=f"width:{100 * count / most:.1f}%", aria_hidden="true")
                    Tag("span", number(count), "number")

    def _show_timeline(self, events: list[LogEvent]) -> None:
        entries = timeline(events, self._message)
        if entries == self._entries_shown:
            return
        self._entries_shown = entries
        self._timeline.clear()
        with self._timeline:
            for entry in entries:
                with Tag("li"):
                    icon(entry.icon)
                    with Tag("div"):
                        Tag("p", entry.words)
                        time_of(entry.time)

    def _show_outcomes(self, steps: list[Step]) -> None:
        if steps == self._steps_shown:
            return
        self._steps_shown = steps
        self._chart.options.update(chart(steps))
        self._chart.update()
        self._steps.clear()
        with self._steps, Tag("table"), Tag("tbody"):
            for step in steps:
                with Tag("tr"):
                    with Tag("td"):
                        Tag("red-time", "", "", datetime=step.start.isoformat())
                    Tag("td", counted(step.sent, "sent", "sent"), "number")
                    Tag("td", f"{number(step.failed)} failed", "number")
                    Tag("td", f"{number(step.unconfirmed)} unconfirmed", "number")
