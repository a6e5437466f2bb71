"""Decisions about a message: stage, cancel, resend, automatic rounds and completion."""

from typing import Any

import pytest

from domain import message as messages
from domain.errors import MessageIsCancelled, MessageIsDone, StreamInProgress
from domain.event import Event
from domain.message import Message, SubmissionState, awaits_automatic_round, check_resendable, fold, next_retry_count
from domain.message_events import MessageAbandoned, MessageCancelled, MessageCompleted, MessageStaged
from domain.retry import OnUnconfirmed, RetryPolicy, RetryTrigger
from tests.builders import (
    MESSAGE,
    NOW,
    OWNER,
    PAGE,
    WORKER,
    after,
    auto,
    batch_created,
    cron,
    message_abandoned,
    message_staged,
    message_submitted,
    request_stamp,
    retry_requested,
)

COMPLETED = MessageCompleted(message_id=MESSAGE, time=NOW)
CANCELLED = MessageCancelled(message_id=MESSAGE, requested_by=OWNER, time=NOW)


def given(*events: Event) -> Message:
    return fold(MESSAGE, events)


def stage(message: Message) -> MessageStaged:
    return messages.stage(message, owner=OWNER, page_id=PAGE, worker=WORKER, now=NOW)


def cancel(message: Message, *, has_retryable_recipients: bool = True) -> MessageCancelled | None:
    return messages.cancel(
        message, has_retryable_recipients=has_retryable_recipients, requested_by=OWNER, request=None, now=NOW
    )


# State


def test_a_message_without_events_is_unknown() -> None:
    assert given() == Message(id=MESSAGE)
    assert given().submission_state is SubmissionState.UNKNOWN


def test_a_submitted_message_has_the_requested_values() -> None:
    values: dict[str, Any] = {
        "owner": "ann",
        "page_id": "77",
        "title": "Hello",
        "sealed_content": b"xyz",
        "has_variables": False,
        "retry_policy": auto(2),
        "on_unconfirmed": OnUnconfirmed.RESEND,
        "stage": 0,
        "batches": 4,
    }

    message = given(message_submitted(total=350, **values))

    assert message == Message(id=MESSAGE, version=1, submission_state=SubmissionState.SUBMITTED, **values)


def test_the_version_counts_every_event() -> None:
    assert given(message_submitted(), retry_requested(), COMPLETED, CANCELLED).version == 4


def test_the_stage_is_the_version_of_the_message_staged_event() -> None:
    message = given(message_staged(), message_abandoned(), message_staged())

    assert message.stage == 3
    assert message.submission_state is SubmissionState.STAGED


def test_a_round_reopens_a_message_and_continues_its_batch_numbers() -> None:
    message = given(
        message_submitted(batches=3), COMPLETED, retry_requested(round=1, first_batch=4, batches=2, retry_count=1)
    )

    assert (message.round, message.batches, message.retry_count) == (1, 5, 1)
    assert not message.completed


def test_a_message_rejects_events_of_other_streams() -> None:
    with pytest.raises(TypeError, match="BatchCreated"):
        given(batch_created())


# Staging


def test_a_stream_of_recipients_starts_a_message() -> None:
    assert stage(given()) == message_staged()


def test_a_stream_can_start_again_after_an_abandoned_one() -> None:
    assert stage(given(message_staged(), message_abandoned())) == message_staged()


@pytest.mark.parametrize("events", [[message_staged()], [message_submitted()]])
def test_a_second_stream_of_the_same_request_is_refused(events: list[Event]) -> None:
    with pytest.raises(StreamInProgress):
        stage(given(*events))


def test_a_staged_message_can_be_abandoned() -> None:
    abandoned = messages.abandon(given(message_staged()), cause="it broke off", now=after(1))

    assert abandoned == MessageAbandoned(message_id=MESSAGE, cause="it broke off", time=after(1))


@pytest.mark.parametrize("events", [[], [message_submitted()], [message_staged(), message_abandoned()]])
def test_only_a_staged_message_can_be_abandoned(events: list[Event]) -> None:
    assert messages.abandon(given(*events), cause="late", now=NOW) is None


# Cancelling


