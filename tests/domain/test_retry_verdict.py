"""Who is taken by a resend, and why the others are not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.delivery import DeliveryStatus
from domain.fault import ErrorType, RetryRule
from domain.retry import PLAIN, OnUnconfirmed, RetryPolicy, RetrySelection, SkipReason, Standing, verdict

HOLD = OnUnconfirmed.HOLD
RESEND = OnUnconfirmed.RESEND
NAMED = RetrySelection(recipients_named=True)
WITH_UNCONFIRMED = RetrySelection(include_unconfirmed=True)


def of_types(*types: ErrorType, **fields: bool) -> RetrySelection:
    return RetrySelection(error_types=types, **fields)


def failed(
    retry: RetryRule = RetryRule.AUTOMATIC, error_type: ErrorType = ErrorType.NETWORK, **fields: bool
) -> Standing:
    known = {"used_up": False, **fields}
    return Standing(state=DeliveryStatus.FAILED, error_type=error_type, retry=retry, **known)


def unconfirmed(*, used_up: bool = False) -> Standing:
    return Standing(
        state=DeliveryStatus.UNCONFIRMED,
        used_up=used_up,
        error_type=ErrorType.NETWORK,
        retry=RetryRule.AUTOMATIC,
        maybe_sent=True,
    )


NEVER = failed(RetryRule.NEVER, ErrorType.INVALID_RECIPIENT)
DEAD_TOKEN = failed(RetryRule.NEW_TOKEN, ErrorType.ACCESS_TOKEN)
NEW_TOKEN = failed(RetryRule.NEW_TOKEN, ErrorType.ACCESS_TOKEN, token_replaced=True)

TABLE = [
    # a plain resend takes what can succeed
    (failed(), PLAIN, HOLD, None),
    (NEVER, PLAIN, HOLD, SkipReason.PERMANENT_ERROR),
    (DEAD_TOKEN, PLAIN, HOLD, SkipReason.TOKEN_NOT_REPLACED),
    (NEW_TOKEN, PLAIN, HOLD, None),
    (failed(RetryRule.NEVER, token_replaced=True), PLAIN, HOLD, SkipReason.PERMANENT_ERROR),
    (failed(used_up=True), PLAIN, HOLD, SkipReason.ATTEMPTS_USED_UP),
    # a person who names something insists
    (NEVER, NAMED, HOLD, None),
    (DEAD_TOKEN, NAMED, HOLD, None),
    (NEVER, of_types(ErrorType.INVALID_RECIPIENT), HOLD, None),
    (NEVER, of_types(ErrorType.NETWORK, ErrorType.INVALID_RECIPIENT), HOLD, None),
    (failed(used_up=True), NAMED, HOLD, SkipReason.ATTEMPTS_USED_UP),
    # types narrow, also what is named
    (failed(), of_types(ErrorType.RATE_LIMIT), HOLD, SkipReason.OTHER_ERROR_TYPE),
    (failed(), of_types(ErrorType.RATE_LIMIT, recipients_named=True), HOLD, SkipReason.OTHER_ERROR_TYPE),
    (failed(), of_types(ErrorType.NETWORK, recipients_named=True), HOLD, None),
    (unconfirmed(), of_types(ErrorType.RATE_LIMIT, include_unconfirmed=True), HOLD, SkipReason.OTHER_ERROR_TYPE),
    # unconfirmed only when somebody asked for it
    (unconfirmed(), PLAIN, HOLD, SkipReason.UNCONFIRMED),
    (unconfirmed(), NAMED, HOLD, SkipReason.UNCONFIRMED),
    (unconfirmed(), of_types(ErrorType.NETWORK), HOLD, SkipReason.UNCONFIRMED),
    (unconfirmed(), WITH_UNCONFIRMED, HOLD, None),
    (unconfirmed(), PLAIN, RESEND, None),
    (unconfirmed(used_up=True), WITH_UNCONFIRMED, RESEND, SkipReason.ATTEMPTS_USED_UP),
    (failed(), WITH_UNCONFIRMED, HOLD, None),
    # also when the attempt that may have arrived was not the last one
    (failed(maybe_sent=True), PLAIN, HOLD, SkipReason.UNCONFIRMED),
    (failed(maybe_sent=True), NAMED, HOLD, SkipReason.UNCONFIRMED),
    (failed(maybe_sent=True), WITH_UNCONFIRMED, HOLD, None),
    (failed(maybe_sent=True), PLAIN, RESEND, None),
    (failed(RetryRule.NEVER, maybe_sent=True), WITH_UNCONFIRMED, HOLD, SkipReason.PERMANENT_ERROR),
    (NEVER, WITH_UNCONFIRMED, RESEND, SkipReason.PERMANENT_ERROR),
]


@pytest.mark.parametrize(("standing", "selection", "on_unconfirmed", "expected"), TABLE)
def test_the_verdict_on_a_failed_recipient(
    standing: Standing, selection: RetrySelection, on_unconfirmed: OnUnconfirmed, expected: SkipReason | None
) -> None:
    assert verdict(standing, selection, on_unconfirmed) is expected


CLOSED = {
    DeliveryStatus.SENT: SkipReason.ALREADY_SENT,
    DeliveryStatus.PENDING: SkipReason.IN_PROGRESS,
    DeliveryStatus.SENDING: SkipReason.IN_PROGRESS,
    DeliveryStatus.CANCELLED: SkipReason.CANCELLED,
}
error_types = st.none() | st.sampled_from(ErrorType)
standings = st.builds(
    Standing,
    state=st.sampled_from(DeliveryStatus),
    used_up=st.booleans(),
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
@given(standings, selections, st.sampled_from(OnUnconfirmed))
def test_no_selection_takes_who_was_sent_to_is_on_the_way_or_cancelled(
    standing: Standing, selection: RetrySelection, on_unconfirmed: OnUnconfirmed
) -> None:
    reason = verdict(standing, selection, on_unconfirmed)

    if standing.state in CLOSED:
        assert reason is CLOSED[standing.state]
    else:
        assert reason not in CLOSED.values()


@settings(derandomize=True)
@given(standings, selections, st.sampled_from(OnUnconfirmed))
def test_nobody_is_taken_beyond_the_attempts_or_unconfirmed_without_being_asked_for(
    standing: Standing, selection: RetrySelection, on_unconfirmed: OnUnconfirmed
) -> None:
    if verdict(standing, selection, on_unconfirmed) is None:
        assert not standing.used_up
        assert not standing.maybe_sent or selection.include_unconfirmed or on_unconfirmed is RESEND


@pytest.mark.parametrize(
    ("selection", "names_something"),
    [
        (PLAIN, False),
        (WITH_UNCONFIRMED, False),
        (NAMED, True),
        (of_types(ErrorType.OTHER), True),
    ],
)
def test_naming_people_or_types_insists(selection: RetrySelection, names_something: bool) -> None:
    assert selection.names_something is names_something


def test_retries_come_on_top_of_the_first_attempt() -> None:
    assert RetryPolicy(max_retry_attempts=3).max_attempts == 4
