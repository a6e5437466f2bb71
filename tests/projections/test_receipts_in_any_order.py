"""Receipts and outcomes stand on streams of their own: whichever is recorded first, the books come to say the same."""

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
from domain.event import Event
from domain.message_events import MessageCompleted
from domain.outcome import Outcome
from domain.receipt_events import Receipt
from domain.streams import batch_stream, message_stream, receipts_stream
from projections import failures, message_rows, page_pauses, read_models
from projections.recorded import Recorded
from projections.sql import Row, Sql
from projections.tally import Tally
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
OF_THE_LOG = {"sequence", "position"}  # columns that say where in the log something stands
COUNTED = {"failures": "recipients", "outcomes": "deliveries", "page_outcomes": "deliveries"}  # 0 says nothing
OF_ONE_OF_MANY = {"error_message"}  # of attempts that ended alike, the text of the first one stands in the reports

History = Sequence[tuple[str, Event]]  # each event with its stream
outcomes: st.SearchStrategy[Outcome] = st.sampled_from([SENT, FAILED, FAILED_FOR_GOOD, UNCONFIRMED])


@st.composite
def worked(draw: st.DrawFn, number: int, people: Sequence[str], attempt: int) -> History:
    """A batch that is dispatched whole, and then comes to whatever end."""
    batch = fold([event for _, event in begun(number, people, attempt)])
    events: list[BatchEvent] = []

    def happen(decided: batch_decisions.Events) -> None:
        nonlocal batch
        events.extend(decided)
        batch = apply(batch, decided)

    for second in range(draw(st.integers(1, 4))):
        some = draw(st.lists(st.integers(0, len(people) - 1), unique=True, min_size=1))
        match draw(st.sampled_from(["record", "record", "return", "release", "cancel", "late"])):
            case "record":
                came = [known(position, draw(outcomes), after(second)) for position in some]
                happen(batch_decisions.record(batch, came, now=after(second)))
            case "return":
                happen(batch_decisions.return_unsent(batch, some, now=after(second)))
            case "release":
                happen(batch_decisions.release(batch, now=after(second)))
                happen(start(batch))
                happen(batch_decisions.dispatch(batch, batch.pending, token_generation=1, now=after(second)))
            case "cancel":
                happen(batch_decisions.cancel(batch, now=after(second)))
            case "late":
                came = [known(position, draw(outcomes), after(second)) for position in some]
                happen(batch_decisions.record_late(batch, came, now=after(second)))
    return [(batch_stream(MESSAGE, 0, number), event) for event in events]


@st.composite
def ended(draw: st.DrawFn, number: int, worker: History) -> History:
    """What the worker did, and then an outcome for whoever was left, since nobody has two open attempts."""
    batch = fold([event for _, event in (*begun(number, PEOPLE, 1), *worker)])
    came = [known(position, draw(outcomes), after(5)) for position in range(len(PEOPLE))]
    recorded = batch_decisions.record(batch, came, now=after(5))
    cancelled = batch_decisions.cancel(apply(batch, recorded), now=after(5))
    return [*worker, *((batch_stream(MESSAGE, 0, number), event) for event in (*recorded, *cancelled))]


def told(number: int, size: int) -> st.SearchStrategy[History]:
    """Receipts of some deliveries, in any division into events; of each its echo first."""

    def of_position(position: int) -> st.SearchStrategy[list[Receipt]]:
        later = st.lists(st.sampled_from([delivered(position), read(position)]), unique=True)
        echoed = later.map(lambda ones: [echo(position, f"m_{number}_{position}", at=0.5), *ones])
        return st.one_of(st.just([]), echoed)

    def in_events(receipts: Sequence[Receipt], sizes: Sequence[int]) -> History:
        found, begin = [], 0
        for index, size in enumerate(sizes):
            if part := receipts[begin : begin + size]:
                event = receipts_recorded(*part, batch_number=number, time=after(10 + index))
                found.append((receipts_stream(MESSAGE, 0, number), event))
            begin += size
        return found

    everyone = st.tuples(*(of_position(position) for position in range(size)))
    flat = everyone.map(lambda each: [receipt for of_one in each for receipt in of_one])
    return flat.flatmap(
        lambda receipts: st.lists(st.integers(1, 3), min_size=len(receipts), max_size=len(receipts)).map(
            lambda sizes: in_events(receipts, sizes)
        )
    )


