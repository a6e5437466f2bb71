"""A page: whose token sends, how fast, and in which way."""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from domain.event import Event, RequestStamp
from domain.fault import Fault
from domain.page_events import (
    Hold,
    PageEvent,
    PageHeld,
    PageRegistered,
    PageReleased,
    PageSettingsChanged,
    PageTokenReplaced,
    SendMode,
)


class PageSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What may change without another token; the pace in messages per second."""

    name: str
    messages_per_second: float
    send_mode: SendMode


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """What the events of a page's stream amount to; generation 0 = not registered."""

    id: str
    version: int = 0
    settings: PageSettings = PageSettings(name="", messages_per_second=0.0, send_mode=SendMode.SINGLE)
    token_generation: int = 0
    hold: Hold | None = None

    @property
    def is_registered(self) -> bool:
        """It was put at least once."""
        return self.token_generation > 0


def evolve(page: Page, event: Event) -> Page:
    """The page after one more event."""
    changed = msgspec.structs.replace(page, version=page.version + 1)
    match event:
        case PageRegistered():
            return msgspec.structs.replace(changed, settings=_settings(event), token_generation=1)
        case PageSettingsChanged():
            return msgspec.structs.replace(changed, settings=_settings(event))
        case PageTokenReplaced():
            return msgspec.structs.replace(changed, token_generation=event.token_generation)
        case PageHeld():
            return msgspec.structs.replace(changed, hold=event.hold)
        case PageReleased():
            return msgspec.structs.replace(changed, hold=None, token_generation=event.token_generation)
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
    request: RequestStamp | None,
    now: datetime,
) -> tuple[PageEvent, ...]:
    """Registers the page, or changes what differs; another token ends a hold for a fault."""
    if not page.is_registered:
        registered = PageRegistered(
            page_id=page.id,
            name=settings.name,
            messages_per_second=settings.messages_per_second,
            send_mode=settings.send_mode,
            token_verified=token_verified,
            time=now,
        )
        return _stamped((registered,), request)
    events: tuple[PageEvent, ...] = ()
    if page.settings != settings or not new_token:
        events = (_changed(page, settings, now),)
    if new_token:
        events = (*events, *_replaced(page, token_verified=token_verified, now=now))
    return _stamped(events, request)


def _changed(page: Page, settings: PageSettings, now: datetime) -> PageSettingsChanged:
    return PageSettingsChanged(
        page_id=page.id,
        name=settings.name,
        messages_per_second=settings.messages_per_second,
        send_mode=settings.send_mode,
        time=now,
    )


def _replaced(page: Page, *, token_verified: bool, now: datetime) -> tuple[PageEvent, ...]:
    generation = page.token_generation + 1
    replaced = PageTokenReplaced(page_id=page.id, token_generation=generation, token_verified=token_verified, time=now)
    if page.hold is None or page.hold.fault is None:
        return (replaced,)
    return replaced, PageReleased(page_id=page.id, released_by="", token_generation=generation, time=now)


def _stamped(events: tuple[PageEvent, ...], request: RequestStamp | None) -> tuple[PageEvent, ...]:
    """The request stands on the last event."""
    return (*events[:-1], msgspec.structs.replace(events[-1], request=request))


def hold(page: Page, wish: Hold, *, request: RequestStamp | None, now: datetime) -> tuple[PageEvent, ...]:
    """Holds the page by hand; one that is held for a fault stays held for that."""
    if page.hold is not None:
        return ()
    return (PageHeld(page_id=page.id, hold=wish, request=request, time=now),)


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
            request=request,
            time=now,
        ),
    )
