"""Receipts and outcomes have separate streams: the read models do not depend on which is recorded first."""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing

from eventsourcing.sqlite import SQLiteCursor
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import batch_decisions
from domain.batch import apply, fold
from domain.batch_events import BatchEvent
from domain.event import Event, RecordedEvent
from domain.message_events import MessageCompleted
from domain.outcome import Outcome
from domain.receipts import Receipt
from domain.streams import batch_stream, message_stream, receipts_stream
from projections import failures, message_rows, page_pauses, read_models
from projections.count_deltas import CountDeltas
from projections.sql import Row, Sql
from server.eventstore.sqlite.sql import SqliteSql
from tests.builders import (
    FAILED,
    FAILED_FOR_GOOD,
    MESSAGE,
    SENT,
    UNCONFIRMED,
    after,
    batch_created,
    batch_recipients,
    known,
    message_submitted,
    retry_requested,
    start,
)
from tests.contents import contents
from tests.receipts import delivered, echo, read, receipts_recorded

PEOPLE = ("ann", "bob", "cy", "dee")
LOG_POSITION_COLUMNS = {"sequence", "position"}
COUNTED = {"failures": "recipients", "outcomes": "deliveries", "page_outcomes": "deliveries"}  # rows of 0 are ignored
FIRST_TEXT_COLUMNS = {"error_message"}  # the text of the first of equal errors, which depends on the order

History = Sequence[tuple[str, Event]]  # each event with its stream
outcomes: st.SearchStrategy[Outcome] = st.sampled_from([SENT, FAILED, FAILED_FOR_GOOD, UNCONFIRMED])


@st.composite
def worked(draw: st.DrawFn, number: int, people: Sequence[str], attempt: int) -> History:
    """Return random events of a batch after all of it is dispatched."""
    batch = fold([event for _, event in dispatched_batch(number, people, attempt)])
    events: list[BatchEvent] = []

    def append(decided: batch_decisions.Events) -> None:
        nonlocal batch
        events.extend(decided)
        batch = apply(batch, decided)

    for second in range(draw(st.integers(1, 4))):
        some = draw(st.lists(st.integers(0, len(people) - 1), unique=True, min_size=1))
        match draw(st.sampled_from(["record", "record", "return", "release", "cancel", "late"])):
            case "record":
                known_outcomes = [known(position, draw(outcomes), after(second)) for position in some]
                append(batch_decisions.record(batch, known_outcomes, now=after(second)))
            case "return":
                append(batch_decisions.return_unsent(batch, some, now=after(second)))
            case "release":
                append(batch_decisions.release(batch, now=after(second)))
                append(start(batch))
                append(batch_decisions.dispatch(batch, batch.pending, token_generation=1, now=after(second)))
            case "cancel":
                append(batch_decisions.cancel(batch, now=after(second)))
            case "late":
                known_outcomes = [known(position, draw(outcomes), after(second)) for position in some]
                append(batch_decisions.record_late(batch, known_outcomes, now=after(second)))
    return [(batch_stream(MESSAGE, 0, number), event) for event in events]


@st.composite
def ended(draw: st.DrawFn, number: int, worker: History) -> History:
    """Return the worker's events, and an outcome for each open delivery, so that a resend may follow."""
    batch = fold([event for _, event in (*dispatched_batch(number, PEOPLE, 1), *worker)])
    known_outcomes = [known(position, draw(outcomes), after(5)) for position in range(len(PEOPLE))]
    recorded = batch_decisions.record(batch, known_outcomes, now=after(5))
    cancelled = batch_decisions.cancel(apply(batch, recorded), now=after(5))
    return [*worker, *((batch_stream(MESSAGE, 0, number), event) for event in (*recorded, *cancelled))]


def receipt_events(number: int, size: int) -> st.SearchStrategy[History]:
    """Return receipts of some deliveries, the echo of each first, divided into events at random."""

    def of_position(position: int) -> st.SearchStrategy[list[Receipt]]:
        later = st.lists(st.sampled_from([delivered(position), read(position)]), unique=True)
        echoed = later.map(lambda ones: [echo(position, f"m_{number}_{position}", at=0.5), *ones])
        return st.one_of(st.just([]), echoed)

    def in_events(receipts: Sequence[Receipt], sizes: Sequence[int]) -> History:
        found, first = [], 0
        for index, size in enumerate(sizes):
            if part := receipts[first : first + size]:
                event = receipts_recorded(*part, batch_number=number, time=after(10 + index))
                found.append((receipts_stream(MESSAGE, 0, number), event))
            first += size
        return found

    by_position = st.tuples(*(of_position(position) for position in range(size)))
    flat = by_position.map(lambda each: [receipt for of_one in each for receipt in of_one])
    return flat.flatmap(
        lambda receipts: st.lists(st.integers(1, 3), min_size=len(receipts), max_size=len(receipts)).map(
            lambda sizes: in_events(receipts, sizes)
        )
    )


