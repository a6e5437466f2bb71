"""What happens to a page; its secrets stand elsewhere, encrypted."""

from enum import StrEnum

from domain.event import Event, RequestStamp


class SendMode(StrEnum):
    """One request per message, or up to 50 messages in one."""

    SINGLE = "SINGLE"
    BATCH = "BATCH"


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
