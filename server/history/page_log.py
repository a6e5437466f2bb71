"""What befell a message's page while the message lived."""

from collections.abc import Sequence
from typing import NamedTuple

from domain.event import Event
from domain.message import Message
from domain.message_events import MessageCompleted, MessageSubmitted
from domain.page_events import (
    PageHeld,
    PageReleased,
    PageSettingsChanged,
    PageShared,
    PageTokenReplaced,
    PageTransferred,
)
from domain.streams import page_stream
from projections.recorded import Recorded
from projections.sql import Sql
from server.log.stream import EVENTS_AT_ONCE, WITHOUT_END, recorded_in

_SHOWN = (PageHeld, PageReleased, PageTokenReplaced, PageShared, PageTransferred)


class Lifetime(NamedTuple):
    """Where in the log a message was submitted, and where it came to its end; a resend puts the end off."""

    begin: int
    end: int


def lifetime(message: Message, stream: Sequence[Recorded]) -> Lifetime:
    """The lifetime of a submitted message, by its whole stream; without end while the message is not done."""
    begin = next(one.position for one in stream if isinstance(one.event, MessageSubmitted))
    if not message.completed:
        return Lifetime(begin, WITHOUT_END)
    return Lifetime(begin, max(one.position for one in stream if isinstance(one.event, MessageCompleted)))


def page_events(sql: Sql, page_id: str, life: Lifetime, *, after: int, limit: int) -> Sequence[Recorded]:
    """Return what changed of a page during a lifetime, in the log's order, after a position.

    A PutPage that put the settings that the page had is left out: some callers put a page before each message.

    The page's stream may be far longer than what is told of it: it is read in parts, and no further than needed.
    """
    found: list[Recorded] = []
    place = max(after, life.begin)
    while place < life.end and len(found) < limit:
        part = recorded_in(sql, [page_stream(page_id)], position=sql.log_position, after=place, limit=EVENTS_AT_ONCE)
        found += (one for one in part if _is_shown(one.event) and one.position < life.end)
        place = part[-1].position if len(part) == EVENTS_AT_ONCE else life.end
    return found[:limit]


def _is_shown(event: Event) -> bool:
    return isinstance(event, _SHOWN) or (isinstance(event, PageSettingsChanged) and bool(event.changed))
