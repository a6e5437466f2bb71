"""A fault of the whole page is suspected or believed after some refusals in a row, and only of the present token."""

import pytest

from domain.classification import PlatformError, classify
from domain.fault import ErrorType, Fault, RetryRule, Scope
from domain.outcome import Failed, Sent, Unconfirmed
from domain.page_faults import CONFIRMED_BY, SUSPECTED_BY, PageFaults


def fault(kind: ErrorType = ErrorType.ACCESS_TOKEN, scope: Scope = Scope.PAGE) -> Fault:
    return Fault(code=190, message="expired", type=kind, scope=scope, retry=RetryRule.NEW_TOKEN)


DEAD = Failed(fault())
NO_SUCH_PERSON = Failed(fault(ErrorType.INVALID_RECIPIENT, Scope.RECIPIENT))


def found(*outcomes: Sent | Failed | Unconfirmed, generation: int = 1) -> list[bool]:
    faults = PageFaults()
    return [faults.found(outcome, generation) is not None for outcome in outcomes]


BLOCKED = Failed(fault(ErrorType.PERMISSION))


def test_refusals_of_a_token_in_a_row_are_suspicious() -> None:
    assert found(*[DEAD] * SUSPECTED_BY) == [False] * (SUSPECTED_BY - 1) + [True]


def test_refusals_of_another_kind_have_to_be_many() -> None:
    assert found(*[BLOCKED] * CONFIRMED_BY) == [False] * (CONFIRMED_BY - 1) + [True]


def test_a_token_that_the_platform_calls_good_is_not_suspected_again_soon() -> None:
    faults = PageFaults()
    for _ in range(SUSPECTED_BY):
        faults.found(DEAD, 1)
    faults.token_accepted()

    later = [faults.found(DEAD, 1) is not None for _ in range(CONFIRMED_BY - SUSPECTED_BY)]
    assert later == [False] * (CONFIRMED_BY - SUSPECTED_BY - 1) + [True]


def test_a_success_resets_the_count() -> None:
    assert not any(found(*[DEAD] * (SUSPECTED_BY - 1), Sent("m_1"), *[DEAD] * (SUSPECTED_BY - 1)))


def test_a_recipients_own_error_does_not_reset_the_count() -> None:
    assert found(*[BLOCKED, BLOCKED, NO_SUCH_PERSON] * CONFIRMED_BY)[3 * (CONFIRMED_BY // 2)]


@pytest.mark.parametrize(("code", "subcode"), [(98765, 0), (98765, 7), (10, 7777777)])
def test_equal_unlisted_errors_without_a_success_are_a_fault_of_the_page(code: int, subcode: int) -> None:
    unlisted = classify(PlatformError(code=code, subcode=subcode, message="?"))

    assert found(*[unlisted] * CONFIRMED_BY) == [False] * (CONFIRMED_BY - 1) + [True]


def test_different_unlisted_errors_are_not_added_up() -> None:
    unlisted = [classify(PlatformError(code=90_000 + number, message="?")) for number in range(3 * CONFIRMED_BY)]

    assert not any(found(*unlisted))


def test_listed_errors_of_recipients_hold_no_page_however_many() -> None:
    dead = classify(PlatformError(code=551, subcode=1545041, message="?"))

    assert not any(found(*[dead] * 4 * CONFIRMED_BY))


def test_an_unknown_outcome_says_nothing() -> None:
    unknown = Unconfirmed(fault(ErrorType.NETWORK, Scope.TRANSPORT))

    assert found(*[DEAD] * (SUSPECTED_BY - 1), unknown, DEAD)[-1]


@pytest.mark.parametrize(
    ("kind", "scope"),
    [
        (ErrorType.RATE_LIMIT, Scope.PAGE),
        (ErrorType.RATE_LIMIT, Scope.APP),
        (ErrorType.NETWORK, Scope.TRANSPORT),
        (ErrorType.OTHER, Scope.CONTENT),
        (ErrorType.PERMISSION, Scope.RECIPIENT),
    ],
)
def test_what_mends_itself_or_hits_one_recipient_holds_no_page(kind: ErrorType, scope: Scope) -> None:
    assert not any(found(*[Failed(fault(kind, scope))] * 3 * CONFIRMED_BY))


@pytest.mark.parametrize("scope", [Scope.PAGE, Scope.APP])
def test_a_block_for_policy_holds_too(scope: Scope) -> None:
    assert found(*[Failed(fault(ErrorType.PERMISSION, scope))] * CONFIRMED_BY)[-1]


def test_what_an_earlier_token_met_says_nothing() -> None:
    faults = PageFaults()
    faults.found(Sent("m_1"), 2)

    assert not any(faults.found(DEAD, 1) for _ in range(3 * CONFIRMED_BY))


def test_another_token_begins_the_count_anew() -> None:
    faults = PageFaults()
    for _ in range(SUSPECTED_BY - 1):
        faults.found(DEAD, 1)

    assert faults.found(DEAD, 2) is None
