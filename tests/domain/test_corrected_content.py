"""Which content a delivery says after resends with corrected contents, and whom such a resend takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.delivery import DeliveryStatus
from domain.event import Event
from domain.fault import ErrorType, RetryRule
from domain.message import Message, content_in_force, fold, replaces_content
from domain.retry import PLAIN, OnUnconfirmed, RetrySelection, SkipReason, Standing, verdict
from domain.retry_prediction import Cause, predicted
from tests.builders import MESSAGE, message_paused, message_resumed, message_submitted, retry_requested

ORIGINAL = b"original"


def message_after(*events: Event) -> Message:
    return fold(MESSAGE, [message_submitted(sealed_content=ORIGINAL), *events])


def brought_by(round_: int) -> bytes:
    return f"content of round {round_}".encode()


@given(st.lists(st.sampled_from(["plain", "corrects", "replaces"]), max_size=8))
def test_a_delivery_says_the_newer_of_its_own_content_and_of_the_last_that_replaced_others(rounds: list[str]) -> None:
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


def test_later_slices_of_a_round_leave_its_content_as_it_is() -> None:
    message = message_after(retry_requested(sealed_content=b"first slice"), retry_requested(first_batch=3))

    assert content_in_force(message, 1) == b"first slice"


def test_a_content_that_no_round_brought_is_an_error_and_not_the_original() -> None:
    with pytest.raises(KeyError):
        content_in_force(message_after(retry_requested()), 1)


def test_only_a_paused_message_has_the_contents_of_pending_deliveries_replaced() -> None:
    assert not replaces_content(message_after(), PLAIN)
    assert replaces_content(message_after(message_paused()), PLAIN)
    assert not replaces_content(message_after(message_paused(), message_resumed()), PLAIN)


def test_a_resend_of_named_recipients_replaces_no_content_of_others() -> None:
    named = RetrySelection(recipients_named=True)

    assert not replaces_content(message_after(message_paused()), named)


# Whom a resend with a corrected content takes


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
def test_with_a_corrected_content_errors_that_the_old_one_may_have_caused_can_pass(
    type_: ErrorType, retry: RetryRule, reason: SkipReason | None
) -> None:
    standing = Standing(state=DeliveryStatus.FAILED, used_up=False, error_type=type_, retry=retry)

    assert verdict(standing, RetrySelection(content_changed=True), OnUnconfirmed.HOLD) == reason


def test_a_dry_run_says_that_they_can_be_reached_now() -> None:
    standing = Standing(state=DeliveryStatus.FAILED, used_up=False, error_type=ErrorType.OTHER, retry=RetryRule.NEVER)

    causes = [
        predicted(standing, None, outside_window=False, page_is_held=False, content_changed=changed).cause
        for changed in (True, False)
    ]

    assert causes == [Cause.RETRYABLE_NOW, Cause.WILL_FAIL_AGAIN]
