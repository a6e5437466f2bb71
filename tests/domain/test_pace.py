"""A page's pace, in a time of its own."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.pace import BURST_SECONDS, RECOVERY_PER_SECOND, SLOWEST, Pace

START = 1_000.0  # seconds on the pace's clock


def sent_within(pace: Pace, seconds: float, messages: int = 1) -> int:
    """How many messages somebody sends who waits as he is told."""
    now, sent = START, 0
    while True:
        now += pace.delay(now)
        if now >= START + seconds:
            return sent
        pace.spend(now, messages)
        sent += messages


def test_messages_leave_at_the_limit() -> None:
    assert sent_within(Pace(10.0), 60.0) == pytest.approx(600, abs=10 * BURST_SECONDS + 1)


def test_a_pace_below_one_a_second_holds() -> None:
    assert sent_within(Pace(0.5), 60.0) == pytest.approx(30, abs=1)


def test_a_graph_batch_counts_as_many_messages_as_it_has() -> None:
    assert sent_within(Pace(100.0), 60.0, messages=50) == pytest.approx(6_000, abs=75)


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


def test_after_a_pause_no_more_than_a_quarter_of_a_second_leaves_at_once() -> None:
    pace = Pace(40.0)
    pace.spend(START)

    at_once = 0
    while pace.delay(START + 60.0) == 0.0:
        pace.spend(START + 60.0)
        at_once += 1

    assert at_once == pytest.approx(40 * BURST_SECONDS, abs=1)


@pytest.mark.parametrize(
    ("limit", "most", "chunk"), [(40.0, 100, 10), (10_000.0, 100, 100), (1.0, 100, 1), (0.01, 100, 1), (40.0, 3, 3)]
)
def test_a_chunk_is_what_leaves_in_a_quarter_of_a_second_but_at_least_one(limit: float, most: int, chunk: int) -> None:
    assert Pace(limit).chunk(START, most) == chunk


def test_another_limit_holds_from_now_on() -> None:
    pace = Pace(10.0)

    pace.set_limit(START, 20.0)

    assert pace.rate(START) == 20.0


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


def test_a_refusal_halves_the_pace() -> None:
    pace = Pace(40.0)

    pace.slow_down(START)

    assert pace.rate(START) == 20.0


def test_refusals_within_a_second_count_as_one() -> None:
    pace = Pace(40.0)

    for moment in (0.0, 0.5, 0.99):
        pace.slow_down(START + moment)

    assert pace.rate(START) == 20.0


def test_a_pace_never_stops_altogether() -> None:
    pace = Pace(40.0)

    for second in range(100):
        pace.slow_down(START + second)

    assert pace.rate(START + 99) == pytest.approx(40 * SLOWEST)


def test_a_pace_recovers_by_itself_up_to_its_limit() -> None:
    pace = Pace(40.0)
    pace.slow_down(START)

    assert pace.rate(START + 2) == pytest.approx(40 * (0.5 + 2 * RECOVERY_PER_SECOND))
    assert pace.rate(START + 3_600) == 40.0


def test_a_slower_page_is_slower_to_use() -> None:
    pace = Pace(40.0)
    pace.slow_down(START)

    assert sent_within(pace, 1.0) < 0.7 * sent_within(Pace(40.0), 1.0)


def test_nothing_leaves_before_a_retry_after_is_over() -> None:
    pace = Pace(40.0)

    pace.close(START, 30.0)

    assert pace.closed_for(START + 10.0) == 20.0
    assert pace.delay(START + 10.0) == 20.0


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
