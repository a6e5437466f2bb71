"""What must hold after a round: the log, the read models and what the platform received say the same."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

from domain.delivery import DeliveryStatus, deciding_attempt
from projections.recorded import Recorded
from projections.sql import Row
from server.eventstore.postgres.store import PostgresStore
from server.eventstore.rebuild import differences
from server.sandbox.record import Arrival
from tests.contents import contents
from tests.faults.ledger import Attempt, Ledger, name_of

CLOCKS = 0.005  # seconds: event times are cut to microseconds, arrivals are not
UNKNOWN = ("reset", "timeout", "status:", "garbage", "empty")
EVENTS_AT_ONCE = 5_000


class Books:
    """The database after a round, with no server on it."""

    def __init__(self, store: PostgresStore) -> None:
        self._store = store
        self.log = self._whole_log()
        with store.transaction(commit=False) as sql:
            self.read_models = contents(sql)
        self.differences = differences(store)

    def _whole_log(self) -> Sequence[Recorded]:
        found: list[Recorded] = []
        while chunk := self._store.recorded_after(found[-1].position if found else 0, EVENTS_AT_ONCE):
            found.extend(chunk)
        return found


def violations(books: Books, ledger: Ledger, arrivals: Sequence[Arrival], sent: Mapping[str, str]) -> list[str]:
    """All that is wrong, in words; `sent` holds the message's id for each request_id that was answered."""
    return [
        *ledger.violations,
        *_lost(ledger, sent),
        *_of_counts(ledger, books.read_models),
        *of_arrivals(ledger, arrivals),
        *of_repeats(ledger, arrivals),
        *_of_rebuild(books),
    ]


def left_late(ledger: Ledger, arrivals: Sequence[Arrival]) -> int:
    """Requests of a worker that was stopped between its last look at the lease and the socket: no rule removes them."""
    return sum(
        name_of(arrival) in ledger.attempts and arrival.time > ledger.attempts[name_of(arrival)].given_up_at
        for arrival in arrivals
    )


def _lost(ledger: Ledger, sent: Mapping[str, str]) -> list[str]:
    """Each Send that was answered is there once; one that was not is there at most once."""
    by_request = Counter(event.request.request_id for event in ledger.messages.values() if event.request)
    twice = [f"{request} is there {count} times" for request, count in by_request.items() if count > 1]
    lost = [f"{request} is lost" for request, message_id in sent.items() if message_id not in ledger.messages]
    planned = Counter(message_id for message_id, _ in ledger.of_recipient)
    short = [
        f"{message_id} has {planned[message_id]} of {event.total} recipients"
        for message_id, event in ledger.messages.items()
        if planned[message_id] != event.total
    ]
    return [*twice, *lost, *short]


def _of_counts(ledger: Ledger, read_models: Mapping[str, Sequence[Row]]) -> list[str]:
    """The books balance, and stand as the log says."""
    wrong = []
    folded = {who: deciding_attempt(attempts).status for who, attempts in ledger.of_recipient.items()}
    shown = {(row["message_id"], row["recipient_id"]): row["state"] for row in read_models["recipients"]}
    wrong += [f"{who} shows {shown.get(who)}, not {state}" for who, state in folded.items() if shown.get(who) != state]
    for row in read_models["messages"]:
        states = Counter(state for (message_id, _), state in folded.items() if message_id == row["message_id"])
        counts = {status: row[status.lower()] for status in DeliveryStatus}
        if counts != {status: states[status] for status in DeliveryStatus} or row["total"] != sum(counts.values()):
            wrong.append(f"{row['message_id']} counts {counts} of {row['total']}, not {dict(states)}")
    return wrong


def of_arrivals(ledger: Ledger, arrivals: Sequence[Arrival]) -> list[str]:
    """What arrived was dispatched, once, and its outcome is what the platform did."""
    wrong = []
    by_delivery: dict[str, list[Arrival]] = {}
    for arrival in arrivals:
        by_delivery.setdefault(name_of(arrival), []).append(arrival)
    wrong += [f"{name} arrived and is not in the log" for name in by_delivery if name not in ledger.attempts]
    for name, attempt in ledger.attempts.items():
        wrong += [f"{name}: {words}" for words in _of_one(attempt, by_delivery.get(name, []))]
    return wrong


def _of_one(attempt: Attempt, arrivals: Sequence[Arrival]) -> list[str]:
    """A delivery leaves once, after its dispatch was written down; the log says what the platform did."""
    if len(arrivals) > attempt.dispatches:
        return [f"arrived {len(arrivals)} times, dispatched {attempt.dispatches} times"]
    if not arrivals:
        return ["is SENT and never arrived"] if attempt.status is DeliveryStatus.SENT else []
    [arrival] = arrivals
    wrong = []
    if arrival.time < attempt.dispatched_at - CLOCKS:
        wrong.append("arrived before its dispatch was decided")
    if attempt.status not in _possible(arrival):
        wrong.append(f"is {attempt.status}, and the platform answered {arrival.outcome}, {arrival.accepted=}")
    return wrong


def _possible(arrival: Arrival) -> tuple[DeliveryStatus, ...]:
    """What the books may say: unconfirmed where the answer was lost, and always where there was none to read."""
    if arrival.outcome.startswith(UNKNOWN):
        return (DeliveryStatus.UNCONFIRMED,)
    return (DeliveryStatus.SENT if arrival.accepted else DeliveryStatus.FAILED, DeliveryStatus.UNCONFIRMED)


def of_repeats(ledger: Ledger, arrivals: Sequence[Arrival]) -> list[str]:
    """Whoever received a message twice was unconfirmed when somebody asked for the resend."""
    accepted = {name_of(arrival) for arrival in arrivals if arrival.accepted}
    names = {attempt: name for name, attempt in ledger.attempts.items()}
    wrong = []
    for who, attempts in ledger.of_recipient.items():
        received = [attempt for attempt in attempts if names[attempt] in accepted]
        for earlier, later in pairwise(received):
            if earlier not in later.repeats_unconfirmed:
                wrong.append(f"{who} received it twice: {names[earlier]}, {names[later]}")
    return wrong


def _of_rebuild(books: Books) -> list[str]:
    return [f"{rows} rows of {table} differ from a rebuild" for table, rows in books.differences.items()]
