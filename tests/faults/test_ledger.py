"""The ledger finds each forbidden history, and accepts valid ones."""

from collections.abc import Sequence
from typing import Any

import pytest

from domain.batch_events import BatchCreated
from domain.event import Event, RecordedEvent
from domain.message_events import MessageCancelled, MessageResumed, MessageStopped, RetryRequested
from domain.outcome import Failed, Unconfirmed
from domain.retry import RetrySelection, RetryTrigger
from domain.stop_policy import Stop, StopCause
from server.sandbox.record import Arrival
from tests.builders import (
    MESSAGE,
    NOW,
    batch_created,
    batch_recipients,
    fault,
    known,
    message_submitted,
    page_held,
    page_released,
    retry_requested,
)
from tests.domain.batch_event_builders import COMPLETED, dispatched, recorded, returned, started
from tests.faults.checks import of_arrivals, of_repeats
from tests.faults.ledger import Ledger

SUBMITTED = message_submitted(total=1)
PLANNED = batch_created("ann")
LOST, REFUSED = Unconfirmed(fault()), Failed(fault())
SENT = (SUBMITTED, PLANNED, started(), dispatched(2, 0), recorded(2, known(0)), COMPLETED)
UNCONFIRMED = (*SENT[:4], recorded(2, known(0, LOST)), COMPLETED)
FAILED = (*SENT[:4], recorded(2, known(0, REFUSED)), COMPLETED)
STOPPED = MessageStopped(
    message_id=MESSAGE, stop=Stop(cause=StopCause.CONTENT, fault=fault(), failed=25, attempts=25), time=NOW
)
RESUMED = MessageResumed(message_id=MESSAGE, requested_by="", time=NOW)


def _log(events: Sequence[Event]) -> Sequence[RecordedEvent]:
    """Give the events of each batch consecutive versions."""
    versions: dict[object, int] = {}
    log = []
    for position, event in enumerate(events, start=1):
        stream = getattr(event, "batch_number", "message")
        versions[stream] = versions.get(stream, 0) + 1
        log.append(RecordedEvent(position, str(stream), versions[stream], event))
    return log


def _ledger(*events: Event) -> Ledger:
    return Ledger(_log(events))


def _again(attempt: int = 2) -> BatchCreated:
    return batch_created(*batch_recipients("ann", attempt=attempt), batch_number=2, round=1)


def _asked(include_unconfirmed: bool = False, **fields: Any) -> RetryRequested:
    return retry_requested(selection=RetrySelection(include_unconfirmed=include_unconfirmed), round=1, **fields)


def _arrival(outcome: str = "accepted", *, batch: int = 1, accepted: bool = True) -> Arrival:
    return Arrival(1, NOW.timestamp(), "ann", "1001", "token", f"{MESSAGE}.{batch}.0", outcome, accepted, "m_1")


@pytest.mark.parametrize(
    "history",
    [
        SENT,
        UNCONFIRMED,
        FAILED,
        (*SENT[:3], STOPPED, RESUMED, *SENT[3:]),
        (*SENT[:3], page_held(), page_released(), *SENT[3:]),
    ],
)
def test_a_valid_history_has_no_violations(history: Sequence[Event]) -> None:
    assert _ledger(*history).violations == []


