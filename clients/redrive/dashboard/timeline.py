"""What happened to a message, for people: without what its batches did, and with what befell its page."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from redrive.client import Client
from redrive.dashboard.formats import ordinal
from redrive.v1.delivery_service_pb2 import LogEvent
from redrive.v1.message_pb2 import Message
from redrive.v1.page_pb2 import Page

_ICONS: Mapping[str, str] = {
    "MessageSubmitted": "inbox",
    "RetryRequested": "replay",
    "MessagePaused": "pause_circle",
    "MessageResumed": "play_circle",
    "MessageCancelled": "cancel",
    "MessageCompleted": "check_circle",
}
_PAGE = 200  # events of a read; those that make a batch are long
_FIRST_PAGES = 10


class Entry(NamedTuple):
    """A line of the timeline."""

    time: Timestamp
    icon: str
    words: str


class EventReader:
    """Reads a message's log once, and after that only where it grows."""

    def __init__(self, client: Client, message_id: str) -> None:
        self._listing = client.list_events(message_id, page_size=_PAGE)
        self._read: list[LogEvent] = []
        self._last: list[LogEvent] = []
        self._token = ""
        self._pages = _FIRST_PAGES

    async def read(self) -> list[LogEvent]:
        """The message's own events. Of a long log it is the beginning at first, and more with each call."""
        for _ in range(self._pages):
            answer = await self._listing.page(self._token)
            self._last = [event for event in answer.events if not event.batch_number]
            if not answer.next_page_token:
                break
            self._read += self._last
            self._last, self._token = [], answer.next_page_token
        self._pages = 1
        return self._read + self._last


def timeline(events: Iterable[LogEvent], message: Message, page: Page | None) -> list[Entry]:
    """The newest first."""
    entries = [Entry(event.time, _ICONS.get(event.name, "circle"), event.summary) for event in events]
    if message.HasField("page_hold"):
        hold = message.page_hold
        entries.append(Entry(hold.hold_time, "front_hand", f"The page was put on hold: {hold.reason}"))
    if page is not None and page.token_generation > 1 and _is_later(page.update_time, message.create_time):
        words = f"The page was changed; it has its {ordinal(page.token_generation)} token now"
        entries.append(Entry(page.update_time, "key", words))
    return sorted(entries, key=lambda entry: entry.time.ToNanoseconds(), reverse=True)


def _is_later(one: Timestamp, other: Timestamp) -> bool:
    return one.ToNanoseconds() > other.ToNanoseconds()
