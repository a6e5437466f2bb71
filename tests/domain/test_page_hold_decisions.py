"""When a page is held and released, and who may use, change and share it."""

from typing import Any

import msgspec
import pytest

from domain.event import Event
from domain.owner import ANY_OWNER
from domain.page import Page, PageSettings, fold, hold, hold_for_fault, put, release, share, transfer
from domain.page_events import Hold, PageHeld, PageReleased, PageShared, PageTokenReplaced, PageTransferred, SendMode
from tests.builders import (
    DEAD_TOKEN,
    NOW,
    PAGE,
    after,
    page_held,
    page_registered,
    page_released,
    page_shared,
    page_token_replaced,
    request_stamp,
)

SETTINGS = PageSettings(name="A page", messages_per_second=10.0, send_mode=SendMode.SINGLE)
BY_HAND = Hold(reason="a check", held_by="ann")
STAMP = request_stamp(method="HoldPage")
LATER = after(5)


def given(*events: Event) -> Page:
    return fold(PAGE, (page_registered(), *events))


def held_by_hand() -> Page:
    return given(PageHeld(page_id=PAGE, hold=BY_HAND, requested_by="ann", time=NOW))


def released(**fields: Any) -> PageReleased:
    defaults = {"page_id": PAGE, "released_by": "bob", "token_generation": 1, "requested_by": "bob", "time": LATER}
    return PageReleased(**{**defaults, **fields})


# Holds


def test_a_held_page_knows_why() -> None:
    assert held_by_hand().hold == BY_HAND
    assert (given(page_held()).hold, given(page_held()).version) == (page_held().hold, 2)


def test_a_page_is_held_by_hand_with_its_request() -> None:
    expected = PageHeld(page_id=PAGE, hold=BY_HAND, requested_by="ann", request=STAMP, time=LATER)

    assert hold(given(), BY_HAND, request=STAMP, now=LATER) == (expected,)


def test_a_page_that_is_held_is_not_held_again() -> None:
    assert hold(given(page_held()), BY_HAND, request=None, now=LATER) == ()
    assert hold_for_fault(held_by_hand(), DEAD_TOKEN, token_generation=1, now=LATER) == ()


def test_a_fault_holds_the_page_with_the_faults_text() -> None:
    expected = PageHeld(page_id=PAGE, hold=Hold(reason=DEAD_TOKEN.message, fault=DEAD_TOKEN), time=LATER)

    assert hold_for_fault(given(), DEAD_TOKEN, token_generation=1, now=LATER) == (expected,)


def test_a_fault_of_an_earlier_token_does_not_hold_the_page() -> None:
    assert hold_for_fault(given(page_token_replaced(2)), DEAD_TOKEN, token_generation=1, now=LATER) == ()


# Releases


def test_a_released_page_has_no_hold_and_the_generation_of_its_release() -> None:
    page = given(page_held(), page_released(token_generation=3))

    assert (page.hold, page.token_generation, page.version) == (None, 3, 3)


def test_a_release_after_a_fault_begins_another_token_generation() -> None:
    events = release(given(page_held()), released_by="bob", request=STAMP, now=LATER)

    assert events == (released(token_generation=2, request=STAMP),)


def test_a_release_of_a_hold_by_hand_keeps_the_token_generation() -> None:
    assert release(held_by_hand(), released_by="bob", request=None, now=LATER) == (released(),)


def test_a_release_ends_a_pause_of_a_page_without_a_hold() -> None:
    events = release(given(), released_by="bob", ended_pause="rate limit", request=None, now=LATER)

    assert events == (released(ended_pause="rate limit"),)


def test_a_page_without_a_hold_and_a_pause_is_not_released() -> None:
    assert release(given(), released_by="bob", request=None, now=LATER) == ()


def test_a_new_token_releases_a_page_that_is_held_for_a_fault() -> None:
    events = put(
        given(page_held()), SETTINGS, new_token=True, token_verified=True, requested_by="bob", request=STAMP, now=LATER
    )

    replaced = PageTokenReplaced(page_id=PAGE, token_generation=2, token_verified=True, requested_by="bob", time=LATER)
    assert events == (replaced, released(released_by="", token_generation=2, request=STAMP))


def test_a_new_token_does_not_release_a_page_that_is_held_by_hand() -> None:
    events = put(
        held_by_hand(), SETTINGS, new_token=True, token_verified=True, requested_by="bob", request=None, now=LATER
    )

    assert [type(event) for event in events] == [PageTokenReplaced]


# Owners


@pytest.mark.parametrize(
    ("page", "caller", "uses", "changes", "shares"),
    [
        (given(), "local", True, True, True),
        (given(), "bob", True, False, False),
        (given(page_shared("bob")), "bob", True, True, False),
        (given(page_shared("bob")), "carl", False, False, False),
        (given(page_shared("bob")), ANY_OWNER, True, True, True),
        (msgspec.structs.replace(given(), owner=""), "bob", True, True, False),
        (msgspec.structs.replace(given(), owner=""), "", True, True, False),
    ],
    ids=["its owner", "another caller", "a named caller", "a caller not named", "an admin", "no owner", "empty name"],
)
def test_a_caller_may_use_change_and_share_a_page(
    page: Page, caller: str, uses: bool, changes: bool, shares: bool
) -> None:
    rights = page.is_open_to(caller), page.may_be_changed_by(caller), page.may_be_shared_by(caller)

    assert rights == (uses, changes, shares)


def test_a_shared_page_names_who_shared_it() -> None:
    events = share(given(), ["carl", "bob"], requested_by="ann", request=STAMP, now=LATER)

    expected = PageShared(page_id=PAGE, shared_with=("bob", "carl"), requested_by="ann", request=STAMP, time=LATER)
    assert events == (expected,)


def test_a_transferred_page_names_who_transferred_it() -> None:
    page = given(page_shared("bob", "carl"))

    events = transfer(page, "bob", requested_by="ann", request=STAMP, now=LATER)

    expected = PageTransferred(
        page_id=PAGE, owner="bob", shared_with=("carl",), requested_by="ann", request=STAMP, time=LATER
    )
    assert events == (expected,)
