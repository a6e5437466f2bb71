"""Automatic rounds after a manual resend: their limit, and their suspension by a stopped canary."""

import pytest

from domain.automatic_rounds import automatic_selection, limit_after_resend
from domain.canary import Canary, Trial
from domain.errors import MessageIsDone
from domain.event import Event
from domain.fault import ErrorType
from domain.message import Message, awaits_automatic_round, cancel, fold, pause, resume
from domain.message_events import MessageCancelled, MessageCompleted, RetryStopped
from domain.retry import DEFAULT_SELECTION, RetryPolicy, RetrySelection, RetryTrigger
from tests.builders import (
    MESSAGE,
    NOW,
    OWNER,
    auto,
    cron,
    each,
    message_paused,
    message_resumed,
    message_submitted,
    retry_requested,
)

NAMED = RetrySelection(recipients_named=True)
TYPES = RetrySelection(error_types=(ErrorType.NETWORK,))
FROZEN = RetrySelection(as_of_sequence=7)
UNCONFIRMED_TOO = RetrySelection(include_unconfirmed=True)
CANARY = retry_requested(batches=1, last_recipient="j", trial=Trial(canary=Canary(recipients=1), rest=9, as_of=7))
STOPPED = RetryStopped(
    message_id=MESSAGE, round=1, recipients=1, failed=1, unconfirmed=0, suspends_automatic_rounds=True, time=NOW
)
DONE = MessageCompleted(message_id=MESSAGE, time=NOW)
LIMITED = retry_requested(selection=NAMED, automatic_from_batch=2)
SUSPENDED = (CANARY, STOPPED, DONE)


def message(*events: Event, policy: RetryPolicy | None = None) -> Message:
    return fold(MESSAGE, [message_submitted(retry_policy=policy or auto()), *events])


@pytest.mark.parametrize("policy", [auto(), auto(3, each(60))])
@pytest.mark.parametrize("selection", [NAMED, TYPES, FROZEN])
def test_a_resend_with_a_selection_limits_automatic_rounds(policy: RetryPolicy, selection: RetrySelection) -> None:
    assert limit_after_resend(message(policy=policy), selection, is_under_way=False) == 2


@pytest.mark.parametrize("selection", [DEFAULT_SELECTION, UNCONFIRMED_TOO])
def test_a_resend_of_all_recipients_ends_the_limit(selection: RetrySelection) -> None:
    assert limit_after_resend(message(), selection, is_under_way=False) == 0
    assert limit_after_resend(message(LIMITED), selection, is_under_way=False) == 0


@pytest.mark.parametrize("policy", [cron(), cron(3, each(60)), RetryPolicy()])
def test_only_auto_policies_are_limited(policy: RetryPolicy) -> None:
    assert limit_after_resend(message(policy=policy), NAMED, is_under_way=False) == 0


def test_no_limit_is_set_while_deliveries_are_open() -> None:
    assert limit_after_resend(message(), NAMED, is_under_way=True) == 0


@pytest.mark.parametrize("is_under_way", [False, True])
def test_a_further_resend_keeps_the_limit(*, is_under_way: bool) -> None:
    assert limit_after_resend(message(LIMITED), TYPES, is_under_way=is_under_way) == 2


def test_a_resend_after_a_stopped_canary_sets_a_new_limit() -> None:
    limited_canary = retry_requested(trial=CANARY.trial, last_recipient="j", automatic_from_batch=2)
    stopped = message(limited_canary, STOPPED, DONE)

    assert limit_after_resend(stopped, NAMED, is_under_way=False) == stopped.batches + 1 == 3
    assert limit_after_resend(stopped, NAMED, is_under_way=True) == 2


def test_an_automatic_round_selects_from_the_limit_on() -> None:
    assert automatic_selection(0) == DEFAULT_SELECTION
    assert automatic_selection(7) == RetrySelection(from_batch=7)


# A suspension


def test_a_stopped_canary_suspends_automatic_rounds_until_a_resume() -> None:
    suspended = message(*SUSPENDED)
    event = resume(suspended, requested_by=OWNER, request=None, now=NOW)

    assert not awaits_automatic_round(suspended)
    assert event is not None
    resumed = message(*SUSPENDED, event)
    assert awaits_automatic_round(resumed)
    assert resumed.completed
    assert resume(resumed, requested_by=OWNER, request=None, now=NOW) is None


def test_resuming_ends_the_limit_only_if_the_message_was_suspended() -> None:
    limited_canary = retry_requested(trial=CANARY.trial, last_recipient="j", automatic_from_batch=2)

    assert message(limited_canary, STOPPED, DONE, message_resumed()).automatic_from_batch == 0
    assert message(LIMITED, message_paused(), message_resumed()).automatic_from_batch == 2


def test_only_the_first_slice_of_a_manual_resend_ends_a_suspension() -> None:
    manual = retry_requested(round=2, first_batch=3)
    later_slice = retry_requested(round=1, first_batch=3)
    automatic = retry_requested(RetryTrigger.AUTO, round=2, first_batch=3)

    assert not message(*SUSPENDED, manual).suspended
    assert message(*SUSPENDED, later_slice).suspended
    assert message(*SUSPENDED, automatic).suspended


def test_a_round_stop_of_an_earlier_release_suspends_nothing() -> None:
    old = RetryStopped(message_id=MESSAGE, round=1, recipients=1, failed=1, unconfirmed=0, time=NOW)

    assert awaits_automatic_round(message(CANARY, old, DONE))


def test_a_suspended_message_can_be_cancelled_and_paused() -> None:
    for decide in (cancel, pause):
        event = decide(message(*SUSPENDED), has_retryable_recipients=True, requested_by=OWNER, request=None, now=NOW)
        assert event is not None
        with pytest.raises(MessageIsDone):
            decide(message(*SUSPENDED), has_retryable_recipients=False, requested_by=OWNER, request=None, now=NOW)


def test_a_cancel_ends_a_suspension() -> None:
    cancelled = MessageCancelled(message_id=MESSAGE, requested_by=OWNER, time=NOW)

    assert not message(*SUSPENDED, cancelled).suspended
