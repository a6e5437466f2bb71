"""All read models: their tables, and the application of events to them."""

from collections.abc import Iterable
from itertools import groupby

from domain.batch_events import BatchCompleted, BatchEvent, OutcomesRecorded
from domain.event import Event, RecordedEvent
from domain.message_events import MessageAbandoned, MessageEvent, MessageResumed, RetryRequested
from domain.page_events import PageHeld, PageReleased
from domain.retry import RetryTrigger
from projections import (
    archivable_messages,
    batches,
    cleanups,
    deliveries,
    erasures,
    failures,
    message_rows,
    messages,
    new_batches_projector,
    outcomes,
    pages,
    receipts,
    recipients,
    removable_deliveries,
    requests,
    sealed_names,
)
from projections.count_deltas import CountDeltas
from projections.new_batches import NewBatches, group_key
from projections.sql import Sql, micros

TABLES = (
    *messages.TABLES,
    *batches.TABLES,
    *deliveries.TABLES,
    *recipients.TABLES,
    *receipts.TABLES,
    *failures.TABLES,
    *outcomes.TABLES,
    *requests.TABLES,
    *pages.TABLES,
    *cleanups.TABLES,
    *erasures.TABLES,
    *sealed_names.TABLES,
)
TABLE_NAMES = (
    "messages",
    "batches",
    "deliveries",
    "recipients",
    "receipts",
    "failures",
    "outcomes",
    "page_outcomes",
    "requests",
    "pages",
    "cleanups",
    "erasures",
    "sealed_names",
)


def create(sql: Sql) -> None:
    """Create the tables that do not exist."""
    for statement in TABLES:
        sql.execute(statement)


def drop(sql: Sql) -> None:
    """Drop all tables; a rebuild restores them from the log."""
    for name in TABLE_NAMES:
        sql.execute(f"DROP TABLE IF EXISTS {name}")


def apply(sql: Sql, recorded: Iterable[RecordedEvent], deltas: CountDeltas) -> None:
    """Apply events to every read model, in log order; the caller writes the deltas at the end of the transaction."""
    for common, together in groupby(recorded, group_key):
        if common is not None:
            new_batches_projector.apply(sql, NewBatches.from_recorded(together), deltas)
            continue
        for one in together:
            _apply(sql, one, deltas)


def _apply(sql: Sql, recorded: RecordedEvent, deltas: CountDeltas) -> None:
    messages.apply(sql, recorded)
    batches.apply(sql, recorded)
    recipients.apply(sql, recorded, deltas)
    receipts.apply(sql, recorded)
    failures.apply(sql, recorded)
    requests.apply(sql, recorded)
    pages.apply(sql, recorded)
    cleanups.apply(sql, recorded)
    removable_deliveries.apply(sql, recorded)
    archivable_messages.apply(sql, recorded)
    erasures.apply(sql, recorded)
    sealed_names.apply(sql, recorded)
    deltas.prior_states.invalidate_after(recorded.event)
    _count(sql, recorded, deltas)
    _count_recent_attempts(sql, recorded.event, deltas)


def _count_recent_attempts(sql: Sql, event: Event, deltas: CountDeltas) -> None:
    match event:
        case OutcomesRecorded():
            deltas.recent_attempts(event.message_id).add(event.outcomes)
        case MessageResumed(message_id=message_id) | RetryRequested(message_id=message_id, trigger=RetryTrigger.MANUAL):
            deltas.recent_attempts(message_id).reset()
        case PageReleased(page_id=page_id):
            for message_id in message_rows.open_of_page(sql, page_id):
                deltas.recent_attempts(message_id).reset()


def _count(sql: Sql, recorded: RecordedEvent, deltas: CountDeltas) -> None:
    match recorded.event:
        case PageHeld(page_id=page_id) | PageReleased(page_id=page_id):
            for message_id in message_rows.open_of_page(sql, page_id):
                deltas.record_position(message_id, recorded.position)  # so that watchers of the message see the hold
        case MessageAbandoned(message_id=message_id):
            deltas.discard(message_id)
        case MessageEvent(message_id=message_id, time=time):
            deltas.record_position(message_id, recorded.position, micros(time))
        case BatchEvent(message_id=message_id) as event:
            deltas.record_position(message_id, recorded.position)
            if isinstance(event, BatchCompleted):
                deltas.complete_batch(message_id)
