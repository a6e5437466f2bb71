"""The events of a page. Its secrets are not in the log: an encrypted table holds them.

The page's name and a person's reason for a hold are sealed text (server/crypto/labels.py); an earlier release wrote
clear text.
"""

from enum import StrEnum

import msgspec

from domain.event import Event, RequestStamp
from domain.fault import Fault


class SendMode(StrEnum):
    """One message per HTTP request, or up to 50."""

    SINGLE = "SINGLE"
    BATCH = "BATCH"


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """Why a page does not send: a fault that every recipient would get, or a person's request (`fault` is None)."""

    reason: str
    held_by: str = ""
    fault: Fault | None = None


class PageEvent(Event, frozen=True, kw_only=True):
    """An event of one page's stream.

    `requested_by` is the caller that requested the change; empty if the service made the change, and in events of
    releases that did not record it.
    """

    page_id: str
    requested_by: str = ""


class PageRegistered(PageEvent, frozen=True, kw_only=True):
    """The caller registered the page and owns it; its token is generation 1."""

    name: str
    messages_per_second: float
    send_mode: SendMode
    token_verified: bool
    request: RequestStamp | None = None


class PageSettingsChanged(PageEvent, frozen=True, kw_only=True):
    """PutPage set the name, the rate limit and the send mode; `changed` names the settings that differ."""

    name: str
    messages_per_second: float
    send_mode: SendMode
    changed: tuple[str, ...] = ()
    request: RequestStamp | None = None


class PageTokenReplaced(PageEvent, frozen=True, kw_only=True):
    """The page has a new token."""

    token_generation: int
    token_verified: bool
    request: RequestStamp | None = None


class PageHeld(PageEvent, frozen=True, kw_only=True):
    """The page sends nothing until it is released."""

    hold: Hold
    request: RequestStamp | None = None


class PageReleased(PageEvent, frozen=True, kw_only=True):
    """The page sends again.

    After a fault the token counts as a new one: failed deliveries may succeed now, and late failures of earlier
    attempts do not hold the page again. `ended_pause` is the reason of the pause that a person ended, if any.
    """

    released_by: str
    token_generation: int
    ended_pause: str = ""
    request: RequestStamp | None = None


class PageShared(PageEvent, frozen=True, kw_only=True):
    """The page is shared with these callers and no others."""

    shared_with: tuple[str, ...]
    request: RequestStamp | None = None


class PageTransferred(PageEvent, frozen=True, kw_only=True):
    """The page has a new owner; `shared_with` names the callers that it is shared with."""

    owner: str
    shared_with: tuple[str, ...]
    request: RequestStamp | None = None