@st.composite
def shuffled(draw: st.DrawFn, *histories: History) -> History:
    """Return the events of all histories in a random order that keeps the order within each history."""
    left = [list(history) for history in histories if history]
    together: list[tuple[str, Event]] = []
    while left:
        one = draw(st.sampled_from(left))
        together.append(one.pop(0))
        left = [history for history in left if history]
    return together


def dispatched_batch(number: int, people: Sequence[str], attempt: int) -> History:
    """Return the first events of a batch, up to the dispatch of all its deliveries."""
    created = batch_created(*batch_recipients(*people, attempt=attempt), batch_number=number, round=attempt - 1)
    batch = fold([created])
    started = start(batch)
    dispatched = batch_decisions.dispatch(apply(batch, started), range(len(people)), token_generation=1, now=after(0))
    return [(batch_stream(MESSAGE, 0, number), event) for event in (created, *started, *dispatched)]


def read_models_of(history: History, *, together: int = 1) -> Mapping[str, Sequence[Row]]:
    """Return the read models of a history, applied in transactions of `together` events, and check them."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        sql = SqliteSql(SQLiteCursor(connection.cursor()))
        read_models.create(sql)
        sql.execute(page_pauses.TABLE)
        recorded = [RecordedEvent(position, *one) for position, one in enumerate(_numbered(history), start=1)]
        for first in range(0, len(recorded), together):
            deltas = CountDeltas()
            read_models.apply(sql, recorded[first : first + together], deltas)
            deltas.write(sql)
        assert_consistent(sql)
        return {table: _comparable(table, rows) for table, rows in contents(sql).items()}


def _numbered(history: History) -> Iterator[tuple[str, int, Event]]:
    versions: Counter[str] = Counter()
    for stream, event in history:
        versions[stream] += 1
        yield stream, versions[stream], event


def _comparable(table: str, rows: Sequence[Row]) -> Sequence[Row]:
    counted = COUNTED.get(table)
    ignored = LOG_POSITION_COLUMNS | (FIRST_TEXT_COLUMNS if counted == "deliveries" else set())
    compared = [row for row in rows if counted is None or row[counted]]
    return [{name: value for name, value in row.items() if name not in ignored} for row in compared]


def assert_consistent(sql: Sql) -> None:
    row = message_rows.find(sql, MESSAGE)
    assert row is not None
    states = Counter(one["state"] for one in sql.rows("SELECT state FROM recipients"))
    assert {status.value: count for status, count in row.counts.items() if count} == states
    assert row.total == states.total()
    types = Counter(one["error_type"] for one in sql.rows("SELECT error_type FROM recipients") if one["error_type"])
    assert failures.counts_by_type(sql, MESSAGE) == types
    assert not sql.rows("SELECT 1 FROM deliveries WHERE has_receipt = 1 AND status <> 'SENT'")


def submitted(total: int) -> History:
    return [(message_stream(MESSAGE), message_submitted(total))]


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.data())
def test_receipts_and_outcomes_in_any_order_give_the_same_read_models(data: st.DataObject) -> None:
    first, last = (
        submitted(len(PEOPLE)),
        [(message_stream(MESSAGE), MessageCompleted(message_id=MESSAGE, time=after(9)))],
    )
    dispatched = [*first, *dispatched_batch(1, PEOPLE, 1)]
    worker = [*data.draw(worked(1, PEOPLE, 1), label="worker"), *last]
    receipts = data.draw(receipt_events(1, len(PEOPLE)), label="receipts")

    mixed = read_models_of([*dispatched, *data.draw(shuffled(worker, receipts), label="order")])

    assert mixed == read_models_of([*dispatched, *worker, *receipts])
    assert mixed == read_models_of([*dispatched, *receipts, *worker], together=1_000)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.data())
def test_receipts_and_outcomes_of_a_resend_in_any_order_give_the_same_read_models(data: st.DataObject) -> None:
    """Both attempts may have a receipt."""
    again = PEOPLE[:2]
    dispatched = [*submitted(len(PEOPLE)), *dispatched_batch(1, PEOPLE, 1)]
    worker = data.draw(worked(1, PEOPLE, 1).flatmap(lambda events: ended(1, events)), label="first attempts")
    receipts = data.draw(receipt_events(1, len(PEOPLE)), label="receipts of the first attempts")
    resend = [
        (message_stream(MESSAGE), retry_requested(recipients=len(again), time=after(5))),
        *dispatched_batch(2, again, 2),
    ]
    second_attempts = [data.draw(worked(2, again, 2)), data.draw(receipt_events(2, len(again)))]
    of_resend = data.draw(shuffled(*second_attempts), label="resend")

    mixed = data.draw(shuffled([*worker, *resend, *of_resend], receipts), label="order")

    expected = read_models_of([*dispatched, *mixed])
    assert expected == read_models_of([*dispatched, *mixed], together=3)
    assert expected == read_models_of([*dispatched, *worker, *resend, *of_resend, *receipts])
