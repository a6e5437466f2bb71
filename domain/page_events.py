"""What happens to a page; its secrets are stored elsewhere, encrypted.

Its name and a person's reason for a hold are sealed text (server/crypto/labels.py), or clear text of a release before.
"""

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
    """An event of one page's stream.

    `requested_by` is the caller who asked for the change. It is empty for a change that the service made by itself, and
    in events of releases that did not record it.
    """

    page_id: str
    requested_by: str = ""


class PageRegistered(PageEvent, frozen=True, kw_only=True):
    """A page was put for the first time, and belongs to the caller who did; its token is generation 1."""

    name: str
    messages_per_second: float
    send_mode: SendMode
    token_verified: bool
    request: RequestStamp | None = None


class PageSettingsChanged(PageEvent, frozen=True, kw_only=True):
    """The name, the pace or the way of sending was put; `changed` names those that differ from before."""

    name: str
    messages_per_second: float
    send_mode: SendMode
    changed: tuple[str, ...] = ()
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


class PageShared(PageEvent, frozen=True, kw_only=True):
    """From now on the page is shared with these callers, and with no others."""

    shared_with: tuple[str, ...]
    request: RequestStamp | None = None


class PageTransferred(PageEvent, frozen=True, kw_only=True):
    """The page belongs to another caller; the callers that it is shared with are in `shared_with`."""

    owner: str
    shared_with: tuple[str, ...]
    request: RequestStamp | None = None