@st.composite
def shuffled(draw: st.DrawFn, *histories: History) -> History:
    """Put together in any order that keeps each one's own."""
    left = [list(history) for history in histories if history]
    together: list[tuple[str, Event]] = []
    while left:
        one = draw(st.sampled_from(left))
        together.append(one.pop(0))
        left = [history for history in left if history]
    return together


def begun(number: int, people: Sequence[str], attempt: int) -> History:
    """The first events of a batch, up to where its requests may have left."""
    created = batch_created(*batch_recipients(*people, attempt=attempt), batch_number=number, round=attempt - 1)
    batch = fold([created])
    started = start(batch)
    dispatched = batch_decisions.dispatch(apply(batch, started), range(len(people)), token_generation=1, now=after(0))
    return [(batch_stream(MESSAGE, 0, number), event) for event in (created, *started, *dispatched)]


def books_of(history: History, *, together: int = 1) -> Mapping[str, Sequence[Row]]:
    """What all of it comes to, so many events in a transaction; they balance."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        sql = SqliteSql(SQLiteCursor(connection.cursor()))
        read_models.create(sql)
        sql.execute(page_pauses.TABLE)
        recorded = [Recorded(position, *one) for position, one in enumerate(_numbered(history), start=1)]
        for begin in range(0, len(recorded), together):
            tally = Tally()
            read_models.apply(sql, recorded[begin : begin + together], tally)
            tally.write(sql)
        assert_balanced(sql)
        return {table: _comparable(table, rows) for table, rows in contents(sql).items()}


def _numbered(history: History) -> Iterator[tuple[str, int, Event]]:
    versions: Counter[str] = Counter()
    for stream, event in history:
        versions[stream] += 1
        yield stream, versions[stream], event


def _comparable(table: str, rows: Sequence[Row]) -> Sequence[Row]:
    counted = COUNTED.get(table)
    left_out = OF_THE_LOG | (OF_ONE_OF_MANY if counted == "deliveries" else set())
    shown = [row for row in rows if counted is None or row[counted]]
    return [{name: value for name, value in row.items() if name not in left_out} for row in shown]


def assert_balanced(sql: Sql) -> None:
    row = message_rows.find(sql, MESSAGE)
    assert row is not None
    states = Counter(one["state"] for one in sql.rows("SELECT state FROM recipients"))
    assert {status.value: count for status, count in row.counts.items() if count} == states
    assert row.total == states.total()
    types = Counter(one["error_type"] for one in sql.rows("SELECT error_type FROM recipients") if one["error_type"])
    assert failures.by_type(sql, MESSAGE) == types
    assert not sql.rows("SELECT 1 FROM deliveries WHERE has_receipt = 1 AND status <> 'SENT'")


def submitted(total: int) -> History:
    return [(message_stream(MESSAGE), message_submitted(total))]


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.data())
def test_whichever_is_recorded_first_the_books_say_the_same(data: st.DataObject) -> None:
    first, last = (
        submitted(len(PEOPLE)),
        [(message_stream(MESSAGE), MessageCompleted(message_id=MESSAGE, time=after(9)))],
    )
    begin = [*first, *begun(1, PEOPLE, 1)]
    worker = [*data.draw(worked(1, PEOPLE, 1), label="worker"), *last]
    receipts = data.draw(told(1, len(PEOPLE)), label="receipts")

    mixed = books_of([*begin, *data.draw(shuffled(worker, receipts), label="order")])

    assert mixed == books_of([*begin, *worker, *receipts])
    assert mixed == books_of([*begin, *receipts, *worker], together=1_000)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.data())
def test_also_when_somebody_is_tried_again(data: st.DataObject) -> None:
    """Both attempts may turn out to have arrived."""
    again = PEOPLE[:2]
    begin = [*submitted(len(PEOPLE)), *begun(1, PEOPLE, 1)]
    worker = data.draw(worked(1, PEOPLE, 1).flatmap(lambda events: ended(1, events)), label="first attempts")
    receipts = data.draw(told(1, len(PEOPLE)), label="receipts of the first attempts")
    resend = [
        (message_stream(MESSAGE), retry_requested(recipients=len(again), time=after(5))),
        *begun(2, again, 2),
    ]
    of_resend = data.draw(shuffled(data.draw(worked(2, again, 2)), data.draw(told(2, len(again)))), label="resend")

    mixed = data.draw(shuffled([*worker, *resend, *of_resend], receipts), label="order")

    books = books_of([*begin, *mixed])
    assert books == books_of([*begin, *mixed], together=3)
    assert books == books_of([*begin, *worker, *resend, *of_resend, *receipts])
