"""A page fault is suspected or confirmed after some refusals of the current token without a success."""

import pytest

from domain.classification import PlatformError, classify
from domain.fault import ErrorType, Fault, FaultScope, RetryRule
from domain.outcome import Failed, Sent, Unconfirmed
from domain.page_faults import CONFIRMED_AFTER, SUSPECTED_AFTER, PageFaultDetector


def fault(kind: ErrorType = ErrorType.ACCESS_TOKEN, scope: FaultScope = FaultScope.PAGE) -> Fault:
    return Fault(code=190, message="expired", type=kind, scope=scope, retry=RetryRule.NEW_TOKEN)


DEAD = Failed(fault())
NO_SUCH_PERSON = Failed(fault(ErrorType.INVALID_RECIPIENT, FaultScope.RECIPIENT))


def found(*outcomes: Sent | Failed | Unconfirmed, generation: int = 1) -> list[bool]:
    faults = PageFaultDetector()
    return [faults.observe(outcome, generation) is not None for outcome in outcomes]


BLOCKED = Failed(fault(ErrorType.PERMISSION))


def test_refusals_of_a_token_in_a_row_are_suspected() -> None:
    assert found(*[DEAD] * SUSPECTED_AFTER) == [False] * (SUSPECTED_AFTER - 1) + [True]


def test_other_refusals_are_confirmed_after_many() -> None:
    assert found(*[BLOCKED] * CONFIRMED_AFTER) == [False] * (CONFIRMED_AFTER - 1) + [True]


def test_an_accepted_token_is_reported_only_when_confirmed() -> None:
    faults = PageFaultDetector()
    for _ in range(SUSPECTED_AFTER):
        faults.observe(DEAD, 1)
    faults.record_token_accepted()

    later = [faults.observe(DEAD, 1) is not None for _ in range(CONFIRMED_AFTER - SUSPECTED_AFTER)]
    assert later == [False] * (CONFIRMED_AFTER - SUSPECTED_AFTER - 1) + [True]


def test_a_success_resets_the_count() -> None:
    assert not any(found(*[DEAD] * (SUSPECTED_AFTER - 1), Sent("m_1"), *[DEAD] * (SUSPECTED_AFTER - 1)))


def test_a_recipients_own_error_does_not_reset_the_count() -> None:
    assert found(*[BLOCKED, BLOCKED, NO_SUCH_PERSON] * CONFIRMED_AFTER)[3 * (CONFIRMED_AFTER // 2)]


@pytest.mark.parametrize(("code", "subcode"), [(98765, 0), (98765, 7), (10, 7777777)])
def test_equal_unlisted_errors_without_a_success_are_a_page_fault(code: int, subcode: int) -> None:
    unlisted = classify(PlatformError(code=code, subcode=subcode, message="?"))

    assert found(*[unlisted] * CONFIRMED_AFTER) == [False] * (CONFIRMED_AFTER - 1) + [True]


def test_different_unlisted_errors_are_not_added_up() -> None:
    unlisted = [classify(PlatformError(code=90_000 + number, message="?")) for number in range(3 * CONFIRMED_AFTER)]

    assert not any(found(*unlisted))


def test_listed_recipient_errors_are_never_a_page_fault() -> None:
    dead = classify(PlatformError(code=551, subcode=1545041, message="?"))

    assert not any(found(*[dead] * 4 * CONFIRMED_AFTER))


def test_an_unconfirmed_outcome_neither_counts_nor_resets() -> None:
    unconfirmed = Unconfirmed(fault(ErrorType.NETWORK, FaultScope.TRANSPORT))

    assert found(*[DEAD] * (SUSPECTED_AFTER - 1), unconfirmed, DEAD)[-1]


@pytest.mark.parametrize(
    ("kind", "scope"),
    [
        (ErrorType.RATE_LIMIT, FaultScope.PAGE),
        (ErrorType.RATE_LIMIT, FaultScope.APP),
        (ErrorType.NETWORK, FaultScope.TRANSPORT),
        (ErrorType.OTHER, FaultScope.CONTENT),
        (ErrorType.PERMISSION, FaultScope.RECIPIENT),
    ],
)
def test_temporary_and_recipient_faults_are_never_a_page_fault(kind: ErrorType, scope: FaultScope) -> None:
    assert not any(found(*[Failed(fault(kind, scope))] * 3 * CONFIRMED_AFTER))


@pytest.mark.parametrize("scope", [FaultScope.PAGE, FaultScope.APP])
def test_a_policy_block_is_a_page_fault(scope: FaultScope) -> None:
    assert found(*[Failed(fault(ErrorType.PERMISSION, scope))] * CONFIRMED_AFTER)[-1]


def test_outcomes_of_an_earlier_token_are_ignored() -> None:
    faults = PageFaultDetector()
    faults.observe(Sent("m_1"), 2)

    assert not any(faults.observe(DEAD, 1) for _ in range(3 * CONFIRMED_AFTER))


def test_a_new_token_restarts_the_count() -> None:
    faults = PageFaultDetector()
    for _ in range(SUSPECTED_AFTER - 1):
        faults.observe(DEAD, 1)

    assert faults.observe(DEAD, 2) is None
