"""Decisions about a page."""

import pytest

from domain.event import Event, RequestStamp
from domain.owner import ANY_OWNER
from domain.page import Page, PageSettings, evolve, fold, hold_for_fault, put, share, transfer
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


def test_a_page_is_registered_by_its_first_event() -> None:
    assert not given().is_registered
    assert given(page_registered()).is_registered


def test_a_new_pages_token_is_generation_one() -> None:
    assert given(page_registered()).token_generation == 1


def test_each_token_has_its_own_generation() -> None:
    page = given(page_registered(), page_token_replaced(2), page_settings_changed(), page_token_replaced(3))

    assert (page.token_generation, page.version) == (3, 4)


def test_the_last_settings_apply() -> None:
    page = given(page_registered(), page_settings_changed(messages_per_second=50.0, send_mode="BATCH"))

    assert page.settings == FASTER


def test_a_page_rejects_events_of_other_streams() -> None:
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


def test_the_caller_that_registers_a_page_owns_it() -> None:
    page = given(page_registered(requested_by="shop"))

    assert page.owner == "shop"
    assert [page.may_be_changed_by(wanted) for wanted in ("shop", ANY_OWNER, "crm")] == [True, True, False]
    assert page.is_open_to("crm")


def test_a_page_without_an_owner_is_open_to_every_caller_and_shared_by_an_admin() -> None:
    page = given(page_registered(requested_by=""))

    assert page.is_open_to("crm")
    assert [page.may_be_shared_by(wanted) for wanted in ("crm", "", ANY_OWNER)] == [False, False, True]


def test_shared_callers_are_sorted_unique_and_exclude_the_owner() -> None:
    page = given(page_registered(requested_by="shop"))

    [shared] = share(page, ["ops", "shop", "crm", "ops"], requested_by="shop", request=None, now=NOW)

    assert evolve(page, shared).shared_with == ("crm", "ops")
    assert share(evolve(page, shared), ["ops", "crm"], requested_by="shop", request=None, now=NOW) == ()


def test_a_transferred_page_stays_shared_with_the_other_callers() -> None:
    page = given(page_registered(requested_by="shop"), page_shared("crm", "ops"))

    [transferred] = transfer(page, "crm", requested_by="root", request=None, now=NOW)

    after = evolve(page, transferred)
    assert (after.owner, after.shared_with, after.is_open_to("shop")) == ("crm", ("ops",), False)
    assert transfer(after, "crm", requested_by="root", request=None, now=NOW) == ()


def test_a_hold_by_the_service_has_no_caller() -> None:
    [held] = hold_for_fault(given(page_registered()), DEAD_TOKEN, token_generation=1, now=NOW)

    assert held.requested_by == ""
