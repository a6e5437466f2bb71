"""A page: whose token sends, how fast, and in which way."""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from domain.event import Event, RequestStamp
from domain.page_events import PageEvent, PageRegistered, PageSettingsChanged, PageTokenReplaced, SendMode


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
    raise TypeError(f"not an event of a page: {type(event).__name__}")


def fold(page_id: str, events: Iterable[Event]) -> Page:
    """The page that a whole stream amounts to."""
    page = Page(id=page_id)
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
    """Registers the page, or changes what differs; the request stands on the last event."""
    if not page.is_registered:
        return (
            PageRegistered(
                page_id=page.id,
                name=settings.name,
                messages_per_second=settings.messages_per_second,
                send_mode=settings.send_mode,
                token_verified=token_verified,
                request=request,
                time=now,
            ),
        )
    changed = PageSettingsChanged(
        page_id=page.id,
        name=settings.name,
        messages_per_second=settings.messages_per_second,
        send_mode=settings.send_mode,
        request=None if new_token else request,
        time=now,
    )
    if not new_token:
        return (changed,)
    replaced = PageTokenReplaced(
        page_id=page.id,
        token_generation=page.token_generation + 1,
        token_verified=token_verified,
        request=request,
        time=now,
    )
    return (replaced,) if page.settings == settings else (changed, replaced)
