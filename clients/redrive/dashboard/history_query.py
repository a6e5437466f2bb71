"""What the history is asked for, and how what came is arranged."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redrive.client import Client
from redrive.dashboard.counts_bar import done
from redrive.v1.delivery_service_pb2 import ListMessagesResponse
from redrive.v1.message_pb2 import Message, MessageStatus

PAGE = 25
WINDOW = 1_000  # the server neither searches nor sorts: this many of the newest are looked through at a time
SHOWN = 100  # rows of what was found

NEWEST = "newest"
ORDERS: Mapping[str, str] = {
    NEWEST: "Newest first",
    "oldest": "Oldest first",
    "failed": "Most failures first",
    "progress": "Least progress first",
    "title": "By title",
}
_KEYS: Mapping[str, Callable[[Message], Any]] = {
    "oldest": lambda message: (message.create_time.seconds, message.create_time.nanos),
    "failed": lambda message: -(message.counts.failed + message.counts.unconfirmed),
    "progress": lambda message: done(message.counts) / max(1, message.counts.total),
    "title": lambda message: message.title.casefold(),
}


@dataclass(frozen=True)
class HistoryFilter:
    """What the server filters by; equal ones share their reads."""

    status: int = 0
    page_id: str = ""
    with_failures: bool = False
    page_size: int = PAGE

    async def read(self, client: Client, token: str) -> ListMessagesResponse:
        """One page of the list."""
        statuses = [_status(self.status)] if self.status else []
        listing = client.list_messages(
            page_id=self.page_id, statuses=statuses, with_failures=self.with_failures, page_size=self.page_size
        )
        return await listing.page(token)


def arrange(messages: Sequence[Message], search: str, order: str) -> list[Message]:
    """Those in which the words are found (title, id, page, owner), in that order."""
    words = search.casefold().split()
    found = [message for message in messages if all(word in _searched(message) for word in words)]
    return sorted(found, key=_KEYS[order]) if order in _KEYS else found


def _searched(message: Message) -> str:
    return f"{message.title} {message.id} {message.page_id} {message.owner}".casefold()


def _status(number: int) -> MessageStatus.ValueType:
    return MessageStatus.ValueType(number)
