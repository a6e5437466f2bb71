"""A page's worker requests a hold once, when outcomes under the present token show a page-wide fault."""

import pytest

from domain.fault import ErrorType, Fault, FaultScope, RetryRule
from domain.outcome import Failed, Sent
from domain.page_faults import SUSPECTED_AFTER, PageFaultDetector
from server.sending.page_holds import PageHold

EXPIRED = Fault(
    code=190, message="expired", type=ErrorType.ACCESS_TOKEN, scope=FaultScope.PAGE, retry=RetryRule.NEW_TOKEN
)
REFUSED = Failed(EXPIRED)

Requests = list[tuple[Fault, int]]


@pytest.fixture
def requests() -> Requests:
    return []


@pytest.fixture
def hold(requests: Requests) -> PageHold:
    return PageHold(PageFaultDetector(), lambda fault, generation: requests.append((fault, generation)))


def observe(hold: PageHold, times: int, *, sent_with: int = 2, current: int = 2) -> None:
    for _ in range(times):
        hold.observe(REFUSED, sent_with, current)


def test_enough_refusals_in_a_row_request_one_hold(hold: PageHold, requests: Requests) -> None:
    observe(hold, SUSPECTED_AFTER - 1)
    assert not hold.is_active

    observe(hold, 5)

    assert hold.is_active
    assert requests == [(EXPIRED, 2)]


def test_a_success_in_between_requests_no_hold(hold: PageHold, requests: Requests) -> None:
    observe(hold, SUSPECTED_AFTER - 1)
    hold.observe(Sent("mid.1"), 2, 2)
    observe(hold, SUSPECTED_AFTER - 1)

    assert requests == []


def test_refusals_of_a_replaced_token_request_no_hold(hold: PageHold, requests: Requests) -> None:
    observe(hold, SUSPECTED_AFTER, sent_with=1, current=2)

    assert requests == []


def test_a_recorded_hold_is_not_requested_again(hold: PageHold, requests: Requests) -> None:
    hold.is_recorded = True

    observe(hold, SUSPECTED_AFTER)

    assert requests == []


def test_a_hold_that_was_not_recorded_can_be_requested_again(hold: PageHold, requests: Requests) -> None:
    observe(hold, SUSPECTED_AFTER)
    hold.is_requested = False

    observe(hold, 1)

    assert len(requests) == 2
