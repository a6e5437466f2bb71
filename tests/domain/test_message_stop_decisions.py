"""What a stop, a pause, a resume and a cancel change of a message, and when the service may stop it."""

import pytest

from domain import message as messages
from domain.canary import Canary, Trial
from domain.errors import CanaryUnderWay, MessageIsArchived, MessageIsCancelled, StreamInProgress
from domain.event import Event
from domain.message import Message, check_not_archived, fold, stop
from domain.message_events import MessageArchived, MessageCancelled, MessageCompleted, MessageStaged, MessageStopped
from domain.stop_policy import Stop, StopCause
from tests.builders import (
    MESSAGE,
    NOW,
    OWNER,
    PAGE,
    WORKER,
    after,
    message_abandoned,
    message_paused,
    message_resumed,
    message_staged,
    message_stopped,
    message_submitted,
    retry_requested,
)

COMPLETED = MessageCompleted(message_id=MESSAGE, time=NOW)
CANCELLED = MessageCancelled(message_id=MESSAGE, requested_by=OWNER, time=NOW)
REASON = Stop(cause=StopCause.FAILURE_SHARE, fault=None, failed=100, attempts=100)
LATER = after(5)


def given(*events: Event) -> Message:
    return fold(MESSAGE, (message_submitted(), *events))


def interruption(message: Message) -> tuple[bool, Stop | None, bool, bool, bool]:
    return message.paused, message.stop, message.completed, message.suspended, message.cancelled


STOPPED = message_stopped()


def test_a_stopped_message_is_paused_with_the_reason_and_is_not_completed() -> None:
    assert interruption(given(COMPLETED, STOPPED)) == (True, STOPPED.stop, False, False, False)


def test_a_paused_message_is_not_completed() -> None:
    assert interruption(given(COMPLETED, message_paused())) == (True, None, False, False, False)


def test_a_resume_ends_a_stop_and_is_a_decision_to_continue() -> None:
    message = given(STOPPED, message_resumed())

    assert interruption(message) == (False, None, False, False, False)
    assert message.continued_at_version == message.version == 3


def test_a_cancel_ends_a_stop() -> None:
    assert interruption(given(STOPPED, CANCELLED)) == (True, None, False, False, True)


def test_a_completed_message_is_no_longer_stopped() -> None:
    assert interruption(given(STOPPED, COMPLETED)) == (False, None, True, False, False)


def test_the_service_stops_a_message_with_pending_deliveries() -> None:
    stopped = stop(given(), REASON, decided_at=1, pending_deliveries=1, now=LATER)

    assert stopped == MessageStopped(message_id=MESSAGE, stop=REASON, time=LATER)


@pytest.mark.parametrize(
    "message",
    [given(message_paused()), given(CANCELLED), given(COMPLETED), fold(MESSAGE, [message_staged()])],
    ids=["paused", "cancelled", "completed", "staged"],
)
def test_the_service_stops_no_message_that_sends_nothing(message: Message) -> None:
    assert stop(message, REASON, decided_at=99, pending_deliveries=1, now=LATER) is None


def test_the_service_stops_no_message_without_pending_deliveries() -> None:
    assert stop(given(), REASON, decided_at=1, pending_deliveries=0, now=LATER) is None


def test_a_stop_that_is_older_than_a_decision_to_continue_is_dropped() -> None:
    message = given(message_paused(), message_resumed())

    assert stop(message, REASON, decided_at=2, pending_deliveries=1, now=LATER) is None
    assert stop(message, REASON, decided_at=3, pending_deliveries=1, now=LATER) is not None


def test_a_corrected_content_resumes_a_message_that_the_service_stopped() -> None:
    resumed = messages.resume_corrected(given(STOPPED), requested_by="ann", now=LATER)

    assert resumed == message_resumed(requested_by="ann", time=LATER)
    assert messages.resume_corrected(given(message_paused()), requested_by="ann", now=LATER) is None


# Streams and archives


def test_a_staged_message_knows_its_owner_page_and_worker() -> None:
    message = fold(MESSAGE, [message_staged()])

    assert (message.owner, message.page_id, message.worker) == (OWNER, PAGE, WORKER)


def test_an_abandoned_stream_can_be_begun_again() -> None:
    message = fold(MESSAGE, [message_staged(), message_abandoned()])

    staged = messages.stage(message, owner=OWNER, page_id=PAGE, worker=WORKER, now=LATER)

    assert staged == MessageStaged(message_id=MESSAGE, owner=OWNER, page_id=PAGE, worker=WORKER, time=LATER)


def test_a_second_stream_is_refused_with_the_id_of_the_message() -> None:
    with pytest.raises(StreamInProgress, match="request_id") as refused:
        messages.stage(given(), owner=OWNER, page_id=PAGE, worker=WORKER, now=LATER)

    assert refused.value.metadata == {"message_id": MESSAGE}


def test_an_archived_message_is_refused_with_the_name_of_the_file() -> None:
    archived = MessageArchived(
        message_id=MESSAGE, owner="ann", version=7, events=12, file="a.gz", digest="0" * 64, time=NOW
    )
    message = fold(MESSAGE, [archived])

    assert (message.version, message.owner, message.completed) == (7, "ann", True)
    with pytest.raises(MessageIsArchived, match=r"a\.gz"):
        check_not_archived(message)
    check_not_archived(given())


def test_a_resend_of_a_cancelled_message_is_refused_with_its_id() -> None:
    with pytest.raises(MessageIsCancelled) as refused:
        messages.check_resendable(given(CANCELLED))

    assert (refused.value.subject, refused.value.metadata) == (f"messages/{MESSAGE}", {"message_id": MESSAGE})


def test_a_second_canary_is_refused_with_the_id_of_the_message() -> None:
    trial = Trial(canary=Canary(recipients=1), rest=9, as_of=7)

    with pytest.raises(CanaryUnderWay) as refused:
        messages.check_resendable(given(retry_requested(last_recipient="a", trial=trial)), with_canary=True)

    assert (refused.value.subject, refused.value.metadata) == (f"messages/{MESSAGE}", {"message_id": MESSAGE})
