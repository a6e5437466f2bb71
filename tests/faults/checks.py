"""Checks after a round: the log, the read models and the platform's record agree."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

from domain.delivery import DeliveryStatus, deciding_attempt
from domain.event import RecordedEvent
from projections.sql import Row
from server.eventstore.postgres.store import PostgresStore
from server.eventstore.rebuild import differences
from server.sandbox.record import Arrival
from tests.contents import contents
from tests.faults.ledger import Attempt, Ledger, name_of

CLOCKS = 0.005  # seconds: event times are cut to microseconds, arrival times are not
UNKNOWN = ("reset", "timeout", "status:", "garbage", "empty")
EVENTS_AT_ONCE = 5_000


class Snapshot:
    """Log and read models after a round, without a running server."""

    def __init__(self, store: PostgresStore) -> None:
        self._store = store
        self.log = self._whole_log()
        with store.transaction(commit=False) as sql:
            self.read_models = contents(sql)
        self.differences = differences(store)

    def _whole_log(self) -> Sequence[RecordedEvent]:
        found: list[RecordedEvent] = []
        while chunk := self._store.recorded_after(found[-1].position if found else 0, EVENTS_AT_ONCE):
            found.extend(chunk)
        return found


def violations(snapshot: Snapshot, ledger: Ledger, arrivals: Sequence[Arrival], sent: Mapping[str, str]) -> list[str]:
    """Return all violations; `sent` maps each answered request_id to its message id."""
    return [
        *ledger.violations,
        *_lost(ledger, sent),
        *_of_counts(ledger, snapshot.read_models),
        *of_arrivals(ledger, arrivals),
        *of_repeats(ledger, arrivals),
        *_of_rebuild(snapshot),
    ]


def left_late(ledger: Ledger, arrivals: Sequence[Arrival]) -> int:
    """Count requests that a worker sent although its lease had lapsed after its last check; no rule prevents these."""
    return sum(
        name_of(arrival) in ledger.attempts and arrival.time > ledger.attempts[name_of(arrival)].taken_over_at
        for arrival in arrivals
    )


def _lost(ledger: Ledger, sent: Mapping[str, str]) -> list[str]:
    """Check that each answered Send is stored once with all recipients, and no other Send is stored twice."""
    by_request = Counter(event.request.request_id for event in ledger.messages.values() if event.request)
    twice = [f"{request} is stored {count} times" for request, count in by_request.items() if count > 1]
    lost = [f"{request} is lost" for request, message_id in sent.items() if message_id not in ledger.messages]
    planned = Counter(message_id for message_id, _ in ledger.of_recipient)
    short = [
        f"{message_id} has {planned[message_id]} of {event.total} recipients"
        for message_id, event in ledger.messages.items()
        if planned[message_id] != event.total
    ]
    return [*twice, *lost, *short]


def _of_counts(ledger: Ledger, read_models: Mapping[str, Sequence[Row]]) -> list[str]:
    """Check that the counts add up and agree with the log."""
    wrong = []
    folded = {who: deciding_attempt(attempts).status for who, attempts in ledger.of_recipient.items()}
    shown = {(row["message_id"], row["recipient_id"]): row["state"] for row in read_models["recipients"]}
    wrong += [
        f"{who} is {shown.get(who)}, but the log says {state}"
        for who, state in folded.items()
        if shown.get(who) != state
    ]
    for row in read_models["messages"]:
        states = Counter(state for (message_id, _), state in folded.items() if message_id == row["message_id"])
        counts = {status: row[status.lower()] for status in DeliveryStatus}
        if counts != {status: states[status] for status in DeliveryStatus} or row["total"] != sum(counts.values()):
            wrong.append(f"{row['message_id']} counts {counts} of {row['total']}, but the log says {dict(states)}")
    return wrong


def of_arrivals(ledger: Ledger, arrivals: Sequence[Arrival]) -> list[str]:
    """Check that each arrival was dispatched once and has the outcome that the platform recorded."""
    wrong = []
    by_delivery: dict[str, list[Arrival]] = {}
    for arrival in arrivals:
        by_delivery.setdefault(name_of(arrival), []).append(arrival)
    wrong += [f"{name} arrived but is not in the log" for name in by_delivery if name not in ledger.attempts]
    for name, attempt in ledger.attempts.items():
        wrong += [f"{name}: {text}" for text in _of_one(attempt, by_delivery.get(name, []))]
    return wrong


def _of_one(attempt: Attempt, arrivals: Sequence[Arrival]) -> list[str]:
    """Check one delivery: at most one arrival per dispatch, after the dispatch, with a possible status."""
    if len(arrivals) > attempt.dispatches:
        return [f"arrived {len(arrivals)} times, dispatched {attempt.dispatches} times"]
    if not arrivals:
        return ["is SENT and did not arrive"] if attempt.status is DeliveryStatus.SENT else []
    [arrival] = arrivals
    wrong = []
    if arrival.time < attempt.dispatched_at - CLOCKS:
        wrong.append("arrived before its dispatch")
    if attempt.status not in _possible(arrival):
        wrong.append(f"is {attempt.status}, but the platform answered {arrival.outcome}, {arrival.accepted=}")
    return wrong


def _possible(arrival: Arrival) -> tuple[DeliveryStatus, ...]:
    """Return the statuses that the arrival allows; a lost answer makes the delivery unconfirmed."""
    if arrival.outcome.startswith(UNKNOWN):
        return (DeliveryStatus.UNCONFIRMED,)
    return (DeliveryStatus.SENT if arrival.accepted else DeliveryStatus.FAILED, DeliveryStatus.UNCONFIRMED)


def of_repeats(ledger: Ledger, arrivals: Sequence[Arrival]) -> list[str]:
    """Check that a recipient with two arrivals was unconfirmed when the resend was requested."""
    accepted = {name_of(arrival) for arrival in arrivals if arrival.accepted}
    names = {attempt: name for name, attempt in ledger.attempts.items()}
    wrong = []
    for who, attempts in ledger.of_recipient.items():
        received = [attempt for attempt in attempts if names[attempt] in accepted]
        for earlier, later in pairwise(received):
            if earlier not in later.repeats_unconfirmed:
                wrong.append(f"{who} received it twice: {names[earlier]}, {names[later]}")
    return wrong


def _of_rebuild(snapshot: Snapshot) -> list[str]:
    return [f"{rows} rows of {table} differ from a rebuild" for table, rows in snapshot.differences.items()]
