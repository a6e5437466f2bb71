"""What may happen to a page: given its events, when it is put, then these events."""

import pytest

from domain.event import Event, RequestStamp
from domain.page import Page, PageSettings, fold, put
from domain.page_events import PageEvent, SendMode
from tests.builders import (
    NOW,
    PAGE,
    message_submitted,
    page_registered,
    page_settings_changed,
    page_token_replaced,
    request_stamp,
)

SETTINGS = PageSettings(name="A page", messages_per_second=10.0, send_mode=SendMode.SINGLE)
FASTER = PageSettings(name="A page", messages_per_second=50.0, send_mode=SendMode.BATCH)


def given(*events: Event) -> Page:
    return fold(PAGE, events)


def put_it(
    page: Page, settings: PageSettings, *, new_token: bool, request: RequestStamp | None = None
) -> tuple[PageEvent, ...]:
    return put(page, settings, new_token=new_token, token_verified=True, request=request, now=NOW)


def test_a_page_is_registered_when_it_was_put() -> None:
    assert not given().is_registered
    assert given(page_registered()).is_registered


def test_a_new_pages_token_is_generation_one() -> None:
    assert given(page_registered()).token_generation == 1


def test_every_token_is_a_generation_of_its_own() -> None:
    page = given(page_registered(), page_token_replaced(2), page_settings_changed(), page_token_replaced(3))

    assert (page.token_generation, page.version) == (3, 4)


def test_settings_are_those_that_were_put_last() -> None:
    page = given(page_registered(), page_settings_changed(messages_per_second=50.0, send_mode="BATCH"))

    assert page.settings == FASTER


def test_an_event_of_another_stream_does_not_belong_to_a_page() -> None:
    with pytest.raises(TypeError, match="MessageSubmitted"):
        given(message_submitted())


def test_putting_an_unknown_page_registers_it() -> None:
    stamp = request_stamp(method="PutPage")

    events = put_it(given(), SETTINGS, new_token=True, request=stamp)

    assert events == (page_registered(request=stamp),)


def test_putting_a_page_without_a_token_changes_its_settings() -> None:
    events = put_it(given(page_registered()), FASTER, new_token=False)

    assert events == (page_settings_changed(messages_per_second=50.0, send_mode="BATCH"),)


def test_a_new_token_with_the_same_settings_only_replaces_the_token() -> None:
    page = given(page_registered(), page_token_replaced(2))

    assert put_it(page, SETTINGS, new_token=True) == (page_token_replaced(3),)


def test_a_new_token_with_other_settings_changes_both() -> None:
    events = put_it(given(page_registered()), FASTER, new_token=True)

    assert events == (page_settings_changed(messages_per_second=50.0, send_mode="BATCH"), page_token_replaced(2))


@pytest.mark.parametrize("settings", [SETTINGS, FASTER])
@pytest.mark.parametrize("new_token", [True, False])
@pytest.mark.parametrize("registered", [True, False])
def test_a_request_is_stamped_once_on_the_last_event(settings: PageSettings, new_token: bool, registered: bool) -> None:
    page = given(page_registered()) if registered else given()

    events = put_it(page, settings, new_token=new_token, request=request_stamp())

    stamps = [getattr(event, "request", None) for event in events]
    assert stamps == [None] * (len(events) - 1) + [request_stamp()]
