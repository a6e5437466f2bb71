"""A page's limit that a person raises."""

import pytest

from domain.adaptive_rate import AdaptiveRate

START = 1_000.0


def refused_pace(limit: float = 1_500.0) -> AdaptiveRate:
    """Return a rate limit that is refused after two seconds at ten messages per second; the time is START."""
    pace = AdaptiveRate(limit)
    for number in range(20):
        pace.record_sent(START - 2 + number / 10)
        pace.record_accepted(START - 2 + number / 10)
    pace.record_refusal(START)
    return pace


def test_raising_the_limit_ends_the_effect_of_a_refusal() -> None:
    pace = refused_pace()
    assert pace.rate(START + 1) < 1_000.0

    pace.set_limit(START + 1, 2_000.0)

    assert pace.rate(START + 1) == 2_000.0  # above the platform's limit: it applies at once


def test_a_raised_limit_within_the_platforms_is_approached_gradually() -> None:
    pace = refused_pace(20.0)

    pace.set_limit(START + 1, 200.0)

    assert pace.rate(START + 1) == pytest.approx(10.0, abs=5.0)  # 1.4 times the accepted messages, at least ten


@pytest.mark.parametrize("limit", [1_500.0, 1_000.0])
def test_the_same_or_a_lower_limit_keeps_the_effect_of_a_refusal(limit: float) -> None:
    pace = refused_pace()
    before = pace.rate(START + 1)

    pace.set_limit(START + 1, limit)

    assert pace.rate(START + 1) <= before
