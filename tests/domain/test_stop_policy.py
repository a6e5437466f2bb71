"""Stopping a message after repeated refusals without a success, or by the share of failures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.classification import PlatformError, classify, classify_no_answer
from domain.outcome import Outcome, Sent
from domain.page_faults import CONFIRMED_AFTER
from domain.stop_policy import AttemptCounts, StopCause, StopPolicy

SENT = Sent("m_1")
DEAD = classify(PlatformError(code=551, subcode=1545041))
BAD_IMAGE = classify(PlatformError(code=100, subcode=2018008))
UNLISTED = classify(PlatformError(code=98765))
DEAD_TOKEN = classify(PlatformError(code=190))
LIMITED = classify(PlatformError(code=613))
LOST = classify_no_answer("reset")


def stopped_by(*outcomes: Outcome, policy: StopPolicy = StopPolicy()) -> tuple[StopCause, int] | None:  # noqa: B008 - immutable
    """Return the cause of the first stop, and the number of outcomes before it; None for no stop."""
    counts = AttemptCounts(policy)
    for number, outcome in enumerate(outcomes, start=1):
        counts.add(outcome)
        if (reason := counts.reason_to_stop()) is not None:
            return reason.cause, number
    return None


@pytest.mark.parametrize(
    ("refusal", "cause"),
    [
        (BAD_IMAGE, StopCause.CONTENT),
        (UNLISTED, StopCause.REPEATED_ERROR),
        (DEAD_TOKEN, StopCause.REPEATED_ERROR),
    ],
)
def test_refusals_that_every_recipient_would_get_stop_a_message(refusal: Outcome, cause: StopCause) -> None:
    assert stopped_by(SENT, *[refusal] * 50) == (cause, 1 + CONFIRMED_AFTER)


def test_recipient_errors_in_between_do_not_reset_the_count() -> None:
    assert stopped_by(SENT, *[BAD_IMAGE, DEAD] * 50) == (StopCause.CONTENT, 2 * CONFIRMED_AFTER)


def test_a_success_resets_the_count() -> None:
    assert stopped_by(*[*[BAD_IMAGE] * (CONFIRMED_AFTER - 1), SENT] * 10) is None


@pytest.mark.parametrize("outcome", [DEAD, LOST])
def test_a_message_stops_if_its_first_100_attempts_reach_no_recipient(outcome: Outcome) -> None:
    assert stopped_by(*[outcome] * 200) == (StopCause.FAILURE_SHARE, 100)
    assert stopped_by(SENT, *[outcome] * 200) is None


@pytest.mark.parametrize("outcome", [LIMITED])
def test_rate_limits_do_not_stop_a_message(outcome: Outcome) -> None:
    assert stopped_by(*[outcome] * 200) is None


def test_a_custom_policy_sets_share_and_minimum() -> None:
    policy = StopPolicy(max_failure_share=0.5, min_attempts=10)

    assert stopped_by(*[DEAD, SENT] * 100, policy=policy) == (StopCause.FAILURE_SHARE, 10)
    assert stopped_by(*[DEAD, SENT, SENT] * 100, policy=policy) is None


@given(st.lists(st.sampled_from([SENT, DEAD, BAD_IMAGE, UNLISTED, LOST]), max_size=300))
def test_the_default_policy_allows_at_most_100_attempts_before_a_first_success(outcomes: list[Outcome]) -> None:
    """Attempts in flight count too."""
    counts, in_flight, answered = AttemptCounts(StopPolicy()), 0, 0
    for outcome in outcomes:
        room = counts.max_additional(in_flight)
        in_flight += 10 if room is None else min(10, room)
        if not in_flight or counts.reason_to_stop() is not None:
            break
        counts.add(outcome)
        in_flight, answered = in_flight - 1, answered + 1
        has_success = SENT in outcomes[:answered]
        assert has_success or answered + in_flight <= 100