def test_an_open_message_is_cancelled() -> None:
    stamp = request_stamp(method="CancelMessage")

    cancelled = messages.cancel(
        given(message_submitted()), has_retryable_recipients=False, requested_by="ann", request=stamp, now=after(2)
    )

    assert cancelled == MessageCancelled(message_id=MESSAGE, requested_by="ann", request=stamp, time=after(2))


def test_cancelling_twice_changes_nothing() -> None:
    assert cancel(given(message_submitted(), CANCELLED)) is None


def test_cancelling_a_completed_cancelled_message_changes_nothing() -> None:
    assert cancel(given(message_submitted(), CANCELLED, COMPLETED)) is None


def test_a_completed_message_cannot_be_cancelled() -> None:
    with pytest.raises(MessageIsDone):
        cancel(given(message_submitted(), COMPLETED))


def test_a_cron_message_waiting_for_the_timer_can_be_cancelled() -> None:
    assert cancel(given(message_submitted(retry_policy=cron()), COMPLETED)) is not None


def test_a_cron_message_without_retryable_recipients_cannot_be_cancelled() -> None:
    with pytest.raises(MessageIsDone):
        cancel(given(message_submitted(retry_policy=cron()), COMPLETED), has_retryable_recipients=False)


def test_a_completed_auto_message_cannot_be_cancelled() -> None:
    with pytest.raises(MessageIsDone):
        cancel(given(message_submitted(retry_policy=auto()), COMPLETED))


def test_a_cron_message_without_rounds_left_cannot_be_cancelled() -> None:
    without_rounds = given(
        message_submitted(retry_policy=cron(1)), retry_requested(RetryTrigger.CRON, retry_count=1), COMPLETED
    )

    with pytest.raises(MessageIsDone):
        cancel(without_rounds)


def test_a_resend_of_a_cancelled_message_is_refused() -> None:
    with pytest.raises(MessageIsCancelled):
        check_resendable(given(message_submitted(), CANCELLED))


def test_a_completed_message_may_be_resent() -> None:
    check_resendable(given(message_submitted(), COMPLETED))


# Automatic rounds


@pytest.mark.parametrize(
    ("policy", "rounds", "awaits"),
    [
        (RetryPolicy(), 0, False),
        (auto(2), 0, True),
        (auto(2), 1, True),
        (auto(2), 2, False),
        (cron(1), 0, True),
        (cron(1), 1, False),
    ],
)
def test_automatic_rounds_end_at_the_policys_limit(policy: RetryPolicy, rounds: int, awaits: bool) -> None:
    requests = [retry_requested(RetryTrigger.AUTO, round=n, retry_count=n) for n in range(1, rounds + 1)]

    assert awaits_automatic_round(given(message_submitted(retry_policy=policy), *requests)) is awaits


def test_a_cancelled_message_awaits_no_round() -> None:
    assert not awaits_automatic_round(given(message_submitted(retry_policy=auto()), CANCELLED))


def test_a_staged_message_awaits_no_round() -> None:
    assert not awaits_automatic_round(given(message_staged()))


@pytest.mark.parametrize(
    ("trigger", "count"), [(RetryTrigger.MANUAL, 1), (RetryTrigger.AUTO, 2), (RetryTrigger.CRON, 2)]
)
def test_only_automatic_rounds_are_counted(trigger: RetryTrigger, count: int) -> None:
    message = given(message_submitted(), retry_requested(RetryTrigger.AUTO, retry_count=1))

    assert next_retry_count(message, trigger) == count


# Completing


def test_a_message_without_open_deliveries_is_completed() -> None:
    completed = messages.complete(given(message_submitted()), open_deliveries=0, now=after(9))

    assert completed == MessageCompleted(message_id=MESSAGE, time=after(9))


@pytest.mark.parametrize("events", [[], [message_staged()], [message_submitted(), COMPLETED]])
def test_a_message_that_is_not_submitted_or_completed_already_is_not_completed(events: list[Event]) -> None:
    assert messages.complete(given(*events), open_deliveries=0, now=NOW) is None


def test_a_message_with_open_deliveries_is_not_completed() -> None:
    assert messages.complete(given(message_submitted()), open_deliveries=1, now=NOW) is None


def test_a_message_completes_again_after_a_round() -> None:
    reopened = given(message_submitted(), COMPLETED, retry_requested())

    assert messages.complete(reopened, open_deliveries=0, now=NOW) == COMPLETED
