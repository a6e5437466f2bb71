"""A real database that tests change by the domain's decisions, one commit at a time."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from domain import batch as batches
from domain import message as messages
from domain import receipts
from domain.batch import Batch
from domain.batch_events import BatchRecipient
from domain.delivery import DeliveryStatus
from domain.event import Event
from domain.fault import ErrorType
from domain.message import Message
from domain.message_events import MessageCancelled, MessageCompleted
from domain.outcome import Outcome
from domain.receipts import Receipt, ReceiptKind, ReceiptsRecorded
from domain.streams import batch_stream, message_stream, page_stream, receipts_stream
from projections import failures, message_rows
from projections.message_rows import MessageRow
from projections.sql import Row, Sql
from server.commands.resend_planning import RoundRequest, SlicePlan, plan_slice
from server.eventstore.commit import Commit, CommitResult, StreamEvents
from server.eventstore.rebuild import rebuild
from server.eventstore.sqlite.store import SqliteStore
from tests.builders import (
    MESSAGE,
    OWNER,
    PAGE,
    after,
    batch_created,
    batch_recipients,
    delivered,
    message_submitted,
    page_registered,
)
from tests.contents import contents

Guard = Callable[[Sql], Any]
T = TypeVar("T")


class DrivenStore:
    """Loads, commits and queries; keeps the stages of streamed messages, which are part of stream names."""

    def __init__(self, path: Path) -> None:
        self.store = SqliteStore(path)
        self.stages: dict[str, int] = {}

    def close(self) -> None:
        self.store.close()

    def write(self, *appends: StreamEvents, guard: Guard | None = None) -> CommitResult:
        return self.write_all(Commit(appends, guard))[0]

    def write_all(self, *commits: Commit) -> Sequence[CommitResult]:
        results = [written.result for written in self.store.write_together(commits)]
        for result in results:
            assert not isinstance(result, BaseException)
        return results  # type: ignore[return-value]  # asserted above

    def append_to_page(self, version: int, *events: Event) -> None:
        self.write(StreamEvents(page_stream(PAGE), version, events))

    def register_page(self, page_id: str = PAGE) -> None:
        self.write(StreamEvents(page_stream(page_id), 0, [page_registered(page_id)]))

    def give_page(self, worker: str, generation: int) -> None:
        statement = (
            "INSERT OR REPLACE INTO page_owners (page_id, worker, generation) VALUES (:page, :worker, :generation)"
        )
        parameters = {"page": PAGE, "worker": worker, "generation": generation}
        self.store.write_together([Commit([], also=lambda sql: _run(sql, statement, parameters))])

    # Messages

    def submit(self, message_id: str, *people: str, at: float = 0.0, **fields: Any) -> None:
        """Submit a message with one pending batch."""
        submitted = message_submitted(len(people), message_id=message_id, time=after(at), **fields)
        created = self.new_batches(
            message_id, [batch_recipients(*people)], first=1, page_id=submitted.page_id, time=submitted.time
        )
        self.write(self.of_message(self.message(message_id), submitted), *created)

    def send(self, message_id: str, outcomes: Mapping[str, Outcome], *, at: float = 0.0, **fields: Any) -> None:
        """Submit, send and complete a message with these outcomes."""
        self.submit(message_id, *outcomes, at=at, **fields)
        self.deliver(message_id, 1, outcomes)
        self.complete(message_id, at=at + 1)

    def deliver(self, message_id: str, number: int, outcomes: Mapping[str, Outcome]) -> None:
        """Send a batch with these outcomes."""
        batch = self.batch(message_id, number)
        self.write(self.of_batch(batch, delivered(batch, outcomes)))

    def complete(self, message_id: str, *, at: float) -> None:
        self.write(self.of_message(self.message(message_id), MessageCompleted(message_id=message_id, time=after(at))))

    def cancel(self, message_id: str, *, at: float) -> None:
        cancelled = MessageCancelled(message_id=message_id, requested_by=OWNER, time=after(at))
        self.write(self.of_message(self.message(message_id), cancelled))

    def message(self, message_id: str = MESSAGE) -> Message:
        return messages.fold(message_id, self.store.load(message_stream(message_id), None))

    def row(self, message_id: str = MESSAGE) -> MessageRow:
        row = self.ask(lambda sql: message_rows.find(sql, message_id))
        assert row is not None
        return row

    def of_message(self, message: Message, *events: Event) -> StreamEvents:
        return StreamEvents(message_stream(message.id), message.version, events)

    def plan(self, request: RoundRequest) -> SlicePlan:
        row = self.row(request.message_id)
        return self.ask(lambda sql: plan_slice(sql, row, request))

    # Batches

    def batch_events(self, message_id: str, number: int) -> Sequence[Event]:
        return self.store.load(batch_stream(message_id, self.stages.get(message_id, 0), number), None)

    def batch(self, message_id: str, number: int) -> Batch:
        return batches.fold(self.batch_events(message_id, number))

    def of_batch(self, batch: Batch, events: Sequence[Event]) -> StreamEvents:
        return StreamEvents(batch_stream(batch.message_id, batch.stage, batch.number), batch.version, events)

    def record_echoes(self, batch: Batch, positions: Sequence[int], *, now: datetime) -> Sequence[Receipt]:
        """Record echoes for these positions, and return the new ones."""
        stream = receipts_stream(batch.message_id, batch.stage, batch.number)
        recorded = receipts.fold(self.store.load(stream, None))
        echoes = [Receipt(position=p, kind=ReceiptKind.ECHO, time=now, provider_message_id=f"m_{p}") for p in positions]
        new = tuple(echoes[index] for index in receipts.new_receipt_indexes(recorded, echoes))
        if new:
            event = ReceiptsRecorded(message_id=batch.message_id, batch_number=batch.number, receipts=new, time=now)
            self.write(StreamEvents(stream, recorded.version, [event]))
        return new

    def new_batches(
        self, message_id: str, groups: Sequence[Sequence[BatchRecipient]], *, first: int, **fields: Any
    ) -> list[StreamEvents]:
        """Return the appends that create batches, numbered from `first` on."""
        stage = self.stages.get(message_id, 0)
        created = [
            batch_created(*group, message_id=message_id, batch_number=number, stage=stage, **fields)
            for number, group in enumerate(groups, start=first)
        ]
        return [StreamEvents(batch_stream(message_id, stage, one.batch_number), 0, [one]) for one in created]

    # Read models

    def ask(self, query: Callable[[Sql], T]) -> T:
        with self.store.transaction(commit=False) as sql:
            return query(sql)

    def steps(self, query: Callable[[Sql], object]) -> int:
        """Return the number of instructions of SQLite's virtual machine that a query executes."""
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += 1
            return 0

        with self.store.transaction(commit=False) as sql:
            connection = sql._cursor.connection  # type: ignore[attr-defined]
            connection.set_progress_handler(count, 1)
            query(sql)
            connection.set_progress_handler(None, 1)
        return steps

    def rows(self, statement: str, **parameters: Any) -> Sequence[Row]:
        return self.ask(lambda sql: sql.rows(statement, parameters))

    def counted(self, statement: str, **parameters: Any) -> dict[Any, int]:
        """Return the result of a query with the columns `counted` and `row_count` as a mapping."""
        return {row["counted"]: row["row_count"] for row in self.rows(statement, **parameters)}

    def failures(self, message_id: str) -> Mapping[ErrorType, int]:
        return self.ask(lambda sql: failures.counts_by_type(sql, message_id))

    def assert_rebuilt_equal(self) -> None:
        """Check that a rebuild from the log gives the same read models."""
        before = self.ask(contents)
        rebuild(self.store)
        assert self.ask(contents) == before


def counts_of(row: Row) -> dict[DeliveryStatus, int]:
    """Return the counts in a row that are not 0."""
    return {status: row[status.value.lower()] for status in DeliveryStatus if row[status.value.lower()]}


def _run(sql: Sql, statement: str, parameters: dict[str, object]) -> None:
    sql.execute(statement, parameters)
