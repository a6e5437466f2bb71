"""The judge of the faults is judged: each history that must not happen is found, and an ordinary one passes."""

from collections.abc import Sequence
from typing import Any

import pytest

from domain.batch_events import BatchCreated
from domain.event import Event
from domain.message_events import MessageCancelled, MessageResumed, MessageStopped, RetryRequested
from domain.outcome import Failed, Unconfirmed
from domain.retry import RetrySelection, RetryTrigger
from domain.stop_policy import Stop, StopCause
from projections.recorded import Recorded
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
from tests.domain.batch_facts import COMPLETED, dispatched, recorded, returned, started
from tests.faults.ledger import Ledger
from tests.faults.verdict import of_arrivals, of_repeats

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


def _log(events: Sequence[Event]) -> Sequence[Recorded]:
    """Each batch's events under their versions, as the log has them."""
    versions: dict[object, int] = {}
    log = []
    for position, event in enumerate(events, start=1):
        stream = getattr(event, "batch_number", "message")
        versions[stream] = versions.get(stream, 0) + 1
        log.append(Recorded(position, str(stream), versions[stream], event))
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
def test_an_ordinary_history_passes(history: Sequence[Event]) -> None:
    assert _ledger(*history).violations == []


@pytest.mark.parametrize(
    ("history", "words"),
    [
        (SENT[:3], "ends PENDING"),
        (SENT[:4], "ends SENDING"),
        ((*SENT[:3], started("other"), dispatched(2, 0)), "under claim 2, but 3 holds"),
        ((*SENT[:4], started("other"), recorded(2, known(0))), "under claim 2, but 4 holds"),
        ((*SENT[:3], recorded(2, known(0))), "goes from PENDING to SENT"),
        ((*SENT[:4], dispatched(2, 0)), "goes from SENDING to SENDING"),
        ((*SENT[:3], MessageCancelled(message_id=MESSAGE, requested_by="", time=NOW), dispatched(2, 0)), "cancelled"),
        ((*SENT[:4], _asked(), _again()), "a second open delivery"),
        ((*UNCONFIRMED, _asked(), _again()), "nobody asked for that"),
        ((*FAILED, _asked(), _again(attempt=3)), "gets attempt 3 after 1"),
        ((*FAILED, _asked(trigger=RetryTrigger.CRON, retry_count=2)), "automatic round 2"),
        ((SUBMITTED, SUBMITTED), "submitted twice"),
        ((*SENT[:3], STOPPED, dispatched(2, 0)), "dispatched after MessageStopped"),
        ((*SENT[:3], page_held(), dispatched(2, 0)), "dispatched after PageHeld"),
        ((*SENT, STOPPED), "stays held back by MessageStopped"),
        ((*SENT, page_held()), "stays held back by PageHeld"),
        ((*SENT, STOPPED, STOPPED), "which is held back or cancelled"),
        ((*SENT, MessageCancelled(message_id=MESSAGE, requested_by="", time=NOW), STOPPED), "held back or cancelled"),
        ((*FAILED, _asked(goes_on=True, last_recipient="a")), "round 1 of m-1 was not planned to its end"),
        ((*FAILED, _asked(goes_on=True, last_recipient="a"), _asked(last_recipient="b")), "not planned to its end"),
    ],
)
def test_a_history_that_must_not_happen_is_found(history: Sequence[Event], words: str) -> None:
    assert any(words in violation for violation in _ledger(*history).violations)


@pytest.mark.parametrize("end", [_asked(), MessageCancelled(message_id=MESSAGE, requested_by="", time=NOW)])
def test_a_round_that_goes_on_ends_with_its_last_slice_or_with_a_cancel(end: Event) -> None:
    ledger = _ledger(*FAILED, _asked(goes_on=True, last_recipient="a"), end)

    assert (ledger.violations, ledger.gone_on) == ([], 1)


def test_the_slices_of_an_automatic_round_count_once() -> None:
    slices = [_asked(trigger=RetryTrigger.CRON, retry_count=1, last_recipient=last) for last in ("a", "b", "")]

    assert _ledger(*FAILED, *slices).violations == []


def test_a_resend_of_what_is_unconfirmed_passes_when_it_was_asked_for() -> None:
    found = _ledger(*UNCONFIRMED, _asked(include_unconfirmed=True), _again()).violations

    assert found == [f"{MESSAGE}.2.0 ends PENDING"]


@pytest.mark.parametrize(
    ("history", "arrivals", "words"),
    [
        (SENT, [], "is SENT and never arrived"),
        (SENT, [_arrival(), _arrival()], "arrived 2 times, dispatched 1 times"),
        (SENT[:3], [_arrival()], "arrived 1 times, dispatched 0 times"),
        ((*SENT[:4], returned(2, 0)), [_arrival()], "arrived 1 times, dispatched 0 times"),
        (SENT[:2], [_arrival(batch=7)], "is not in the log"),
        (SENT, [_arrival("reset")], "is SENT, and the platform answered reset"),
        (FAILED, [_arrival("timeout", accepted=False)], "is FAILED, and the platform answered timeout"),
        (FAILED, [_arrival()], "is FAILED, and the platform answered accepted"),
        (SENT, [_arrival("error:2", accepted=False)], "is SENT, and the platform answered error:2"),
    ],
)
def test_books_that_do_not_say_what_the_platform_did_are_found(
    history: Sequence[Event], arrivals: Sequence[Arrival], words: str
) -> None:
    assert any(words in violation for violation in of_arrivals(_ledger(*history), arrivals))


@pytest.mark.parametrize(("history", "answer"), [(SENT, "accepted"), (UNCONFIRMED, "accepted"), (UNCONFIRMED, "reset")])
def test_books_that_say_what_the_platform_did_pass(history: Sequence[Event], answer: str) -> None:
    assert of_arrivals(_ledger(*history), [_arrival(answer)]) == []


def test_whoever_received_a_message_twice_is_found_unless_it_was_unconfirmed() -> None:
    twice = [_arrival(), _arrival(batch=2)]
    resent = (_asked(include_unconfirmed=True), _again())

    assert len(of_repeats(_ledger(*FAILED, *resent), twice)) == 1
    assert of_repeats(_ledger(*UNCONFIRMED, *resent), twice) == []
