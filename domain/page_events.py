"""What happens to a page; its secrets stand elsewhere, encrypted."""

from enum import StrEnum

import msgspec

from domain.event import Event, RequestStamp
from domain.fault import Fault


class SendMode(StrEnum):
    """One request per message, or up to 50 messages in one."""

    SINGLE = "SINGLE"
    BATCH = "BATCH"


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """Why nothing of a page leaves: a fault that would hit everybody, or a person's wish (no fault)."""

    reason: str
    held_by: str = ""
    fault: Fault | None = None


class PageEvent(Event, frozen=True, kw_only=True):
    """An event of one page's stream."""

    page_id: str


class PageRegistered(PageEvent, frozen=True, kw_only=True):
    """A page was put for the first time; its token is generation 1."""

    name: str
    messages_per_second: float
    send_mode: SendMode
    token_verified: bool
    request: RequestStamp | None = None


class PageSettingsChanged(PageEvent, frozen=True, kw_only=True):
    """The name, the pace or the way of sending changed."""

    name: str
    messages_per_second: float
    send_mode: SendMode
    request: RequestStamp | None = None


class PageTokenReplaced(PageEvent, frozen=True, kw_only=True):
    """The page has another token."""

    token_generation: int
    token_verified: bool
    request: RequestStamp | None = None


class PageHeld(PageEvent, frozen=True, kw_only=True):
    """Nothing of the page leaves until it is released."""

    hold: Hold
    request: RequestStamp | None = None


class PageReleased(PageEvent, frozen=True, kw_only=True):
    """The page goes on.

    After a fault the token counts as another one: what failed before may succeed now, and late failures of attempts
    from before do not hold the page again. `ended_pause` is why the page was paused, if a person ended a pause.
    """

    released_by: str
    token_generation: int
    ended_pause: str = ""
    request: RequestStamp | None = None
