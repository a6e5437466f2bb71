"""The log, observed: how long commits take, how they end, and what this process recorded with them.

Counted from what is handed in and not from what listeners hear: they hear of every process's events, and a sum over
processes would count each as often as there are processes.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from domain.batch_events import (
    BatchCancelled,
    DeliveriesReturned,
    LateOutcomesRecorded,
    OutcomesRecorded,
    RecordedOutcome,
)
from domain.delivery import DeliveryStatus
from domain.errors import Unavailable
from domain.event import Event
from domain.message_events import MessageSubmitted, RetryRequested
from domain.outcome import Failed, Sent, Unconfirmed
from projections.recorded import Recorded
from projections.sql import Sql
from server.eventstore.commit import Commit, CommitResult, Committed, EventLog, Listener
from server.observability.metrics import Meters
from server.observability.tracing import Tracing

T = TypeVar("T")

_UNAVAILABLE = "unavailable"
_ENDS = ("committed", "conflict", "refused", _UNAVAILABLE)


class ObservedLog:
    """See EventLog."""

    def __init__(self, log: EventLog, meters: Meters, tracing: Tracing | None) -> None:
        self._log = log
        self._meters = meters
        self._tracing = tracing
        self._sent = meters.deliveries.labels("sent", "")
        self._ends = {end: meters.commits.labels(end) for end in _ENDS}

    async def commit(self, commit: Commit) -> CommitResult:
        """Writes it, together with whatever else waits; raises Unavailable."""
        cancelled = _Cancelled(commit)
        started = time.perf_counter()
        try:
            result = await self._log.commit(cancelled.counting)
        except Unavailable:
            self._ended(_UNAVAILABLE, started)
            raise
        self._ended(type(result).__name__.lower(), started)
        if isinstance(result, Committed):
            self._count(commit, cancelled.deliveries)
        return result

    def _ended(self, end: str, started: float) -> None:
        """Not called for a caller that goes away meanwhile: how its commit ends is not known here."""
        self._meters.commit_seconds.observe(time.perf_counter() - started)
        self._ends[end].inc()

    def _count(self, commit: Commit, cancelled: int) -> None:
        if cancelled:
            self._meters.deliveries.labels("cancelled", "").inc(cancelled)
        for append in commit.appends:
            for event in append.events:
                self._count_event(event)
                if self._tracing is not None and isinstance(event, MessageSubmitted | RetryRequested):
                    self._tracing.planned(event.message_id)

    def _count_event(self, event: Event) -> None:
        match event:
            case OutcomesRecorded(outcomes=outcomes) | LateOutcomesRecorded(outcomes=outcomes):
                self._count_outcomes(outcomes)
            case MessageSubmitted(total=total):
                self._meters.messages.inc()
                self._meters.recipients.inc(total)
            case DeliveriesReturned(to=DeliveryStatus.CANCELLED, positions=positions):
                self._meters.deliveries.labels("cancelled", "").inc(len(positions))

    def _count_outcomes(self, known: Sequence[RecordedOutcome]) -> None:
        troubled = [one.outcome for one in known if not isinstance(one.outcome, Sent)]
        if len(troubled) < len(known):
            self._sent.inc(len(known) - len(troubled))
        for labels, how_many in Counter(map(_labels, troubled)).items() if troubled else ():
            self._meters.deliveries.labels(*labels).inc(how_many)

    async def load(self, stream: str, *, limit: int | None = None) -> Sequence[Event]:
        """The events of a stream in order, all or the first few; raises Unavailable."""
        return await self._log.load(stream, limit=limit)

    async def recorded_in(
        self, streams: Sequence[str], *, after: int = 0, limit: int | None = None
    ) -> Sequence[Recorded]:
        """The events of some streams in the log's order, after a position; raises Unavailable."""
        return await self._log.recorded_in(streams, after=after, limit=limit)

    async def read(self, query: Callable[[Sql], T]) -> T:
        """Runs a query in a snapshot of its own; raises Unavailable."""
        return await self._log.read(query)

    async def compute(self, work: Callable[[], T]) -> T:
        """Run in a reader's thread what is made of what was read; raises Unavailable."""
        return await self._log.compute(work)

    def listen(self, listener: Listener) -> None:
        """Calls the listener with what each commit recorded."""
        self._log.listen(listener)


def _labels(outcome: Failed | Unconfirmed) -> tuple[str, str]:
    return "failed" if isinstance(outcome, Failed) else "unconfirmed", outcome.fault.type.value


class _Cancelled:
    """Counts what a commit cancels: the event does not say, so its transaction looks just before."""

    def __init__(self, commit: Commit) -> None:
        self.deliveries = 0
        self._batches = [
            (event.message_id, event.batch_number)
            for append in commit.appends
            for event in append.events
            if type(event) is BatchCancelled
        ]
        self._guard = commit.guard
        self.counting = replace(commit, guard=self._look) if self._batches else commit

    def _look(self, sql: Sql) -> Any:
        self.deliveries = sum(_pending(sql, *batch) for batch in self._batches)
        return self._guard(sql) if self._guard is not None else None


def _pending(sql: Sql, message_id: str, number: int) -> int:
    row = sql.row(
        "SELECT pending FROM batches WHERE message_id = :message_id AND number = :number",
        {"message_id": message_id, "number": number},
    )
    return row["pending"] if row else 0