@pytest.mark.parametrize(
    ("history", "text"),
    [
        (SENT[:3], "is PENDING at the end"),
        (SENT[:4], "is SENDING at the end"),
        ((*SENT[:3], started("other"), dispatched(2, 0)), "under claim 2, but the current claim is 3"),
        ((*SENT[:4], started("other"), recorded(2, known(0))), "under claim 2, but the current claim is 4"),
        ((*SENT[:3], recorded(2, known(0))), "changes from PENDING to SENT"),
        ((*SENT[:4], dispatched(2, 0)), "changes from SENDING to SENDING"),
        ((*SENT[:3], MessageCancelled(message_id=MESSAGE, requested_by="", time=NOW), dispatched(2, 0)), "cancelled"),
        ((*SENT[:4], _asked(), _again()), "a second open delivery"),
        ((*UNCONFIRMED, _asked(), _again()), "without a request for that"),
        ((*FAILED, _asked(), _again(attempt=3)), "gets attempt 3 after 1 attempts"),
        ((*FAILED, _asked(trigger=RetryTrigger.CRON, retry_count=2)), "automatic round 2"),
        ((SUBMITTED, SUBMITTED), "submitted twice"),
        ((*SENT[:3], STOPPED, dispatched(2, 0)), "dispatched after MessageStopped"),
        ((*SENT[:3], page_held(), dispatched(2, 0)), "dispatched after PageHeld"),
        ((*SENT, STOPPED), "is still held by MessageStopped"),
        ((*SENT, page_held()), "is still held by PageHeld"),
        ((*SENT, STOPPED, STOPPED), "which is already held or cancelled"),
        (
            (*SENT, MessageCancelled(message_id=MESSAGE, requested_by="", time=NOW), STOPPED),
            "already held or cancelled",
        ),
        ((*FAILED, _asked(goes_on=True, last_recipient="a")), "round 1 of m-1 was not planned completely"),
        ((*FAILED, _asked(goes_on=True, last_recipient="a"), _asked(last_recipient="b")), "not planned completely"),
    ],
)
def test_a_forbidden_history_is_reported(history: Sequence[Event], text: str) -> None:
    assert any(text in violation for violation in _ledger(*history).violations)


@pytest.mark.parametrize("end", [_asked(), MessageCancelled(message_id=MESSAGE, requested_by="", time=NOW)])
def test_an_open_round_ends_with_its_last_slice_or_a_cancel(end: Event) -> None:
    ledger = _ledger(*FAILED, _asked(goes_on=True, last_recipient="a"), end)

    assert (ledger.violations, ledger.continued_rounds) == ([], 1)


def test_the_slices_of_an_automatic_round_count_once() -> None:
    slices = [_asked(trigger=RetryTrigger.CRON, retry_count=1, last_recipient=last) for last in ("a", "b", "")]

    assert _ledger(*FAILED, *slices).violations == []


def test_a_requested_resend_of_unconfirmed_deliveries_is_valid() -> None:
    found = _ledger(*UNCONFIRMED, _asked(include_unconfirmed=True), _again()).violations

    assert found == [f"{MESSAGE}.2.0 is PENDING at the end"]


@pytest.mark.parametrize(
    ("history", "arrivals", "text"),
    [
        (SENT, [], "is SENT and did not arrive"),
        (SENT, [_arrival(), _arrival()], "arrived 2 times, dispatched 1 times"),
        (SENT[:3], [_arrival()], "arrived 1 times, dispatched 0 times"),
        ((*SENT[:4], returned(2, 0)), [_arrival()], "arrived 1 times, dispatched 0 times"),
        (SENT[:2], [_arrival(batch=7)], "is not in the log"),
        (SENT, [_arrival("reset")], "is SENT, but the platform answered reset"),
        (FAILED, [_arrival("timeout", accepted=False)], "is FAILED, but the platform answered timeout"),
        (FAILED, [_arrival()], "is FAILED, but the platform answered accepted"),
        (SENT, [_arrival("error:2", accepted=False)], "is SENT, but the platform answered error:2"),
    ],
)
def test_outcomes_that_differ_from_the_platforms_record_are_reported(
    history: Sequence[Event], arrivals: Sequence[Arrival], text: str
) -> None:
    assert any(text in violation for violation in of_arrivals(_ledger(*history), arrivals))


@pytest.mark.parametrize(("history", "answer"), [(SENT, "accepted"), (UNCONFIRMED, "accepted"), (UNCONFIRMED, "reset")])
def test_outcomes_that_match_the_platforms_record_are_valid(history: Sequence[Event], answer: str) -> None:
    assert of_arrivals(_ledger(*history), [_arrival(answer)]) == []


def test_a_duplicate_is_reported_unless_the_first_attempt_was_unconfirmed() -> None:
    twice = [_arrival(), _arrival(batch=2)]
    resent = (_asked(include_unconfirmed=True), _again())

    assert len(of_repeats(_ledger(*FAILED, *resent), twice)) == 1
    assert of_repeats(_ledger(*UNCONFIRMED, *resent), twice) == []
