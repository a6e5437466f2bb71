"""After rate limit errors a page slows down, and pauses if that does not help."""

from itertools import pairwise

import pytest

from domain.adaptive_rate import BACKOFF_FACTOR, CLIMB_SECONDS, FIRST_RATE, MIN_RATE_SHARE, AdaptiveRate
from tests.domain.simulated_pages import START, TRUSTED, at_once, busy_pace, sends_for, sent_within


def test_a_refusal_lowers_the_rate_to_four_fifths_of_the_accepted_rate() -> None:
    pace = busy_pace()

    pace.record_refusal(START)

    assert pace.rate(START) == pytest.approx(BACKOFF_FACTOR * 40.0, rel=0.03)


def test_a_low_accepted_rate_lowers_the_rate_at_once() -> None:
    pace = busy_pace(TRUSTED, share=0.1)

    pace.record_refusal(START)

    assert pace.rate(START) == pytest.approx(BACKOFF_FACTOR * 100.0, rel=0.03)


def test_a_refused_first_message_lowers_the_rate_to_two_fifths() -> None:
    pace = AdaptiveRate(FIRST_RATE)

    pace.record_refusal(START)

    assert pace.rate(START) == pytest.approx(0.4 * FIRST_RATE)


def test_refusals_within_a_second_count_as_one() -> None:
    pace = busy_pace()
    pace.record_refusal(START)
    slowed = pace.rate(START)

    for moment in (0.1, 0.5, 0.99):
        pace.record_accepted(START + moment)
        pace.record_refusal(START + moment)

    assert pace.rate(START) == slowed


def test_repeated_refusals_lower_the_rate_to_a_fortieth_of_the_limit() -> None:
    pace = busy_pace(200.0)

    for second in range(100):
        pace.record_accepted(START + second)
        pace.record_refusal(START + second)

    assert pace.rate(START + 100) == pytest.approx(200.0 * MIN_RATE_SHARE)


@pytest.mark.parametrize(("limit", "slowest"), [(10.0, 1.0), (0.5, 0.5)])
def test_refusals_do_not_lower_the_rate_below_one_message_per_second(limit: float, slowest: float) -> None:
    pace = AdaptiveRate(limit)

    for second in range(100):
        pace.record_accepted(START + second)
        pace.record_refusal(START + second)

    assert pace.rate(START + 100) == slowest


def test_the_rate_rises_fast_then_flattens_and_reaches_the_limit_within_two_minutes() -> None:
    pace = busy_pace()
    pace.record_refusal(START)
    rates = [pace.rate(START)]

    for tenth in range(12):
        sends_for(pace, 10.0, start=START + 10 * tenth)
        rates.append(pace.rate(START + 10 * (tenth + 1)))

    steps = [after - before for before, after in pairwise(rates)]
    plateau = int(CLIMB_SECONDS / 10)
    assert min(steps) >= 0.0
    assert max(steps[plateau - 1 : plateau + 1]) < steps[0] / 5
    assert rates[-1] == 40.0


def test_the_rate_does_not_rise_while_the_page_is_idle() -> None:
    pace = busy_pace(10.0)
    pace.record_refusal(START)

    assert pace.rate(START + 3_600) == pace.rate(START) < 10.0


def test_a_refused_page_sends_fewer_messages() -> None:
    pace = busy_pace(TRUSTED)
    pace.record_refusal(START)

    assert sent_within(pace, 1.0) < 0.9 * sent_within(AdaptiveRate(TRUSTED), 1.0)


# Pauses


def test_each_refusal_without_an_accepted_message_doubles_the_pause() -> None:
    pace, now, pauses = busy_pace(), START, []
    pace.record_refusal(now)

    for _ in range(9):
        now += 1.0 + pace.paused_for(now)
        pace.record_refusal(now)
        pauses.append(pace.paused_for(now))

    assert pauses == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60, 60])


def test_a_refusal_after_an_accepted_message_causes_no_pause() -> None:
    pace = busy_pace()
    pace.record_refusal(START)

    pace.record_accepted(START + 1.0)
    pace.record_refusal(START + 1.0)

    assert pace.paused_for(START + 1.0) == 0.0


def test_a_pause_keeps_the_rate() -> None:
    pace = busy_pace()
    pace.record_refusal(START)
    pace.record_refusal(START + 1.0)

    sends_for(pace, 5.0, start=START + 2.0)

    assert pace.rate(START + 7.0) > 0.7 * 40.0


def test_a_pause_does_not_add_up_to_a_burst() -> None:
    pace = AdaptiveRate(TRUSTED)

    pace.pause(START, 30.0)

    assert at_once(pace, START + 30.0) == 1


def test_no_message_is_sent_before_a_retry_after_ends() -> None:
    pace = AdaptiveRate(40.0)

    pace.pause(START, 30.0)

    assert pace.paused_for(START + 10.0) == 20.0
    assert pace.delay(START + 10.0) == 20.0


def test_refusals_during_a_pause_do_not_lower_the_rate() -> None:
    pace = busy_pace()

    pace.pause(START, 30.0)
    pace.record_refusal(START + 2.0)

    assert pace.paused_for(START + 2.0) == 28.0
    sends_for(pace, 5.0, start=START + 30.0)
    assert pace.rate(START + 35.0) == 40.0


def test_answers_do_not_end_a_retry_after() -> None:
    pace = AdaptiveRate(40.0)
    sent = at_once(pace, START)

    pace.pause(START, 30.0)
    waits = [pace.delay(START)]
    for _ in range(sent):
        pace.record_accepted(START)
    waits.append(pace.delay(START))

    assert waits == [30.0, 30.0]


def test_a_shorter_retry_after_does_not_shorten_a_longer_one() -> None:
    pace = AdaptiveRate(40.0)

    pace.pause(START, 30.0)
    pace.pause(START + 1.0, 5.0)

    assert pace.paused_for(START + 1.0) == 29.0


def test_an_expired_retry_after_causes_no_delay() -> None:
    pace = AdaptiveRate(40.0)
    pace.pause(START, 30.0)

    assert pace.paused_for(START + 31.0) == 0.0
    assert pace.delay(START + 31.0) == 0.0
