"""The count of wasted attempts reports too many in one term, and starts again with each new term."""

from collections.abc import Sequence

import pytest

from domain.event import Event, RecordedEvent
from domain.message_events import MessageResumed
from server.sandbox.record import Arrival
from tests.builders import (
    MESSAGE,
    NOW,
    PAGE,
    batch_created,
    message_submitted,
    page_released,
    page_token_replaced,
    retry_requested,
)
from tests.domain.batch_event_builders import dispatched, started
from tests.faults.script import CONTENT_FAULT, PAGE_FAULT, Step
from tests.faults.waste import LIMIT, wasted

PEOPLE = 200
OF_PAGE = Step(0.0, PAGE_FAULT, 0, 5.0, {"preset": "page_missing", "page": PAGE})
OF_CONTENT = Step(0.0, CONTENT_FAULT, 0, 5.0, {"preset": "bad_content", "page": PAGE, "recipients": "b0-*"})
RESUMED = MessageResumed(message_id=MESSAGE, requested_by="", time=NOW)
HALF = PEOPLE // 2


def arrival(position: int, outcome: str, *, recipient: str = "b0-1", page: str = PAGE) -> Arrival:
    return Arrival(1, NOW.timestamp(), recipient, page, "token", f"{MESSAGE}.1.{position}", outcome, False, "")


def terms(fault: Step, between: Sequence[Event], arrivals: Sequence[Arrival]) -> tuple[list[int], int]:
    """Return the attempts of each term and the number of violations; `between` happens after half of the dispatches."""
    first, second = range(HALF), range(HALF, PEOPLE)
    events = (message_submitted(), batch_created(), started("one"), dispatched(2, *first), *between)
    log = [RecordedEvent(n, "stream", n, event) for n, event in enumerate((*events, dispatched(3, *second)), start=1)]
    [waste] = wasted([fault], log, arrivals)
    return sorted(waste.by_term.values()), len(waste.violations())


def refused(outcome: str, count: int = PEOPLE) -> Sequence[Arrival]:
    return [arrival(position, outcome) for position in range(count)]


@pytest.mark.parametrize(("fault", "outcome"), [(OF_PAGE, "error:100-33"), (OF_CONTENT, "error:100")])
def test_more_attempts_than_the_limit_in_one_term_are_reported(fault: Step, outcome: str) -> None:
    assert terms(fault, (), refused(outcome, LIMIT)) == ([LIMIT], 0)
    assert terms(fault, (), refused(outcome, LIMIT + 1)) == ([LIMIT + 1], 1)


@pytest.mark.parametrize("begins", [started("two"), page_released(), page_token_replaced()])
def test_a_new_process_or_a_decision_about_the_page_starts_a_term_of_a_page_fault(begins: Event) -> None:
    assert terms(OF_PAGE, [begins], refused("error:100-33")) == ([HALF, HALF], 0)


@pytest.mark.parametrize("begins", [started("two"), RESUMED, retry_requested()])
def test_a_new_process_or_a_decision_about_the_message_starts_a_term_of_a_content_fault(begins: Event) -> None:
    assert terms(OF_CONTENT, [begins], refused("error:100")) == ([HALF, HALF], 0)


def test_an_unrelated_decision_starts_no_term() -> None:
    assert terms(OF_PAGE, [RESUMED, started("one")], refused("error:100-33")) == ([PEOPLE], 1)
    assert terms(OF_CONTENT, [page_released(), started("one")], refused("error:100")) == ([PEOPLE], 1)


def test_attempts_that_another_fault_refused_are_not_counted() -> None:
    others = [
        arrival(0, "error:2"),
        arrival(1, "error:100-33", page="3009"),
        arrival(2, "error:100", recipient="p1-1"),
        arrival(3, "accepted"),
    ]

    assert terms(OF_PAGE, (), others) == ([], 0)
    assert terms(OF_CONTENT, (), others) == ([], 0)
