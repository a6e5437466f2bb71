"""A page: whose token sends, how fast, and in which way."""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from domain.event import Event, RequestStamp
from domain.fault import Fault
from domain.owner import ANYBODY, may_change_page, may_share_page, may_use_page
from domain.page_events import (
    Hold,
    PageEvent,
    PageHeld,
    PageRegistered,
    PageReleased,
    PageSettingsChanged,
    PageShared,
    PageTokenReplaced,
    PageTransferred,
    SendMode,
)


class PageSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What may change without another token; the pace in messages per second."""

    name: str
    messages_per_second: float
    send_mode: SendMode


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """What the events of a page's stream amount to; generation 0 = not registered.

    Without an `owner` it was registered with a release that kept none, and every caller may use it.
    """

    id: str
    version: int = 0
    settings: PageSettings = PageSettings(name="", messages_per_second=0.0, send_mode=SendMode.SINGLE)
    token_generation: int = 0
    hold: Hold | None = None
    owner: str = ""
    shared_with: tuple[str, ...] = (ANYBODY,)

    @property
    def is_registered(self) -> bool:
        """It was put at least once."""
        return self.token_generation > 0

    def is_open_to(self, wanted: str) -> bool:
        """Return whether an owner, or ANYBODY, may see it and send through it."""
        return may_use_page(self.owner, self.shared_with, wanted)

    def may_be_changed_by(self, wanted: str) -> bool:
        """Return whether an owner, or ANYBODY, may replace its token, change its settings, hold and release it."""
        return may_change_page(self.owner, self.shared_with, wanted)

    def may_be_shared_by(self, wanted: str) -> bool:
        """Return whether an owner, or ANYBODY, may decide who uses it."""
        return may_share_page(self.owner, wanted)


def evolve(page: Page, event: Event) -> Page:
    """The page after one more event."""
    changed = msgspec.structs.replace(page, version=page.version + 1)
    match event:
        case PageRegistered():
            registered = msgspec.structs.replace(changed, settings=_settings(event), token_generation=1)
            return msgspec.structs.replace(registered, owner=event.requested_by)
        case PageSettingsChanged():
            return msgspec.structs.replace(changed, settings=_settings(event))
        case PageTokenReplaced():
            return msgspec.structs.replace(changed, token_generation=event.token_generation)
        case PageHeld():
            return msgspec.structs.replace(changed, hold=event.hold)
        case PageReleased():
            return msgspec.structs.replace(changed, hold=None, token_generation=event.token_generation)
        case PageShared():
            return msgspec.structs.replace(changed, shared_with=event.shared_with)
        case PageTransferred():
            return msgspec.structs.replace(changed, owner=event.owner, shared_with=event.shared_with)
    raise TypeError(f"not an event of a page: {type(event).__name__}")


def fold(page_id: str, events: Iterable[Event]) -> Page:
    """The page that a whole stream amounts to."""
    return apply(Page(id=page_id), events)


def apply(page: Page, events: Iterable[Event]) -> Page:
    """The page after some more events."""
    for event in events:
        page = evolve(page, event)
    return page


def _settings(event: PageRegistered | PageSettingsChanged) -> PageSettings:
    return PageSettings(name=event.name, messages_per_second=event.messages_per_second, send_mode=event.send_mode)


def put(
    page: Page,
    settings: PageSettings,
    *,
    new_token: bool,
    token_verified: bool,
    requested_by: str,
    request: RequestStamp | None,
    now: datetime,
) -> tuple[PageEvent, ...]:
    """Registers the page for who asks, or changes what differs; another token ends a hold for a fault."""
    if not page.is_registered:
        registered = PageRegistered(
            page_id=page.id,
            name=settings.name,
            messages_per_second=settings.messages_per_second,
            send_mode=settings.send_mode,
            token_verified=token_verified,
            requested_by=requested_by,
            time=now,
        )
        return _stamped((registered,), request)
    events: tuple[PageEvent, ...] = ()
    if page.settings != settings or not new_token:
        events = (_changed(page, settings, requested_by, now),)
    if new_token:
        events = (*events, *_replaced(page, requested_by, token_verified=token_verified, now=now))
    return _stamped(events, request)


def _changed(page: Page, settings: PageSettings, requested_by: str, now: datetime) -> PageSettingsChanged:
    return PageSettingsChanged(
        page_id=page.id,
        name=settings.name,
        messages_per_second=settings.messages_per_second,
        send_mode=settings.send_mode,
        changed=_differences(page.settings, settings),
        requested_by=requested_by,
        time=now,
    )


def _differences(before: PageSettings, after: PageSettings) -> tuple[str, ...]:
    return tuple(name for name in PageSettings.__struct_fields__ if getattr(before, name) != getattr(after, name))


def _replaced(page: Page, requested_by: str, *, token_verified: bool, now: datetime) -> tuple[PageEvent, ...]:
    generation = page.token_generation + 1
    replaced = PageTokenReplaced(
        page_id=page.id,
        token_generation=generation,
        token_verified=token_verified,
        requested_by=requested_by,
        time=now,
    )
    if page.hold is None or page.hold.fault is None:
        return (replaced,)
    released = PageReleased(
        page_id=page.id, released_by="", token_generation=generation, requested_by=requested_by, time=now
    )
    return replaced, released


def _stamped(events: tuple[PageEvent, ...], request: RequestStamp | None) -> tuple[PageEvent, ...]:
    """The request stands on the last event."""
    return (*events[:-1], msgspec.structs.replace(events[-1], request=request))


def hold(page: Page, wish: Hold, *, request: RequestStamp | None, now: datetime) -> tuple[PageEvent, ...]:
    """Holds the page by hand; one that is held for a fault stays held for that."""
    if page.hold is not None:
        return ()
    return (PageHeld(page_id=page.id, hold=wish, requested_by=wish.held_by, request=request, time=now),)


def hold_for(page: Page, fault: Fault, *, token_generation: int, now: datetime) -> tuple[PageEvent, ...]:
    """Holds the page for a fault of its present token; what an earlier one met says nothing (protocol rule 15)."""
    if page.hold is not None or token_generation != page.token_generation:
        return ()
    return (PageHeld(page_id=page.id, hold=Hold(reason=fault.message, fault=fault), time=now),)


def release(
    page: Page, *, released_by: str, ended_pause: str = "", request: RequestStamp | None, now: datetime
) -> tuple[PageEvent, ...]:
    """Lets a held page go on, after a fault under a new generation, and ends a pause (why there is one, if any)."""
    if page.hold is None and not ended_pause:
        return ()
    was_fault = page.hold is not None and page.hold.fault is not None
    return (
        PageReleased(
            page_id=page.id,
            released_by=released_by,
            token_generation=page.token_generation + int(was_fault),
            ended_pause=ended_pause,
            requested_by=released_by,
            request=request,
            time=now,
        ),
    )


def share(
    page: Page, callers: Iterable[str], *, requested_by: str, request: RequestStamp | None, now: datetime
) -> tuple[PageEvent, ...]:
    """Shares the page with these callers, and with no others; its owner needs no place among them."""
    shared_with = _without(page.owner, callers)
    if shared_with == page.shared_with:
        return ()
    shared = PageShared(page_id=page.id, shared_with=shared_with, requested_by=requested_by, request=request, time=now)
    return (shared,)


def transfer(
    page: Page, owner: str, *, requested_by: str, request: RequestStamp | None, now: datetime
) -> tuple[PageEvent, ...]:
    """Gives the page to another owner. Those that it is shared with keep it; the owner of before does not."""
    if owner == page.owner:
        return ()
    transferred = PageTransferred(
        page_id=page.id,
        owner=owner,
        shared_with=_without(owner, page.shared_with),
        requested_by=requested_by,
        request=request,
        time=now,
    )
    return (transferred,)


def _without(owner: str, callers: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(callers) - {owner}))
