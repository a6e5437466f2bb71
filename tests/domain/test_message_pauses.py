"""Pausing and resuming a message."""

import pytest

from domain import message as messages
from domain.errors import MessageIsCancelled, MessageIsDone
from domain.event import Event
from domain.message import Message, awaits_automatic_round, check_resendable, fold
from domain.message_events import MessageCancelled, MessageCompleted, MessagePaused, MessageResumed
from domain.retry import RetryPolicy
from tests.builders import (
    MESSAGE,
    NOW,
    OWNER,
    after,
    auto,
    cron,
    each,
    message_paused,
    message_resumed,
    message_submitted,
    request_stamp,
    retry_requested,
)

BY_HAND = RetryPolicy()
COMPLETED = MessageCompleted(message_id=MESSAGE, time=NOW)
CANCELLED = MessageCancelled(message_id=MESSAGE, requested_by=OWNER, time=NOW)


def given(*events: Event, policy: RetryPolicy = BY_HAND) -> Message:
    return fold(MESSAGE, [message_submitted(retry_policy=policy), *events])


def pause(message: Message, *, has_retryable_recipients: bool = True) -> MessagePaused | None:
    return messages.pause(
        message, has_retryable_recipients=has_retryable_recipients, requested_by=OWNER, request=None, now=NOW
    )


def resume(message: Message) -> MessageResumed | None:
    return messages.resume(message, requested_by=OWNER, request=None, now=NOW)


# Pausing


def test_an_open_message_is_paused() -> None:
    stamp = request_stamp(method="PauseMessage")

    paused = messages.pause(given(), has_retryable_recipients=False, requested_by="ann", request=stamp, now=after(2))

    assert paused == message_paused(requested_by="ann", request=stamp, time=after(2))


def test_pausing_twice_changes_nothing() -> None:
    assert pause(given(message_paused())) is None


def test_a_cancelled_message_cannot_be_paused() -> None:
    with pytest.raises(MessageIsCancelled):
        pause(given(CANCELLED))


def test_a_completed_message_cannot_be_paused() -> None:
    with pytest.raises(MessageIsDone):
        pause(given(COMPLETED))


@pytest.mark.parametrize("policy", [cron(), cron(delay=each(60)), auto(delay=each(60))])
def test_a_message_waiting_for_its_next_round_can_be_paused_and_is_no_longer_completed(policy: RetryPolicy) -> None:
    waiting = given(COMPLETED, policy=policy)

    assert pause(waiting) == message_paused()
    assert not given(COMPLETED, message_paused(), policy=policy).completed


@pytest.mark.parametrize("policy", [BY_HAND, auto(), cron(), auto(delay=each(60))])
def test_a_completed_message_without_retryable_recipients_cannot_be_paused(policy: RetryPolicy) -> None:
    with pytest.raises(MessageIsDone):
        pause(given(COMPLETED, policy=policy), has_retryable_recipients=False)


# While it is paused


def test_a_paused_message_starts_no_automatic_round() -> None:
    assert not awaits_automatic_round(given(message_paused(), policy=auto()))
    assert awaits_automatic_round(given(message_paused(), message_resumed(), policy=auto()))


def test_a_manual_resend_leaves_the_message_paused() -> None:
    check_resendable(given(message_paused()))

    assert given(message_paused(), retry_requested()).paused


def test_a_paused_message_can_be_cancelled() -> None:
    cancelled = messages.cancel(
        given(message_paused()), has_retryable_recipients=False, requested_by=OWNER, request=None, now=NOW
    )

    assert cancelled == CANCELLED


@pytest.mark.parametrize("policy", [auto(), cron(), auto(delay=each(60))])
def test_a_paused_message_with_a_round_to_come_is_not_completed(policy: RetryPolicy) -> None:
    message = given(message_paused(), policy=policy)

    assert messages.complete(message, open_deliveries=0, has_retryable_recipients=True, now=NOW) is None


@pytest.mark.parametrize(
    ("message", "has_retryable_recipients"),
    [
        (given(message_paused()), True),
        (given(message_paused(), policy=auto()), False),
        (given(retry_requested(retry_count=1), message_paused(), policy=auto(1)), True),
        (given(message_paused(), CANCELLED, policy=auto()), True),
    ],
)
def test_a_paused_message_without_a_round_to_come_is_completed(
    message: Message, has_retryable_recipients: bool
) -> None:
    assert (
        messages.complete(message, open_deliveries=0, has_retryable_recipients=has_retryable_recipients, now=NOW)
        == COMPLETED
    )


def test_completing_a_message_ends_its_pause() -> None:
    assert not given(message_paused(), COMPLETED).paused


# Resuming


def test_a_paused_message_is_resumed() -> None:
    stamp = request_stamp(method="ResumeMessage")

    resumed = messages.resume(given(message_paused()), requested_by="ann", request=stamp, now=after(2))

    assert resumed == message_resumed(requested_by="ann", request=stamp, time=after(2))
    assert not given(message_paused(), message_resumed()).paused


@pytest.mark.parametrize(
    "events", [[], [COMPLETED], [message_paused(), message_resumed()], [message_paused(), COMPLETED]]
)
def test_resuming_a_message_that_is_not_paused_changes_nothing(events: list[Event]) -> None:
    assert resume(given(*events)) is None


@pytest.mark.parametrize("events", [[CANCELLED], [message_paused(), CANCELLED]])
def test_a_cancelled_message_cannot_be_resumed(events: list[Event]) -> None:
    with pytest.raises(MessageIsCancelled):
        resume(given(*events))
