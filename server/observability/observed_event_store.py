"""The event store, observed: the duration and result of commits, and the events that this process recorded.

Events are counted when they are committed, not when listeners receive them: listeners receive the events of every
process, so that a sum over processes would count each event several times.
"""

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
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
from domain.event import Event, RecordedEvent
from domain.message_events import MessageSubmitted, RetryRequested
from domain.outcome import Failed, Sent, Unconfirmed
from projections.batches import pending_of
from projections.sql import Sql
from server.eventstore.commit import Commit, CommitResult, Committed, EventLog, Listener
from server.observability.metrics import Metrics
from server.observability.tracing import Tracing

T = TypeVar("T")

_UNAVAILABLE = "unavailable"
_RESULTS = ("committed", "conflict", "refused", _UNAVAILABLE)


class ObservedEventStore:
    """An EventLog that measures and traces another one."""

    def __init__(self, log: EventLog, metrics: Metrics, tracing: Tracing | None) -> None:
        self._log = log
        self._metrics = metrics
        self._tracing = tracing
        self._sent = metrics.deliveries.labels("sent", "")
        self._results = {result: metrics.commits.labels(result) for result in _RESULTS}

    async def commit(self, commit: Commit) -> CommitResult:
        """Write the commit; raises Unavailable."""
        cancelled = _CancelledDeliveries(commit)
        result = await self._measured(self._log.commit(cancelled.counting), lambda end: type(end).__name__.lower())
        if isinstance(result, Committed):
            self._count(commit, cancelled.deliveries)
        return result

    async def write(self, change: Callable[[Sql], T]) -> T:
        """Change operational tables, which counts as a commit; raises Unavailable."""
        return await self._measured(self._log.write(change), lambda _: "committed")

    async def _measured(self, written: Awaitable[T], name: Callable[[T], str]) -> T:
        """Wait for a commit, measure it, and count it under the name of its result."""
        started = time.perf_counter()
        try:
            result = await written
        except Unavailable:
            self._count_result(_UNAVAILABLE, started)
            raise
        self._count_result(name(result), started)
        return result

    def _count_result(self, result: str, started: float) -> None:
        """Count a result; the commit of a cancelled caller is not counted, because its result is not known here."""
        self._metrics.commit_seconds.observe(time.perf_counter() - started)
        self._results[result].inc()

    def _count(self, commit: Commit, cancelled: int) -> None:
        if cancelled:
            self._metrics.deliveries.labels("cancelled", "").inc(cancelled)
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
                self._metrics.messages.inc()
                self._metrics.recipients.inc(total)
            case DeliveriesReturned(to=DeliveryStatus.CANCELLED, positions=positions):
                self._metrics.deliveries.labels("cancelled", "").inc(len(positions))

    def _count_outcomes(self, known: Sequence[RecordedOutcome]) -> None:
        unsent = [one.outcome for one in known if not isinstance(one.outcome, Sent)]
        if len(unsent) < len(known):
            self._sent.inc(len(known) - len(unsent))
        for labels, count in Counter(map(_labels, unsent)).items() if unsent else ():
            self._metrics.deliveries.labels(*labels).inc(count)

    async def load(self, stream: str, *, limit: int | None = None) -> Sequence[Event]:
        """Return the events of a stream in order, all or the first few; raises Unavailable."""
        return await self._log.load(stream, limit=limit)

    async def recorded_in(
        self, streams: Sequence[str], *, after: int = 0, limit: int | None = None
    ) -> Sequence[RecordedEvent]:
        """Return the events of some streams in order, after a position; raises Unavailable."""
        return await self._log.recorded_in(streams, after=after, limit=limit)

    async def read(self, query: Callable[[Sql], T]) -> T:
        """Run a query in a snapshot; raises Unavailable."""
        return await self._log.read(query)

    async def compute(self, work: Callable[[], T]) -> T:
        """Run a computation in a reader thread; raises Unavailable."""
        return await self._log.compute(work)

    def listen(self, listener: Listener) -> None:
        """Call the listener with the events of each commit."""
        self._log.listen(listener)


def _labels(outcome: Failed | Unconfirmed) -> tuple[str, str]:
    return "failed" if isinstance(outcome, Failed) else "unconfirmed", outcome.fault.type.value


class _CancelledDeliveries:
    """Counts what a commit cancels. The event does not say it, so the commit's guard reads it in the transaction."""

    def __init__(self, commit: Commit) -> None:
        self.deliveries = 0
        self._batches = [
            (event.message_id, event.batch_number)
            for append in commit.appends
            for event in append.events
            if type(event) is BatchCancelled
        ]
        self._guard = commit.guard
        self.counting = replace(commit, guard=self._count_and_guard) if self._batches else commit

    def _count_and_guard(self, sql: Sql) -> Any:
        self.deliveries = sum(pending_of(sql, *batch) for batch in self._batches)
        return self._guard(sql) if self._guard is not None else None
