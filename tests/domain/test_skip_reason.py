"""Which recipients a resend takes, and why it skips the others."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.delivery import DeliveryStatus
from domain.fault import ErrorType, RetryRule
from domain.retry import (
    DEFAULT_SELECTION,
    OnUnconfirmed,
    RetryPolicy,
    RetrySelection,
    RetryState,
    SkipReason,
    skip_reason,
)

HOLD = OnUnconfirmed.HOLD
RESEND = OnUnconfirmed.RESEND
NAMED = RetrySelection(recipients_named=True)
WITH_UNCONFIRMED = RetrySelection(include_unconfirmed=True)


def of_types(*types: ErrorType, **fields: bool) -> RetrySelection:
    return RetrySelection(error_types=types, **fields)


def failed(
    retry: RetryRule = RetryRule.AUTOMATIC, error_type: ErrorType = ErrorType.NETWORK, **fields: bool
) -> RetryState:
    known = {"attempts_exhausted": False, **fields}
    return RetryState(status=DeliveryStatus.FAILED, error_type=error_type, retry=retry, **known)


def unconfirmed(*, attempts_exhausted: bool = False) -> RetryState:
    return RetryState(
        status=DeliveryStatus.UNCONFIRMED,
        attempts_exhausted=attempts_exhausted,
        error_type=ErrorType.NETWORK,
        retry=RetryRule.AUTOMATIC,
        maybe_sent=True,
    )


NEVER = failed(RetryRule.NEVER, ErrorType.INVALID_RECIPIENT)
DEAD_TOKEN = failed(RetryRule.NEW_TOKEN, ErrorType.ACCESS_TOKEN)
NEW_TOKEN = failed(RetryRule.NEW_TOKEN, ErrorType.ACCESS_TOKEN, token_replaced=True)

TABLE = [
    # a plain resend takes what can succeed
    (failed(), DEFAULT_SELECTION, HOLD, None),
    (NEVER, DEFAULT_SELECTION, HOLD, SkipReason.PERMANENT_ERROR),
    (DEAD_TOKEN, DEFAULT_SELECTION, HOLD, SkipReason.TOKEN_NOT_REPLACED),
    (NEW_TOKEN, DEFAULT_SELECTION, HOLD, None),
    (failed(RetryRule.NEVER, token_replaced=True), DEFAULT_SELECTION, HOLD, SkipReason.PERMANENT_ERROR),
    (failed(attempts_exhausted=True), DEFAULT_SELECTION, HOLD, SkipReason.ATTEMPTS_USED_UP),
    # naming recipients or types includes permanent errors
    (NEVER, NAMED, HOLD, None),
    (DEAD_TOKEN, NAMED, HOLD, None),
    (NEVER, of_types(ErrorType.INVALID_RECIPIENT), HOLD, None),
    (NEVER, of_types(ErrorType.NETWORK, ErrorType.INVALID_RECIPIENT), HOLD, None),
    (failed(attempts_exhausted=True), NAMED, HOLD, SkipReason.ATTEMPTS_USED_UP),
    # error types filter named recipients too
    (failed(), of_types(ErrorType.RATE_LIMIT), HOLD, SkipReason.OTHER_ERROR_TYPE),
    (failed(), of_types(ErrorType.RATE_LIMIT, recipients_named=True), HOLD, SkipReason.OTHER_ERROR_TYPE),
    (failed(), of_types(ErrorType.NETWORK, recipients_named=True), HOLD, None),
    (unconfirmed(), of_types(ErrorType.RATE_LIMIT, include_unconfirmed=True), HOLD, SkipReason.OTHER_ERROR_TYPE),
    # unconfirmed ones only on request
    (unconfirmed(), DEFAULT_SELECTION, HOLD, SkipReason.UNCONFIRMED),
    (unconfirmed(), NAMED, HOLD, SkipReason.UNCONFIRMED),
    (unconfirmed(), of_types(ErrorType.NETWORK), HOLD, SkipReason.UNCONFIRMED),
    (unconfirmed(), WITH_UNCONFIRMED, HOLD, None),
    (unconfirmed(), DEFAULT_SELECTION, RESEND, None),
    (unconfirmed(attempts_exhausted=True), WITH_UNCONFIRMED, RESEND, SkipReason.ATTEMPTS_USED_UP),
    (failed(), WITH_UNCONFIRMED, HOLD, None),
    # the same if an earlier attempt is the unconfirmed one
    (failed(maybe_sent=True), DEFAULT_SELECTION, HOLD, SkipReason.UNCONFIRMED),
    (failed(maybe_sent=True), NAMED, HOLD, SkipReason.UNCONFIRMED),
    (failed(maybe_sent=True), WITH_UNCONFIRMED, HOLD, None),
    (failed(maybe_sent=True), DEFAULT_SELECTION, RESEND, None),
    (failed(RetryRule.NEVER, maybe_sent=True), WITH_UNCONFIRMED, HOLD, SkipReason.PERMANENT_ERROR),
    (NEVER, WITH_UNCONFIRMED, RESEND, SkipReason.PERMANENT_ERROR),
]


@pytest.mark.parametrize(("retry_state", "selection", "on_unconfirmed", "expected"), TABLE)
def test_a_failed_recipient_is_taken_or_skipped_as_in_the_table(
    retry_state: RetryState, selection: RetrySelection, on_unconfirmed: OnUnconfirmed, expected: SkipReason | None
) -> None:
    assert skip_reason(retry_state, selection, on_unconfirmed) is expected


CLOSED = {
    DeliveryStatus.SENT: SkipReason.ALREADY_SENT,
    DeliveryStatus.PENDING: SkipReason.IN_PROGRESS,
    DeliveryStatus.SENDING: SkipReason.IN_PROGRESS,
    DeliveryStatus.CANCELLED: SkipReason.CANCELLED,
}
error_types = st.none() | st.sampled_from(ErrorType)
retry_states = st.builds(
    RetryState,
    status=st.sampled_from(DeliveryStatus),
    attempts_exhausted=st.booleans(),
    error_type=error_types,
    retry=st.none() | st.sampled_from(RetryRule),
    maybe_sent=st.booleans(),
    token_replaced=st.booleans(),
)
selections = st.builds(
    RetrySelection,
    recipients_named=st.booleans(),
    error_types=st.lists(st.sampled_from(ErrorType), max_size=2).map(tuple),
    include_unconfirmed=st.booleans(),
)


@settings(derandomize=True)
@given(retry_states, selections, st.sampled_from(OnUnconfirmed))
def test_no_selection_takes_sent_open_or_cancelled_recipients(
    retry_state: RetryState, selection: RetrySelection, on_unconfirmed: OnUnconfirmed
) -> None:
    reason = skip_reason(retry_state, selection, on_unconfirmed)

    if retry_state.status in CLOSED:
        assert reason is CLOSED[retry_state.status]
    else:
        assert reason not in CLOSED.values()


@settings(derandomize=True)
@given(retry_states, selections, st.sampled_from(OnUnconfirmed))
def test_exhausted_or_unrequested_unconfirmed_recipients_are_never_taken(
    retry_state: RetryState, selection: RetrySelection, on_unconfirmed: OnUnconfirmed
) -> None:
    if skip_reason(retry_state, selection, on_unconfirmed) is None:
        assert not retry_state.attempts_exhausted
        assert not retry_state.maybe_sent or selection.include_unconfirmed or on_unconfirmed is RESEND


@pytest.mark.parametrize(
    ("selection", "is_explicit"),
    [
        (DEFAULT_SELECTION, False),
        (WITH_UNCONFIRMED, False),
        (NAMED, True),
        (of_types(ErrorType.OTHER), True),
    ],
)
def test_naming_recipients_or_types_includes_permanent_errors(selection: RetrySelection, is_explicit: bool) -> None:
    assert selection.is_explicit is is_explicit


def test_max_attempts_is_the_retries_plus_the_first_attempt() -> None:
    assert RetryPolicy(max_retry_attempts=3).max_attempts == 4
