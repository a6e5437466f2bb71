"""Reads the log event by event, with an independent second version of the rules, and finds violations."""

from collections.abc import Iterator, Sequence

from domain.batch_decisions import WORKER_LOST
from domain.batch_events import (
    BatchCancelled,
    BatchCompleted,
    BatchCreated,
    BatchEvent,
    BatchReleased,
    BatchStarted,
    DeliveriesDispatched,
    DeliveriesReturned,
    LateOutcomesRecorded,
    OutcomesRecorded,
    RecordedOutcome,
)
from domain.delivery import DeliveryStatus, delivery_id, parse_delivery_id, status_of
from domain.event import Event, RecordedEvent
from domain.message_events import (
    MessageCancelled,
    MessageCompleted,
    MessageResumed,
    MessageStopped,
    MessageSubmitted,
    RetryRequested,
)
from domain.outcome import Unconfirmed
from domain.page_events import PageHeld, PageReleased
from domain.retry import OnUnconfirmed, RetryTrigger
from server.sandbox.record import Arrival

OPEN = (DeliveryStatus.PENDING, DeliveryStatus.SENDING)


def name_of(arrival: Arrival) -> str:
    """Return the delivery id of an arrival without its tag."""
    place = parse_delivery_id(arrival.metadata)
    return delivery_id(*place) if place else arrival.metadata


class Attempt:
    """One delivery in the log."""

    def __init__(self, message_id: str, recipient_id: str, number: int) -> None:
        self.message_id = message_id
        self.recipient_id = recipient_id
        self.attempt_number = number
        self.status = DeliveryStatus.PENDING
        self.dispatches = 0  # dispatches without those that were returned
        self.dispatched_at = 0.0
        self.taken_over_at = float("inf")  # when another worker took over the dispatched delivery
        self.repeats_unconfirmed: set[Attempt] = set()


