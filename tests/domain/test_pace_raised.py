"""What a person says about a page's limit goes before what the page found out by itself."""

import pytest

from domain.pace import Pace

START = 1_000.0


def refused_pace(limit: float = 1_500.0) -> Pace:
    """A page that sent ten a second when the platform refused; the time is START."""
    pace = Pace(limit)
    for number in range(20):
        pace.spend(START - 2 + number / 10)
        pace.take(START - 2 + number / 10)
    pace.slow_down(START)
    return pace


def test_a_raised_limit_forgets_the_refusal_under_the_lower_one() -> None:
    pace = refused_pace()
    assert pace.rate(START + 1) < 1_000.0

    pace.set_limit(START + 1, 2_000.0)

    assert pace.rate(START + 1) == 2_000.0  # above all that the platform allows: taken at its word


def test_within_what_the_platform_allows_a_raised_limit_is_approached_with_care() -> None:
    pace = refused_pace(20.0)

    pace.set_limit(START + 1, 200.0)

    assert pace.rate(START + 1) == pytest.approx(10.0, abs=5.0)  # 1.4 times what was taken, ten at least


@pytest.mark.parametrize("limit", [1_500.0, 1_000.0])
def test_the_same_limit_or_a_lower_one_forgets_nothing(limit: float) -> None:
    pace = refused_pace()
    before = pace.rate(START + 1)

    pace.set_limit(START + 1, limit)

    assert pace.rate(START + 1) <= before
