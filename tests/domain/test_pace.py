"""A page's pace, in a time of its own."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.pace import ANSWER_SECONDS, BACK_OFF, BURST_SECONDS, CLIMB_SECONDS, FIRST_RATE, SLOWEST, Pace

START = 1_000.0  # seconds on the pace's clock
TRUSTED = 1_000.0  # messages per second: a limit that is taken at its word


def sent_within(pace: Pace, seconds: float, messages: int = 1) -> int:
    """How many messages somebody sends who waits as he is told."""
    now, sent = START, 0
    while True:
        now += pace.delay(now)
        if now >= START + seconds:
            return sent
        pace.spend(now, messages)
        sent += messages


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


def at_once(pace: Pace, now: float) -> int:
    """How many messages may leave at this moment."""
    sent = 0
    while pace.delay(now) == 0.0:
        pace.spend(now)
        sent += 1
    return sent


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


# Refusals


def busy_pace(limit: float = 40.0, share: float = 1.0) -> Pace:
    """A page at its limit, of whose messages the platform has been taking this share; the time is START."""
    pace = Pace(limit)
    for number in range(20 * int(limit)):
        if (number * share) % 1.0 < share:
            pace.take(START - 20 + number / limit)
    return pace


def sends_for(pace: Pace, seconds: float, start: float = START) -> None:
    """A page sends at its pace, and all is taken."""
    now = start
    while now < start + seconds:
        pace.spend(now)
        pace.take(now)
        now += pace.delay(now)


def test_a_refusal_takes_the_pace_down_to_four_fifths_of_what_was_taken() -> None:
    pace = busy_pace()

    pace.slow_down(START)

    assert pace.rate(START) == pytest.approx(BACK_OFF * 40.0, rel=0.03)


def test_a_platform_that_takes_little_takes_the_pace_down_at_once() -> None:
    pace = busy_pace(TRUSTED, share=0.1)

    pace.slow_down(START)

    assert pace.rate(START) == pytest.approx(BACK_OFF * 100.0, rel=0.03)


def test_a_page_that_is_refused_at_its_very_first_message_goes_on_at_two_fifths() -> None:
    pace = Pace(FIRST_RATE)

    pace.slow_down(START)

    assert pace.rate(START) == pytest.approx(0.4 * FIRST_RATE)


def test_refusals_within_a_second_count_as_one() -> None:
    pace = busy_pace()
    pace.slow_down(START)
    slowed = pace.rate(START)

    for moment in (0.1, 0.5, 0.99):
        pace.take(START + moment)
        pace.slow_down(START + moment)

    assert pace.rate(START) == slowed


def test_a_page_that_is_refused_and_refused_goes_on_at_a_fortieth_of_its_limit() -> None:
    pace = busy_pace(200.0)

    for second in range(100):
        pace.take(START + second)
        pace.slow_down(START + second)

    assert pace.rate(START + 100) == pytest.approx(200.0 * SLOWEST)


@pytest.mark.parametrize(("limit", "slowest"), [(10.0, 1.0), (0.5, 0.5)])
def test_no_page_is_slowed_below_one_a_second(limit: float, slowest: float) -> None:
    pace = Pace(limit)

    for second in range(100):
        pace.take(START + second)
        pace.slow_down(START + second)

    assert pace.rate(START + 100) == slowest


def test_a_page_climbs_fast_then_lingers_and_is_at_its_limit_again_within_two_minutes() -> None:
    pace = busy_pace()
    pace.slow_down(START)
    rates = [pace.rate(START)]

    for tenth in range(12):
        sends_for(pace, 10.0, start=START + 10 * tenth)
        rates.append(pace.rate(START + 10 * (tenth + 1)))

    steps = [after - before for before, after in pairwise(rates)]
    linger = int(CLIMB_SECONDS / 10)
    assert min(steps) >= 0.0
    assert max(steps[linger - 1 : linger + 1]) < steps[0] / 5
    assert rates[-1] == 40.0


def test_a_page_that_rests_does_not_climb() -> None:
    pace = busy_pace(10.0)
    pace.slow_down(START)

    assert pace.rate(START + 3_600) == pace.rate(START) < 10.0


def test_a_page_that_was_refused_is_slower_to_use() -> None:
    pace = busy_pace(TRUSTED)
    pace.slow_down(START)

    assert sent_within(pace, 1.0) < 0.9 * sent_within(Pace(TRUSTED), 1.0)


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


# Pauses


def test_a_page_stops_for_twice_as_long_each_time_that_it_is_refused_before_anything_was_taken() -> None:
    pace, now, pauses = busy_pace(), START, []
    pace.slow_down(now)

    for _ in range(9):
        now += 1.0 + pace.closed_for(now)
        pace.slow_down(now)
        pauses.append(pace.closed_for(now))

    assert pauses == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60, 60])


def test_a_page_does_not_stop_when_something_was_taken_since_it_was_refused() -> None:
    pace = busy_pace()
    pace.slow_down(START)

    pace.take(START + 1.0)
    pace.slow_down(START + 1.0)

    assert pace.closed_for(START + 1.0) == 0.0


def test_a_page_that_stops_keeps_the_pace_that_it_knows() -> None:
    pace = busy_pace()
    pace.slow_down(START)
    pace.slow_down(START + 1.0)

    sends_for(pace, 5.0, start=START + 2.0)

    assert pace.rate(START + 7.0) > 0.7 * 40.0


def test_after_a_pause_nothing_is_made_up_for() -> None:
    pace = Pace(TRUSTED)

    pace.close(START, 30.0)

    assert at_once(pace, START + 30.0) == 1


def test_nothing_leaves_before_a_retry_after_is_over() -> None:
    pace = Pace(40.0)

    pace.close(START, 30.0)

    assert pace.closed_for(START + 10.0) == 20.0
    assert pace.delay(START + 10.0) == 20.0


def test_refusals_of_what_had_left_before_a_pause_slow_nothing_down() -> None:
    pace = busy_pace()

    pace.close(START, 30.0)
    pace.slow_down(START + 2.0)

    assert pace.closed_for(START + 2.0) == 28.0
    sends_for(pace, 5.0, start=START + 30.0)
    assert pace.rate(START + 35.0) == 40.0


def test_no_answer_ends_a_retry_after() -> None:
    pace = Pace(40.0)
    sent = at_once(pace, START)

    pace.close(START, 30.0)
    waits = [pace.delay(START)]
    for _ in range(sent):
        pace.take(START)
    waits.append(pace.delay(START))

    assert waits == [30.0, 30.0]


def test_a_shorter_retry_after_does_not_cut_a_longer_one() -> None:
    pace = Pace(40.0)

    pace.close(START, 30.0)
    pace.close(START + 1.0, 5.0)

    assert pace.closed_for(START + 1.0) == 29.0


def test_a_retry_after_that_is_over_keeps_nobody() -> None:
    pace = Pace(40.0)
    pace.close(START, 30.0)

    assert pace.closed_for(START + 31.0) == 0.0
    assert pace.delay(START + 31.0) == 0.0