class Ledger:
    """Reads the whole log; `violations` describes each forbidden event."""

    def __init__(self, log: Sequence[RecordedEvent]) -> None:
        self.violations: list[str] = []
        self.messages: dict[str, MessageSubmitted] = {}
        self.attempts: dict[str, Attempt] = {}  # by delivery id
        self.of_recipient: dict[tuple[str, str], list[Attempt]] = {}
        self._cancelled: set[str] = set()
        self._pages: dict[str, str] = {}  # of each message
        self._held_back: dict[str, str] = {}  # what holds each page or message
        self.held_back = 0  # number of holds and stops
        self._rounds: dict[tuple[str, int], RetryRequested] = {}
        self._retry_counts: dict[str, int] = {}
        self._known_rounds: set[tuple[str, int]] = set()
        self._open: dict[str, int] = {}
        self.continued_rounds = 0  # rounds with more than one slice
        self._claims: dict[tuple[str, int], int | None] = {}
        for recorded in log:
            if isinstance(recorded.event, RetryRequested):
                self._rounds[recorded.event.message_id, recorded.event.round] = recorded.event
        for recorded in log:
            self._read(recorded)
        for name, attempt in self.attempts.items():
            if attempt.status in OPEN:
                self._report(f"{name} is {attempt.status} at the end")
        for message_id, number in self._open.items():
            self._report(f"round {number} of {message_id} was not planned completely")
        for held, by in self._held_back.items():
            self._report(f"{held} is still held by {by}")

    def _report(self, text: str) -> None:
        self.violations.append(text)

    def _read(self, recorded: RecordedEvent) -> None:
        where = f"position {recorded.position}"
        match recorded.event:
            case MessageSubmitted() as event:
                if event.message_id in self.messages:
                    self._report(f"{where}: {event.message_id} was submitted twice")
                self.messages[event.message_id] = event
                self._pages[event.message_id] = event.page_id
            case MessageCancelled() as event:
                self._cancelled.add(event.message_id)
                self._open.pop(event.message_id, None)
            case RetryRequested() as event:
                self._read_round(where, event)
            case BatchEvent() as event:
                self._read_batch_event(where, recorded.version, event)
            case _:
                self._read_hold(where, recorded.event)

    def _read_hold(self, where: str, event: Event) -> None:
        """Check that only a person's decision ends a hold or a stop."""
        match event:
            case PageHeld(page_id=held) | MessageStopped(message_id=held):
                if held in self._held_back or held in self._cancelled:
                    self._report(f"{where}: {type(event).__name__} of {held}, which is already held or cancelled")
                self._held_back[held] = type(event).__name__
                self.held_back += 1
            case PageReleased(page_id=released):
                self._held_back.pop(released, None)
            case MessageResumed(message_id=released) | MessageCompleted(message_id=released):
                self._held_back.pop(released, None)

    def _read_round(self, where: str, event: RetryRequested) -> None:
        """Check the round count: each automatic round adds 1; a round with more slices is open until the last one."""
        is_first = (event.message_id, event.round) not in self._known_rounds
        self._known_rounds.add((event.message_id, event.round))
        if event.goes_on:
            self.continued_rounds += 1
            self._open[event.message_id] = event.round
        elif self._open.get(event.message_id) == event.round and not event.last_recipient:
            del self._open[event.message_id]
        if event.trigger is RetryTrigger.MANUAL or not is_first:
            return
        before = self._retry_counts.get(event.message_id, 0)
        if event.retry_count != before + 1:
            self._report(f"{where}: automatic round {event.retry_count} of {event.message_id} after {before}")
        self._retry_counts[event.message_id] = event.retry_count

    def _read_batch_event(self, where: str, version: int, event: BatchEvent) -> None:
        if isinstance(event, DeliveriesDispatched | OutcomesRecorded | DeliveriesReturned):
            self._check_claim(where, event, event.claim)
        self._read_claim(version, event)
        match event:
            case BatchCreated():
                self._plan(where, event)
            case DeliveriesDispatched():
                self._dispatch(where, event)
            case OutcomesRecorded():
                self._record(where, event, event.outcomes, DeliveryStatus.SENDING)
            case LateOutcomesRecorded():
                self._record(where, event, event.outcomes, DeliveryStatus.UNCONFIRMED)
            case DeliveriesReturned():
                self._return(where, event)
            case BatchCancelled():
                self._cancel(event)

    def _read_claim(self, version: int, event: BatchEvent) -> None:
        place = (event.message_id, event.batch_number)
        match event:
            case BatchStarted():
                self._claims[place] = version
            case BatchReleased() | BatchCompleted():
                self._claims[place] = None

    def _check_claim(self, where: str, event: BatchEvent, claim: int) -> None:
        """Check that the event's claim is the batch's current claim."""
        holds = self._claims.get((event.message_id, event.batch_number))
        if holds != claim:
            self._report(f"{where}: {type(event).__name__} under claim {claim}, but the current claim is {holds}")

    def _attempt(self, event: BatchEvent, position: int) -> Attempt:
        return self.attempts[delivery_id(event.message_id, event.batch_number, position)]

    def _of_batch(self, event: BatchEvent) -> Iterator[Attempt]:
        position = 0
        while attempt := self.attempts.get(delivery_id(event.message_id, event.batch_number, position)):
            yield attempt
            position += 1

    def _cancel(self, event: BatchCancelled) -> None:
        for attempt in self._of_batch(event):
            if attempt.status is DeliveryStatus.PENDING:
                attempt.status = DeliveryStatus.CANCELLED

    def _plan(self, where: str, event: BatchCreated) -> None:
        for position, recipient in enumerate(event.recipients):
            attempt = Attempt(event.message_id, recipient.id, recipient.attempt_number)
            earlier = self.of_recipient.setdefault((event.message_id, recipient.id), [])
            self._check_plan(where, event, attempt, earlier)
            earlier.append(attempt)
            self.attempts[delivery_id(event.message_id, event.batch_number, position)] = attempt

    def _check_plan(self, where: str, event: BatchCreated, attempt: Attempt, earlier: Sequence[Attempt]) -> None:
        who = f"{where}: {attempt.recipient_id} of {event.message_id}"
        if attempt.attempt_number != 1 + max((one.attempt_number for one in earlier), default=0):
            self._report(f"{who} gets attempt {attempt.attempt_number} after {len(earlier)} attempts")
        if any(one.status in OPEN for one in earlier):
            self._report(f"{who} gets a second open delivery")
        attempt.repeats_unconfirmed = {one for one in earlier if one.status is DeliveryStatus.UNCONFIRMED}
        if attempt.repeats_unconfirmed and not self._may_repeat_unconfirmed(event):
            self._report(f"{who} is unconfirmed, and is resent without a request for that")

    def _may_repeat_unconfirmed(self, event: BatchCreated) -> bool:
        submitted = self.messages[event.message_id]
        asked = self._rounds[event.message_id, event.round].selection.include_unconfirmed
        return asked or submitted.on_unconfirmed is OnUnconfirmed.RESEND

    def _dispatch(self, where: str, event: DeliveriesDispatched) -> None:
        if event.message_id in self._cancelled:
            self._report(f"{where}: dispatched after {event.message_id} was cancelled")
        for held in {event.message_id, self._pages[event.message_id]} & self._held_back.keys():
            self._report(f"{where}: dispatched after {self._held_back[held]} of {held}")
        for position in event.positions:
            attempt = self._attempt(event, position)
            self._move(where, attempt, DeliveryStatus.PENDING, DeliveryStatus.SENDING)
            attempt.dispatches += 1
            attempt.dispatched_at = event.time.timestamp()
            of_one = self.of_recipient[event.message_id, attempt.recipient_id]
            if any(one.status is DeliveryStatus.SENT for one in of_one):
                self._report(f"{where}: {attempt.recipient_id} was sent to before and is dispatched again")

    def _record(
        self, where: str, event: BatchEvent, outcomes: Sequence[RecordedOutcome], before: DeliveryStatus
    ) -> None:
        for known in outcomes:
            attempt = self._attempt(event, known.position)
            self._move(where, attempt, before, status_of(known.outcome))
            if isinstance(known.outcome, Unconfirmed) and known.outcome.fault == WORKER_LOST:
                attempt.taken_over_at = event.time.timestamp()

    def _return(self, where: str, event: DeliveriesReturned) -> None:
        for position in event.positions:
            attempt = self._attempt(event, position)
            if attempt.status is DeliveryStatus.SENDING:
                attempt.dispatches -= 1
            elif event.to is not DeliveryStatus.CANCELLED:
                self._report(f"{where}: {attempt.recipient_id} was returned and was not sending")
            attempt.status = event.to

    def _move(self, where: str, attempt: Attempt, before: DeliveryStatus, after: DeliveryStatus) -> None:
        if attempt.status is not before:
            self._report(f"{where}: {attempt.recipient_id} changes from {attempt.status} to {after}")
        attempt.status = after
