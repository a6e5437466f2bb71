"""The rate limit adapts to the platform: at least 90 % of its limit within two minutes, and under 1 % refused."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.adaptive_rate import BURST_SECONDS, FIRST_RATE, PLATFORM_LIMIT, AdaptiveRate
from tests.domain.simulated_platforms import LIMITERS, START, Blocking, Bucket, Sender, SlidingWindow

BOUNDLESS = 1e9  # messages per second


def sender(limiter: str, limit: float, latency: float, own: float = PLATFORM_LIMIT) -> Sender:
    return Sender(AdaptiveRate(own), LIMITERS[limiter](limit), latency)


# An unknown limit


@pytest.mark.parametrize("latency", [0.005, 0.05, 0.2, 0.5])
@pytest.mark.parametrize("limit", [10, 11, 14, 40, 130, 300])
@pytest.mark.parametrize("limiter", LIMITERS)
def test_the_rate_reaches_an_unknown_limit_within_two_minutes(limiter: str, limit: int, latency: float) -> None:
    page = sender(limiter, limit, latency)

    page.send_until(120)

    assert page.reached(90, 120) >= 0.9
    assert page.refused_share(0, 120) < 0.01


@settings(derandomize=True, deadline=None, max_examples=50)
@given(limiter=st.sampled_from(sorted(LIMITERS)), limit=st.integers(10, 300), latency=st.floats(0.001, 0.5))
def test_the_rate_reaches_any_limit_at_any_latency(limiter: str, limit: int, latency: float) -> None:
    page = sender(limiter, limit, latency)

    page.send_until(120)

    assert page.reached(90, 120) >= 0.9
    assert page.refused_share(0, 120) < 0.01


@pytest.mark.parametrize("limit", [10, 60])
@pytest.mark.parametrize("limiter", LIMITERS)
def test_the_rate_stays_at_the_limit(limiter: str, limit: int) -> None:
    page = sender(limiter, limit, latency=0.3)

    page.send_until(720)

    assert min(page.reached(first, first + 60) for first in range(120, 720, 60)) >= 0.9
    assert page.refused_share(0, 720) < 0.01


@pytest.mark.parametrize("own", [20.0, 50.0, 150.0])
def test_the_rate_reaches_a_platform_limit_below_the_pages_limit(own: float) -> None:
    page = sender("sliding window", 12, latency=0.2, own=own)

    page.send_until(120)

    assert page.reached(90, 120) >= 0.9
    assert page.refused_share(0, 120) < 0.01


def test_the_rate_never_exceeds_the_pages_limit() -> None:
    page = sender("sliding window", 100, latency=0.2, own=30.0)

    page.send_until(120)

    assert page.taken(60, 120) == pytest.approx(30 * 60, abs=3)
    assert page.refused(0, 120) == 0


# A limit that changes


@pytest.mark.parametrize("limit", [20, 100, 300])
@pytest.mark.parametrize("limiter", LIMITERS)
def test_the_rate_follows_a_halved_limit_within_ten_seconds(limiter: str, limit: int) -> None:
    platform = LIMITERS[limiter](limit)
    page = Sender(AdaptiveRate(PLATFORM_LIMIT), platform, latency=0.3)
    page.send_until(180)

    platform.limit = limit / 2
    page.send_until(300)

    assert page.reached(190, 220) >= 0.85
    assert page.refused_share(190, 300) < 0.01
    assert page.refused_share(0, 300) < 0.01


@pytest.mark.parametrize("limit", [10, 50, 150])
@pytest.mark.parametrize("limiter", LIMITERS)
def test_the_rate_follows_a_doubled_limit_within_two_minutes(limiter: str, limit: int) -> None:
    platform = LIMITERS[limiter](limit)
    page = Sender(AdaptiveRate(PLATFORM_LIMIT), platform, latency=0.3)
    page.send_until(180)

    platform.limit = limit * 2
    page.send_until(330)

    assert page.reached(300, 330) >= 0.9
    assert page.refused_share(0, 330) < 0.01


# The start


@pytest.mark.parametrize(("own", "seconds"), [(20.0, 4), (40.0, 7), (100.0, 10), (300.0, 14)])
def test_a_page_starts_slowly_and_reaches_its_limit_within_seconds(own: float, seconds: int) -> None:
    page = Sender(AdaptiveRate(own), Bucket(BOUNDLESS, 1.0), latency=0.2)

    page.send_until(seconds + 10)

    assert page.taken(0, 1) == pytest.approx(FIRST_RATE, abs=3)
    assert page.taken(seconds, seconds + 10) == pytest.approx(own * 10, rel=0.01)


def test_a_page_starts_slowly_after_idle_time() -> None:
    page = Sender(AdaptiveRate(100.0), Bucket(BOUNDLESS, 1.0), latency=0.2)
    page.send_until(30)

    page.rest_until(60)
    page.send_until(70)

    assert page.taken(29, 30) == pytest.approx(100, abs=2)
    assert page.taken(60, 61) == pytest.approx(FIRST_RATE, abs=3)


@pytest.mark.parametrize("own", [20.0, 40.0, 100.0])
def test_with_immediate_answers_a_page_starts_at_its_limit(own: float) -> None:
    page = Sender(AdaptiveRate(own), Bucket(BOUNDLESS, 1.0), latency=0.005)

    page.send_until(10)

    first, *others = (page.taken(second, second + 1) for second in range(10))
    assert own <= first <= own * (1 + BURST_SECONDS) + 1
    assert others == pytest.approx([own] * 9, abs=1)


def test_with_immediate_answers_a_raised_limit_applies_at_once() -> None:
    pace = AdaptiveRate(0.01)
    pace.record_sent(START)
    pace.record_accepted(START)

    pace.set_limit(START, 40.0)
    page = Sender(pace, Bucket(BOUNDLESS, 1.0), latency=0.005)
    page.send_until(2)

    assert page.taken(0, 2) == pytest.approx(80, abs=5)


def test_after_a_refusal_a_page_starts_slowly_even_with_immediate_answers() -> None:
    pace = AdaptiveRate(100.0)
    pace.record_refusal(START)
    page = Sender(pace, Bucket(BOUNDLESS, 1.0), latency=0.005)

    page.send_until(1)

    assert 0 < page.taken(0, 1) <= FIRST_RATE


def test_without_answers_the_rate_does_not_rise() -> None:
    page = Sender(AdaptiveRate(100.0), Bucket(BOUNDLESS, 1.0), latency=60.0)

    page.send_until(30)

    assert page.taken(0, 30) == pytest.approx(FIRST_RATE * 30, abs=3)


@pytest.mark.parametrize("own", [FIRST_RATE / 4, FIRST_RATE, PLATFORM_LIMIT + 1, 10_000.0])
def test_limits_up_to_the_first_rate_or_above_the_platforms_apply_at_once(own: float) -> None:
    assert AdaptiveRate(own).rate(START) == own


# A platform that accepts nothing


def test_a_blocked_page_sends_ever_fewer_requests() -> None:
    page = Sender(AdaptiveRate(40.0), SlidingWindow(0), latency=0.2)

    page.send_until(600)

    calls = [page.refused(first, first + 60) for first in range(0, 600, 60)]
    assert calls[0] < 60
    assert max(calls[5:]) <= 5
    assert sum(calls[5:]) >= 4  # but it does not stop trying


def test_a_block_that_each_request_prolongs_ends() -> None:
    page = Sender(AdaptiveRate(40.0), Blocking(20.0, seconds=10.0), latency=0.2)

    page.send_until(600)

    minutes = [page.taken(first, first + 60) for first in range(0, 600, 60)]
    assert all(itertools.accumulate(minutes))
    assert min(minutes[1:]) > 100
