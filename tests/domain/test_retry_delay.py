"""The delay before a message's next automatic round."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.retry import RetryPolicy
from domain.retry_delay import ExponentialBackoff, delay_after, jitter_chance
from tests.builders import MESSAGE, after, auto, cron, each

MINUTE = timedelta(minutes=1)


def backoff(**fields: float) -> ExponentialBackoff:
    return ExponentialBackoff(initial=MINUTE, maximum=timedelta(hours=1), **fields)


def test_a_fixed_interval_is_always_the_same() -> None:
    assert [delay_after(each(90), rounds, 0.7) for rounds in range(3)] == [timedelta(seconds=90)] * 3


def test_a_backoff_grows_up_to_its_maximum() -> None:
    delays = [delay_after(backoff(), rounds, 0.5) for rounds in range(8)]

    assert delays == [MINUTE * n for n in (1, 2, 4, 8, 16, 32, 60, 60)]


def test_a_backoff_grows_by_its_multiplier() -> None:
    assert [delay_after(backoff(multiplier=1.5), rounds, 0) for rounds in (0, 1, 2)] == [
        MINUTE,
        1.5 * MINUTE,
        2.25 * MINUTE,
    ]


@pytest.mark.parametrize(("chance", "share"), [(0.0, 1.0), (0.5, 0.9), (1.0, 0.8)])
def test_jitter_shortens_a_delay_by_up_to_its_share(chance: float, share: float) -> None:
    assert delay_after(backoff(jitter=0.2), 1, chance) == share * 2 * MINUTE


@given(
    initial=st.timedeltas(timedelta(seconds=1), timedelta(days=30)),
    multiplier=st.floats(1, 10),
    maximum=st.timedeltas(timedelta(seconds=1), timedelta(days=30)),
    jitter=st.floats(0, 1),
    rounds=st.integers(0, 10),
    chance=st.floats(0, 1),
)
def test_a_delay_is_between_zero_and_the_maximum(
    initial: timedelta, multiplier: float, maximum: timedelta, jitter: float, rounds: int, chance: float
) -> None:
    delay = ExponentialBackoff(initial=initial, multiplier=multiplier, maximum=maximum, jitter=jitter)

    assert timedelta(0) <= delay_after(delay, rounds, chance) <= maximum


def test_jitter_is_evenly_spread_and_reproducible() -> None:
    chances = [jitter_chance(f"m-{number}", rounds) for number in range(1_000) for rounds in range(3)]

    assert chances == [jitter_chance(f"m-{number}", rounds) for number in range(1_000) for rounds in range(3)]
    for tenth in range(10):
        assert 200 < sum(tenth / 10 <= chance < (tenth + 1) / 10 for chance in chances) < 400


@pytest.mark.parametrize(
    ("policy", "rounds", "seconds"),
    [(cron(2, each(60)), 0, 60), (cron(2, each(60)), 1, 60), (auto(2, each(5)), 1, 5)],
)
def test_the_next_round_is_due_a_delay_after_the_last_ones_end(policy: RetryPolicy, rounds: int, seconds: int) -> None:
    assert policy.next_round(MESSAGE, rounds, after(10)) == after(10 + seconds)


@pytest.mark.parametrize(
    ("policy", "rounds"), [(cron(), 0), (auto(), 0), (RetryPolicy(delay=each(60)), 0), (cron(2, each(60)), 2)]
)
def test_no_round_is_due_without_a_schedule_or_rounds_left(policy: RetryPolicy, rounds: int) -> None:
    assert policy.next_round(MESSAGE, rounds, after(10)) is None


def test_two_messages_that_end_together_are_not_retried_together() -> None:
    policy = cron(3, backoff(jitter=0.5))

    assert policy.next_round("m-1", 0, after(0)) != policy.next_round("m-2", 0, after(0))
