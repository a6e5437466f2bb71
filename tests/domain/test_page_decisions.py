"""What may happen to a page: given its events, when it is put, then these events."""

import pytest

from domain.event import Event, RequestStamp
from domain.owner import ANYBODY
from domain.page import Page, PageSettings, evolve, fold, hold_for, put, share, transfer
from domain.page_events import PageEvent, SendMode
from tests.builders import (
    DEAD_TOKEN,
    NOW,
    OWNER,
    PAGE,
    message_submitted,
    page_registered,
    page_settings_changed,
    page_shared,
    page_token_replaced,
    request_stamp,
)

SETTINGS = PageSettings(name="A page", messages_per_second=10.0, send_mode=SendMode.SINGLE)
FASTER = PageSettings(name="A page", messages_per_second=50.0, send_mode=SendMode.BATCH)

BOTH = ("messages_per_second", "send_mode")


def given(*events: Event) -> Page:
    return fold(PAGE, events)


def put_it(
    page: Page, settings: PageSettings, *, new_token: bool, request: RequestStamp | None = None
) -> tuple[PageEvent, ...]:
    return put(page, settings, new_token=new_token, token_verified=True, requested_by=OWNER, request=request, now=NOW)


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

    assert events == (page_settings_changed(messages_per_second=50.0, send_mode="BATCH", changed=BOTH),)


def test_a_new_token_with_the_same_settings_only_replaces_the_token() -> None:
    page = given(page_registered(), page_token_replaced(2))

    assert put_it(page, SETTINGS, new_token=True) == (page_token_replaced(3),)


def test_a_new_token_with_other_settings_changes_both() -> None:
    events = put_it(given(page_registered()), FASTER, new_token=True)

    assert events == (
        page_settings_changed(messages_per_second=50.0, send_mode="BATCH", changed=BOTH),
        page_token_replaced(2),
    )


@pytest.mark.parametrize("settings", [SETTINGS, FASTER])
@pytest.mark.parametrize("new_token", [True, False])
@pytest.mark.parametrize("registered", [True, False])
def test_a_request_is_stamped_once_on_the_last_event(settings: PageSettings, new_token: bool, registered: bool) -> None:
    page = given(page_registered()) if registered else given()

    events = put_it(page, settings, new_token=new_token, request=request_stamp())

    stamps = [getattr(event, "request", None) for event in events]
    assert stamps == [None] * (len(events) - 1) + [request_stamp()]


def test_who_registers_a_page_owns_it() -> None:
    page = given(page_registered(requested_by="shop"))

    assert page.owner == "shop"
    assert [page.may_be_changed_by(wanted) for wanted in ("shop", ANYBODY, "crm")] == [True, True, False]
    assert page.is_open_to("crm")


def test_a_page_of_a_release_without_owners_is_open_to_every_caller_and_shared_by_an_admin() -> None:
    page = given(page_registered(requested_by=""))

    assert page.is_open_to("crm")
    assert [page.may_be_shared_by(wanted) for wanted in ("crm", "", ANYBODY)] == [False, False, True]


def test_a_page_is_shared_with_others_than_its_owner_each_once_and_in_order() -> None:
    page = given(page_registered(requested_by="shop"))

    [shared] = share(page, ["ops", "shop", "crm", "ops"], requested_by="shop", request=None, now=NOW)

    assert evolve(page, shared).shared_with == ("crm", "ops")
    assert share(evolve(page, shared), ["ops", "crm"], requested_by="shop", request=None, now=NOW) == ()


def test_a_page_that_is_given_away_stays_shared_with_the_others() -> None:
    page = given(page_registered(requested_by="shop"), page_shared("crm", "ops"))

    [transferred] = transfer(page, "crm", requested_by="root", request=None, now=NOW)

    after = evolve(page, transferred)
    assert (after.owner, after.shared_with, after.is_open_to("shop")) == ("crm", ("ops",), False)
    assert transfer(after, "crm", requested_by="root", request=None, now=NOW) == ()


def test_a_hold_of_the_service_itself_names_no_caller() -> None:
    [held] = hold_for(given(page_registered()), DEAD_TOKEN, token_generation=1, now=NOW)

    assert held.requested_by == ""
