"""A page's pace, in a time of its own."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.pace import ANSWER_SECONDS, BURST_SECONDS, FIRST_RATE, Pace
from tests.domain.paced_pages import START, TRUSTED, at_once, sent_within


@pytest.mark.parametrize("limit", [10.0, TRUSTED])
def test_messages_leave_at_the_limit(limit: float) -> None:
    assert sent_within(Pace(limit), 60.0) == pytest.approx(60 * limit, abs=limit * BURST_SECONDS + 1)


def test_a_pace_below_one_a_second_holds() -> None:
    assert sent_within(Pace(0.5), 60.0) == pytest.approx(30, abs=1)


def test_a_graph_batch_counts_as_many_messages_as_it_has() -> None:
    assert sent_within(Pace(TRUSTED), 60.0, messages=50) == pytest.approx(60_000, abs=150)


@settings(derandomize=True)
@given(limit=st.floats(0.1, 1_000.0), pauses=st.lists(st.floats(0.0, 3.0), max_size=60))
def test_no_pattern_of_asking_gets_more_than_the_limit_and_one_burst(limit: float, pauses: list[float]) -> None:
    pace, now = Pace(limit), START
    for sent, pause in enumerate(pauses):
        now += pause
        now += pace.delay(now)
        pace.spend(now)
        assert sent <= limit * (now - START + BURST_SECONDS) + 1e-6


def test_asking_alone_takes_nothing() -> None:
    pace = Pace(10.0)

    assert [pace.delay(START) for _ in range(100)] == [0.0] * 100


def test_after_a_rest_no_more_than_a_tenth_of_a_second_leaves_at_once() -> None:
    pace = Pace(TRUSTED)
    pace.spend(START)

    assert at_once(pace, START + 60.0) == pytest.approx(TRUSTED * BURST_SECONDS, abs=1)


@pytest.mark.parametrize(
    ("limit", "most", "chunk"), [(400.0, 200, 100), (10_000.0, 100, 100), (1.0, 100, 1), (0.01, 100, 1), (400.0, 3, 3)]
)
def test_a_chunk_is_what_leaves_in_a_quarter_of_a_second_but_at_least_one(limit: float, most: int, chunk: int) -> None:
    assert Pace(limit).chunk(START, most) == chunk


def test_another_limit_holds_from_now_on() -> None:
    pace = Pace(10.0)

    pace.set_limit(START, 5.0)

    assert pace.rate(START) == 5.0


def test_what_was_spent_at_a_slower_limit_is_paid_back_at_the_faster_one() -> None:
    pace = Pace(0.01)
    pace.spend(START)
    pace.spend(START)

    pace.set_limit(START, 10.0)

    assert pace.delay(START) == pytest.approx(0.2, abs=0.01)


def test_the_same_limit_again_forgives_nothing() -> None:
    pace = Pace(500.0)
    for _ in range(10):
        pace.spend(START, 50)
    before = pace.delay(START)

    pace.set_limit(START, 500.0)

    assert pace.delay(START) == pytest.approx(before)
    assert before > 0.5


# Answers that come at once


def test_who_waits_for_an_answer_looks_for_it_soon_and_goes_on_when_it_has_come() -> None:
    pace = Pace(40.0)
    sent = at_once(pace, START)
    unanswered = pace.delay(START)

    for _ in range(sent):
        pace.take(START + 0.1)

    assert unanswered == ANSWER_SECONDS
    assert pace.delay(START + 0.1) == 0.0


def test_an_answer_lets_nothing_leave_faster_than_the_limit() -> None:
    pace, sent = Pace(40.0), 0

    while pace.delay(START) == 0.0:
        pace.spend(START)
        pace.take(START)
        sent += 1

    assert sent == pytest.approx(40 * BURST_SECONDS, abs=1)


def test_a_page_that_was_refused_waits_whatever_the_answers() -> None:
    pace = Pace(40.0)
    pace.slow_down(START)

    for _ in range(at_once(pace, START)):
        pace.take(START)

    assert pace.delay(START) > 1 / FIRST_RATE
