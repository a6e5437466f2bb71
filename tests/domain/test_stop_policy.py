"""When the attempts of a message stop it: repeated refusals without a success, or the share of failures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.classification import PlatformError, classify, unanswered
from domain.outcome import Outcome, Sent
from domain.page_faults import CONFIRMED_BY
from domain.stop_policy import AttemptCounts, StopCause, StopPolicy

SENT = Sent("m_1")
DEAD = classify(PlatformError(code=551, subcode=1545041))
BAD_IMAGE = classify(PlatformError(code=100, subcode=2018008))
UNLISTED = classify(PlatformError(code=98765))
DEAD_TOKEN = classify(PlatformError(code=190))
LIMITED = classify(PlatformError(code=613))
LOST = unanswered("reset")


def stopped_by(*outcomes: Outcome, policy: StopPolicy = StopPolicy()) -> tuple[StopCause, int] | None:  # noqa: B008 - immutable
    """The cause of the first stop, and after how many outcomes it came; None for no stop."""
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
def test_refusals_that_would_hit_everybody_stop_a_message(refusal: Outcome, cause: StopCause) -> None:
    assert stopped_by(SENT, *[refusal] * 50) == (cause, 1 + CONFIRMED_BY)


def test_errors_of_recipients_in_between_do_not_reset_the_count() -> None:
    assert stopped_by(SENT, *[BAD_IMAGE, DEAD] * 50) == (StopCause.CONTENT, 2 * CONFIRMED_BY)


def test_a_success_resets_the_count() -> None:
    assert stopped_by(*[*[BAD_IMAGE] * (CONFIRMED_BY - 1), SENT] * 10) is None


@pytest.mark.parametrize("outcome", [DEAD, LOST])
def test_a_message_whose_first_hundred_attempts_reached_nobody_stops(outcome: Outcome) -> None:
    assert stopped_by(*[outcome] * 200) == (StopCause.FAILURE_SHARE, 100)
    assert stopped_by(SENT, *[outcome] * 200) is None


@pytest.mark.parametrize("outcome", [LIMITED])
def test_rate_limits_stop_no_message(outcome: Outcome) -> None:
    assert stopped_by(*[outcome] * 200) is None


def test_a_policy_of_ones_own_says_share_and_minimum() -> None:
    policy = StopPolicy(max_failure_share=0.5, min_attempts=10)

    assert stopped_by(*[DEAD, SENT] * 100, policy=policy) == (StopCause.FAILURE_SHARE, 10)
    assert stopped_by(*[DEAD, SENT, SENT] * 100, policy=policy) is None


@given(st.lists(st.sampled_from([SENT, DEAD, BAD_IMAGE, UNLISTED, LOST]), max_size=300))
def test_the_default_policy_wastes_at_most_its_minimum_before_a_first_success(outcomes: list[Outcome]) -> None:
    """Counting what is in flight too, a message without a success never has more than 100 attempts."""
    counts, in_flight, answered = AttemptCounts(StopPolicy()), 0, 0
    for outcome in outcomes:
        room = counts.room(in_flight)
        in_flight += 10 if room is None else min(10, room)
        if not in_flight or counts.reason_to_stop() is not None:
            break
        counts.add(outcome)
        in_flight, answered = in_flight - 1, answered + 1
        has_success = SENT in outcomes[:answered]
        assert has_success or answered + in_flight <= 100
