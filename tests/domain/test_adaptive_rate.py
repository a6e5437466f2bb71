"""The rate limit of a page, in virtual time."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.adaptive_rate import ANSWER_SECONDS, BURST_SECONDS, FIRST_RATE, AdaptiveRate
from tests.domain.simulated_pages import START, TRUSTED, at_once, sent_within


@pytest.mark.parametrize("limit", [10.0, TRUSTED])
def test_messages_are_sent_at_the_limit(limit: float) -> None:
    assert sent_within(AdaptiveRate(limit), 60.0) == pytest.approx(60 * limit, abs=limit * BURST_SECONDS + 1)


def test_a_limit_below_one_message_per_second_is_kept() -> None:
    assert sent_within(AdaptiveRate(0.5), 60.0) == pytest.approx(30, abs=1)


def test_a_graph_batch_counts_as_many_messages_as_it_has() -> None:
    assert sent_within(AdaptiveRate(TRUSTED), 60.0, messages=50) == pytest.approx(60_000, abs=150)


@settings(derandomize=True)
@given(limit=st.floats(0.1, 1_000.0), pauses=st.lists(st.floats(0.0, 3.0), max_size=60))
def test_no_sequence_of_waits_exceeds_the_limit_plus_one_burst(limit: float, pauses: list[float]) -> None:
    pace, now = AdaptiveRate(limit), START
    for sent, pause in enumerate(pauses):
        now += pause
        now += pace.delay(now)
        pace.record_sent(now)
        assert sent <= limit * (now - START + BURST_SECONDS) + 1e-6


def test_reading_the_delay_does_not_use_capacity() -> None:
    pace = AdaptiveRate(10.0)

    assert [pace.delay(START) for _ in range(100)] == [0.0] * 100


def test_after_idle_time_the_burst_is_a_tenth_of_a_second() -> None:
    pace = AdaptiveRate(TRUSTED)
    pace.record_sent(START)

    assert at_once(pace, START + 60.0) == pytest.approx(TRUSTED * BURST_SECONDS, abs=1)


@pytest.mark.parametrize(
    ("limit", "most", "chunk"), [(400.0, 200, 100), (10_000.0, 100, 100), (1.0, 100, 1), (0.01, 100, 1), (400.0, 3, 3)]
)
def test_a_chunk_is_a_quarter_of_a_second_and_at_least_one_message(limit: float, most: int, chunk: int) -> None:
    assert AdaptiveRate(limit).chunk_size(START, most) == chunk


def test_a_new_limit_applies_at_once() -> None:
    pace = AdaptiveRate(10.0)

    pace.set_limit(START, 5.0)

    assert pace.rate(START) == 5.0


def test_the_wait_under_a_lower_limit_is_converted_to_a_higher_one() -> None:
    pace = AdaptiveRate(0.01)
    pace.record_sent(START)
    pace.record_sent(START)

    pace.set_limit(START, 10.0)

    assert pace.delay(START) == pytest.approx(0.2, abs=0.01)


def test_setting_the_same_limit_keeps_the_wait() -> None:
    pace = AdaptiveRate(500.0)
    for _ in range(10):
        pace.record_sent(START, 50)
    before = pace.delay(START)

    pace.set_limit(START, 500.0)

    assert pace.delay(START) == pytest.approx(before)
    assert before > 0.5


# Immediate answers


def test_the_wait_for_an_answer_is_short_and_ends_with_the_answer() -> None:
    pace = AdaptiveRate(40.0)
    sent = at_once(pace, START)
    unanswered = pace.delay(START)

    for _ in range(sent):
        pace.record_accepted(START + 0.1)

    assert unanswered == ANSWER_SECONDS
    assert pace.delay(START + 0.1) == 0.0


def test_answers_do_not_raise_the_rate_above_the_limit() -> None:
    pace, sent = AdaptiveRate(40.0), 0

    while pace.delay(START) == 0.0:
        pace.record_sent(START)
        pace.record_accepted(START)
        sent += 1

    assert sent == pytest.approx(40 * BURST_SECONDS, abs=1)


def test_after_a_refusal_answers_do_not_shorten_the_wait() -> None:
    pace = AdaptiveRate(40.0)
    pace.record_refusal(START)

    for _ in range(at_once(pace, START)):
        pace.record_accepted(START)

    assert pace.delay(START) > 1 / FIRST_RATE
