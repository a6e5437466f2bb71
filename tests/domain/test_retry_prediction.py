"""The prediction of a dry run for a recipient."""

import pytest

from domain.delivery import DeliveryStatus
from domain.fault import ErrorType, RetryRule
from domain.graph_codes import BY_SUBCODE, OUTSIDE_WINDOW, RECIPIENT_FORBIDDEN
from domain.retry import RetryState, SkipReason
from domain.retry_prediction import PredictedCause, Prediction, predict

FAILED, UNCONFIRMED = DeliveryStatus.FAILED, DeliveryStatus.UNCONFIRMED


def retry_state(state: DeliveryStatus, retry: RetryRule, type_: ErrorType = ErrorType.PERMISSION) -> RetryState:
    return RetryState(status=state, attempts_exhausted=False, error_type=type_, retry=retry)


AGAIN = retry_state(FAILED, RetryRule.AUTOMATIC, ErrorType.NETWORK)
NEVER = retry_state(FAILED, RetryRule.NEVER)
TOKEN = retry_state(FAILED, RetryRule.NEW_TOKEN, ErrorType.ACCESS_TOKEN)
DOUBTFUL = retry_state(UNCONFIRMED, RetryRule.NEVER)


@pytest.mark.parametrize(
    ("recipient", "skipped", "cause"),
    [
        (AGAIN, None, PredictedCause.RETRYABLE_NOW),
        (DOUBTFUL, None, PredictedCause.RETRYABLE_NOW),
        (DOUBTFUL, SkipReason.UNCONFIRMED, PredictedCause.UNCONFIRMED),
        (NEVER, SkipReason.PERMANENT_ERROR, PredictedCause.WILL_FAIL_AGAIN),
        (NEVER, None, PredictedCause.WILL_FAIL_AGAIN),  # a person named the recipient
        (TOKEN, SkipReason.TOKEN_NOT_REPLACED, PredictedCause.TOKEN_NOT_REPLACED),
        (TOKEN, None, PredictedCause.TOKEN_NOT_REPLACED),
        (AGAIN, SkipReason.ATTEMPTS_USED_UP, PredictedCause.ATTEMPTS_USED_UP),
        (AGAIN, SkipReason.CHANGED_SINCE, PredictedCause.CHANGED_SINCE),
    ],
)
def test_each_kind_of_recipient_has_its_cause(
    recipient: RetryState, skipped: SkipReason | None, cause: PredictedCause
) -> None:
    prediction = predict(recipient, skipped, outside_window=False, page_is_held=False)

    assert prediction == Prediction(cause, recipient.error_type)


@pytest.mark.parametrize("skipped", [None, SkipReason.PERMANENT_ERROR])
def test_errors_outside_the_window_have_their_own_cause(skipped: SkipReason | None) -> None:
    assert predict(NEVER, skipped, outside_window=True, page_is_held=False).cause is PredictedCause.OUTSIDE_WINDOW


@pytest.mark.parametrize(
    ("recipient", "cause"), [(AGAIN, PredictedCause.PAGE_ON_HOLD), (NEVER, PredictedCause.WILL_FAIL_AGAIN)]
)
def test_a_page_on_hold_is_the_cause_for_retryable_recipients_only(
    recipient: RetryState, cause: PredictedCause
) -> None:
    assert predict(recipient, None, outside_window=False, page_is_held=True).cause is cause


def test_every_skip_reason_has_a_cause() -> None:
    for reason in SkipReason:
        assert predict(AGAIN, reason, outside_window=False, page_is_held=False).cause in PredictedCause


def test_errors_outside_the_window_are_classified_as_permanent() -> None:
    assert {BY_SUBCODE[pair] for pair in OUTSIDE_WINDOW} == {RECIPIENT_FORBIDDEN}
