"""Resends with a corrected content: the content of each delivery, and the recipients that such a resend takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.delivery import DeliveryStatus
from domain.event import Event
from domain.fault import ErrorType, RetryRule
from domain.message import Message, content_in_force, fold, replaces_content
from domain.retry import DEFAULT_SELECTION, OnUnconfirmed, RetrySelection, RetryState, SkipReason, skip_reason
from domain.retry_prediction import PredictedCause, predict
from tests.builders import MESSAGE, message_paused, message_resumed, message_submitted, retry_requested

ORIGINAL = b"original"


def message_after(*events: Event) -> Message:
    return fold(MESSAGE, [message_submitted(sealed_content=ORIGINAL), *events])


def brought_by(round_: int) -> bytes:
    return f"content of round {round_}".encode()


@given(st.lists(st.sampled_from(["plain", "corrects", "replaces"]), max_size=8))
def test_a_delivery_has_the_newer_of_its_own_and_the_last_replacing_content(rounds: list[str]) -> None:
    events = [
        retry_requested(
            round=number,
            sealed_content=b"" if kind == "plain" else brought_by(number),
            replaces_content=kind == "replaces",
        )
        for number, kind in enumerate(rounds, start=1)
    ]
    message = message_after(*events)
    replaced = max((number for number, kind in enumerate(rounds, start=1) if kind == "replaces"), default=0)

    for own in [0, *(number for number, kind in enumerate(rounds, start=1) if kind != "plain")]:
        newest = max(own, replaced)
        assert content_in_force(message, own) == (brought_by(newest) if newest else ORIGINAL)


def test_later_slices_of_a_round_do_not_change_its_content() -> None:
    message = message_after(retry_requested(sealed_content=b"first slice"), retry_requested(first_batch=3))

    assert content_in_force(message, 1) == b"first slice"


def test_the_content_of_a_round_without_one_is_an_error() -> None:
    with pytest.raises(KeyError):
        content_in_force(message_after(retry_requested()), 1)


def test_only_in_a_paused_message_a_correction_replaces_pending_contents() -> None:
    assert not replaces_content(message_after(), DEFAULT_SELECTION)
    assert replaces_content(message_after(message_paused()), DEFAULT_SELECTION)
    assert not replaces_content(message_after(message_paused(), message_resumed()), DEFAULT_SELECTION)


def test_a_correction_for_named_recipients_replaces_no_other_content() -> None:
    named = RetrySelection(recipients_named=True)

    assert not replaces_content(message_after(message_paused()), named)


# Recipients of a resend with a corrected content


@pytest.mark.parametrize(
    ("type_", "retry", "reason"),
    [
        (ErrorType.OTHER, RetryRule.NEVER, None),
        (ErrorType.NETWORK, RetryRule.AUTOMATIC, None),
        (ErrorType.INVALID_RECIPIENT, RetryRule.NEVER, SkipReason.PERMANENT_ERROR),
        (ErrorType.PERMISSION, RetryRule.NEVER, SkipReason.PERMANENT_ERROR),
        (ErrorType.ACCESS_TOKEN, RetryRule.NEW_TOKEN, SkipReason.TOKEN_NOT_REPLACED),
    ],
)
def test_with_a_corrected_content_errors_of_type_other_are_retryable(
    type_: ErrorType, retry: RetryRule, reason: SkipReason | None
) -> None:
    retry_state = RetryState(status=DeliveryStatus.FAILED, attempts_exhausted=False, error_type=type_, retry=retry)

    assert skip_reason(retry_state, RetrySelection(content_changed=True), OnUnconfirmed.HOLD) == reason


def test_a_corrected_content_is_predicted_to_be_retryable() -> None:
    retry_state = RetryState(
        status=DeliveryStatus.FAILED, attempts_exhausted=False, error_type=ErrorType.OTHER, retry=RetryRule.NEVER
    )

    causes = [
        predict(retry_state, None, outside_window=False, page_is_held=False, content_changed=changed).cause
        for changed in (True, False)
    ]

    assert causes == [PredictedCause.RETRYABLE_NOW, PredictedCause.WILL_FAIL_AGAIN]
