"""A page that the platform refuses slows down, and stops where that does not help."""

from itertools import pairwise

import pytest

from domain.pace import BACK_OFF, CLIMB_SECONDS, FIRST_RATE, SLOWEST, Pace
from tests.domain.paced_pages import START, TRUSTED, at_once, busy_pace, sends_for, sent_within


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
