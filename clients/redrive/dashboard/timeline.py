"""What happened to a message, and to its page meanwhile, for people: without what its batches did."""

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
_PAGE = 200  # events of a read; those that name whom a resend takes are long
_FIRST_PAGES = 10


class Entry(NamedTuple):
    """A line of the timeline."""

    time: Timestamp
    icon: str
    words: str


class EventReader:
    """Reads a message's log once, and after that only where it grows."""

    def __init__(self, client: Client, message_id: str) -> None:
        self._listing = client.list_events(message_id, without_batches=True, page_size=_PAGE)
        self._read: list[LogEvent] = []
        self._last: list[LogEvent] = []
        self._token = ""
        self._pages = _FIRST_PAGES

    async def read(self) -> list[LogEvent]:
        """The message's and its page's events. Of a long log it is the beginning at first, and more with each call."""
        for _ in range(self._pages):
            answer = await self._listing.page(self._token)
            self._last = list(answer.events)
            if not answer.next_page_token:
                break
            self._read += self._last
            self._last, self._token = [], answer.next_page_token
        self._pages = 1
        return self._read + self._last


def timeline(events: Sequence[LogEvent], message: Message) -> list[Entry]:
    """The newest first; at the end a hold that was there before the message, and is there still."""
    entries = [Entry(event.time, _ICONS.get(event.name, "circle"), event.summary) for event in reversed(events)]
    hold = message.page_hold
    if message.HasField("page_hold") and hold.hold_time.ToNanoseconds() < message.create_time.ToNanoseconds():
        words = f"The page was on hold already{': ' if hold.reason else ''}{hold.reason}"
        entries.append(Entry(hold.hold_time, "front_hand", words))
    return entries
