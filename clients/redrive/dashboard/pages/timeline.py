"""The timeline of a message: its events and those of its page, without the events of its batches."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from redrive.client import Client
from redrive.v1.delivery_service_pb2 import LogEvent
from redrive.v1.message_pb2 import Message

_ICONS: Mapping[str, str] = {
    "MessageSubmitted": "inbox",
    "RetryRequested": "replay",
    "RetryStopped": "block",
    "MessagePaused": "pause_circle",
    "MessageStopped": "report",
    "MessageResumed": "play_circle",
    "MessageCancelled": "cancel",
    "MessageCompleted": "check_circle",
    "PageHeld": "front_hand",
    "PageReleased": "play_circle",
    "PageTokenReplaced": "key",
    "PageSettingsChanged": "speed",
    "PageShared": "group",
    "PageTransferred": "group",
}
_PAGE = 200  # events per read; events that list the recipients of a resend are long
_FIRST_PAGES = 10


class TimelineEntry(NamedTuple):
    """A line of the timeline."""

    time: Timestamp
    icon: str
    text: str


class EventReader:
    """Reads the events of a message once, and then only new ones."""

    def __init__(self, client: Client, message_id: str) -> None:
        self._listing = client.list_events(message_id, without_batches=True, page_size=_PAGE)
        self._read: list[LogEvent] = []
        self._last: list[LogEvent] = []
        self._token = ""
        self._pages = _FIRST_PAGES

    async def read(self) -> list[LogEvent]:
        """Return the events of the message and its page. A long log is read in parts: each call adds some."""
        for _ in range(self._pages):
            response = await self._listing.page(self._token)
            self._last = list(response.events)
            if not response.next_page_token:
                break
            self._read += self._last
            self._last, self._token = [], response.next_page_token
        self._pages = 1
        return self._read + self._last


def build_timeline(events: Sequence[LogEvent], message: Message) -> list[TimelineEntry]:
    """Return the entries, newest first; last a hold that began before the message and still exists."""
    entries = [TimelineEntry(event.time, _ICONS.get(event.name, "circle"), event.summary) for event in reversed(events)]
    hold = message.page_hold
    if message.HasField("page_hold") and hold.hold_time.ToNanoseconds() < message.create_time.ToNanoseconds():
        text = f"The page was already on hold{': ' if hold.reason else ''}{hold.reason}"
        entries.append(TimelineEntry(hold.hold_time, "front_hand", text))
    return entries
