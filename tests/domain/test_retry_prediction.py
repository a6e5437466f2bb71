"""What a dry run says of a recipient."""

import pytest

from domain.delivery import DeliveryStatus
from domain.fault import ErrorType, RetryRule
from domain.graph_codes import BY_SUBCODE, OUTSIDE_WINDOW, PERSON_FORBIDDEN
from domain.retry import SkipReason, Standing
from domain.retry_prediction import Cause, Prediction, predicted

FAILED, UNCONFIRMED = DeliveryStatus.FAILED, DeliveryStatus.UNCONFIRMED


def standing(state: DeliveryStatus, retry: RetryRule, type_: ErrorType = ErrorType.PERMISSION) -> Standing:
    return Standing(state=state, used_up=False, error_type=type_, retry=retry)


AGAIN = standing(FAILED, RetryRule.AUTOMATIC, ErrorType.NETWORK)
NEVER = standing(FAILED, RetryRule.NEVER)
TOKEN = standing(FAILED, RetryRule.NEW_TOKEN, ErrorType.ACCESS_TOKEN)
DOUBTFUL = standing(UNCONFIRMED, RetryRule.NEVER)


@pytest.mark.parametrize(
    ("who", "skipped", "cause"),
    [
        (AGAIN, None, Cause.RETRYABLE_NOW),
        (DOUBTFUL, None, Cause.RETRYABLE_NOW),
        (DOUBTFUL, SkipReason.UNCONFIRMED, Cause.UNCONFIRMED),
        (NEVER, SkipReason.PERMANENT_ERROR, Cause.WILL_FAIL_AGAIN),
        (NEVER, None, Cause.WILL_FAIL_AGAIN),  # somebody insisted
        (TOKEN, SkipReason.TOKEN_NOT_REPLACED, Cause.TOKEN_NOT_REPLACED),
        (TOKEN, None, Cause.TOKEN_NOT_REPLACED),
        (AGAIN, SkipReason.ATTEMPTS_USED_UP, Cause.ATTEMPTS_USED_UP),
        (AGAIN, SkipReason.CHANGED_SINCE, Cause.CHANGED_SINCE),
    ],
)
def test_each_standing_has_its_cause(who: Standing, skipped: SkipReason | None, cause: Cause) -> None:
    found = predicted(who, skipped, outside_window=False, page_is_held=False)

    assert found == Prediction(cause, who.error_type)


@pytest.mark.parametrize("skipped", [None, SkipReason.PERMANENT_ERROR])
def test_the_window_is_told_apart_from_other_permanent_errors(skipped: SkipReason | None) -> None:
    assert predicted(NEVER, skipped, outside_window=True, page_is_held=False).cause is Cause.OUTSIDE_WINDOW


@pytest.mark.parametrize(("who", "cause"), [(AGAIN, Cause.PAGE_ON_HOLD), (NEVER, Cause.WILL_FAIL_AGAIN)])
def test_who_could_be_reached_waits_for_a_page_on_hold(who: Standing, cause: Cause) -> None:
    assert predicted(who, None, outside_window=False, page_is_held=True).cause is cause


def test_every_reason_to_skip_somebody_has_a_cause() -> None:
    for reason in SkipReason:
        assert predicted(AGAIN, reason, outside_window=False, page_is_held=False).cause in Cause


def test_the_window_is_closed_by_errors_that_are_classified_as_permanent() -> None:
    assert {BY_SUBCODE[pair] for pair in OUTSIDE_WINDOW} == {PERSON_FORBIDDEN}
