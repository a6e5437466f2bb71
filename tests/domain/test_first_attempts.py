"""How many attempts may leave before the first outcomes are known, and what a stop reports."""

import pytest

from domain.classification import PlatformError, classify
from domain.outcome import Failed, Outcome, Sent
from domain.page_faults import CONFIRMED_AFTER, PageFaultDetector
from domain.stop_policy import AttemptCounts, Stop, StopCause, StopPolicy

SENT = Sent("m_1")
DEAD = classify(PlatformError(code=551, subcode=1545041))
BAD_IMAGE = classify(PlatformError(code=100, subcode=2018008))
DEAD_TOKEN = classify(PlatformError(code=190))
HALF = StopPolicy(max_failure_share=0.5, min_attempts=10)
ALL = StopPolicy(max_failure_share=1.0, min_attempts=10)


def counted(policy: StopPolicy, *outcomes: Outcome) -> AttemptCounts:
    counts = AttemptCounts(policy)
    for outcome in outcomes:
        counts.add(outcome)
    return counts


@pytest.mark.parametrize(
    ("policy", "outcomes", "in_flight", "room"),
    [
        (ALL, [], 0, 10),
        (ALL, [], 4, 6),
        (ALL, [DEAD] * 3, 4, 3),
        (ALL, [DEAD] * 9, 1, 0),
        (ALL, [], 30, 0),
        (ALL, [DEAD] * 10, 0, None),
        (ALL, [DEAD, SENT], 4, None),
        (HALF, [DEAD, SENT], 4, 4),
        (HALF, [DEAD, SENT] * 5, 0, None),
    ],
)
def test_attempts_leave_up_to_the_minimum_until_enough_is_known(
    policy: StopPolicy, outcomes: list[Outcome], in_flight: int, room: int | None
) -> None:
    assert counted(policy, *outcomes).max_additional(in_flight) == room


def test_a_stop_for_the_share_reports_the_counts_and_the_last_fault() -> None:
    assert isinstance(DEAD, Failed)

    reason = counted(HALF, *[SENT] * 5, *[DEAD] * 5).reason_to_stop()

    assert reason == Stop(cause=StopCause.FAILURE_SHARE, fault=DEAD.fault, failed=5, attempts=10)


def test_a_stop_for_a_repeated_error_reports_that_error() -> None:
    assert isinstance(BAD_IMAGE, Failed)

    reason = counted(StopPolicy(), *[BAD_IMAGE] * CONFIRMED_AFTER, DEAD).reason_to_stop()

    assert reason == Stop(cause=StopCause.CONTENT, fault=BAD_IMAGE.fault, failed=26, attempts=26)


def test_no_outcome_is_no_reason_to_stop() -> None:
    assert AttemptCounts(ALL).reason_to_stop() is None


def test_a_fault_of_the_page_is_certain_after_many_refusals_until_a_success() -> None:
    faults = PageFaultDetector()
    assert isinstance(DEAD_TOKEN, Failed)

    certain = []
    for _ in range(CONFIRMED_AFTER):
        faults.observe(DEAD_TOKEN, 0)
        certain.append(faults.confirmed)

    assert certain == [None] * (CONFIRMED_AFTER - 1) + [DEAD_TOKEN.fault]
    faults.observe(SENT, 0)
    assert faults.confirmed is None
