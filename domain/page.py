"""The Page aggregate: its state, folded from its events, and the decisions about it."""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from domain.event import Event, RequestStamp
from domain.fault import Fault
from domain.owner import ANY_OWNER, may_change_page, may_share_page, may_use_page
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
    """The settings that may change without a new token."""

    name: str
    messages_per_second: float
    send_mode: SendMode


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a page after all events of its stream; token generation 0 means not registered.

    A page without an `owner` was registered with a release that recorded no owners: every caller may use it.
    """

    id: str
    version: int = 0
    settings: PageSettings = PageSettings(name="", messages_per_second=0.0, send_mode=SendMode.SINGLE)
    token_generation: int = 0
    hold: Hold | None = None
    owner: str = ""
    shared_with: tuple[str, ...] = (ANY_OWNER,)

    @property
    def is_registered(self) -> bool:
        """Whether PutPage registered the page."""
        return self.token_generation > 0

    def is_open_to(self, wanted: str) -> bool:
        """Return whether an owner, or ANY_OWNER, may read it and send through it."""
        return may_use_page(self.owner, self.shared_with, wanted)

    def may_be_changed_by(self, wanted: str) -> bool:
        """Return whether an owner, or ANY_OWNER, may replace its token, change its settings, hold and release it."""
        return may_change_page(self.owner, self.shared_with, wanted)

    def may_be_shared_by(self, wanted: str) -> bool:
        """Return whether an owner, or ANY_OWNER, may decide who uses it."""
        return may_share_page(self.owner, wanted)


def evolve(page: Page, event: Event) -> Page:
    """Return the page after one more event."""
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
    """Return the page after all events of its stream."""
    return apply(Page(id=page_id), events)


def apply(page: Page, events: Iterable[Event]) -> Page:
    """Return the page after more events."""
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
    """Return the events with the request on the last one."""
    return (*events[:-1], msgspec.structs.replace(events[-1], request=request))


def hold(page: Page, new_hold: Hold, *, request: RequestStamp | None, now: datetime) -> tuple[PageEvent, ...]:
    """Hold the page at a person's request; a page that is held already keeps its hold."""
    if page.hold is not None:
        return ()
    return (PageHeld(page_id=page.id, hold=new_hold, requested_by=new_hold.held_by, request=request, time=now),)


def hold_for_fault(page: Page, fault: Fault, *, token_generation: int, now: datetime) -> tuple[PageEvent, ...]:
    """Hold the page for a fault of its current token; faults of an earlier token are ignored (protocol rule 15)."""
    if page.hold is not None or token_generation != page.token_generation:
        return ()
    return (PageHeld(page_id=page.id, hold=Hold(reason=fault.message, fault=fault), time=now),)


def release(
    page: Page, *, released_by: str, ended_pause: str = "", request: RequestStamp | None, now: datetime
) -> tuple[PageEvent, ...]:
    """Release a held page and end a pause; `ended_pause` is the reason of the pause, empty if there is none.

    After a fault the token gets a new generation, so late failures of earlier attempts do not hold the page again.
    """
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
    """Share the page with these callers and no others; the owner may use the page in any case."""
    shared_with = _without(page.owner, callers)
    if shared_with == page.shared_with:
        return ()
    shared = PageShared(page_id=page.id, shared_with=shared_with, requested_by=requested_by, request=request, time=now)
    return (shared,)


def transfer(
    page: Page, owner: str, *, requested_by: str, request: RequestStamp | None, now: datetime
) -> tuple[PageEvent, ...]:
    """Give the page to another owner. It stays shared with the same callers; the previous owner loses access."""
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
