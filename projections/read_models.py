"""All read models together: what they are made of, and how events change them."""

from collections.abc import Iterable
from itertools import groupby

from domain.batch_events import BatchCompleted, BatchEvent, OutcomesRecorded
from domain.event import Event
from domain.message_events import MessageAbandoned, MessageEvent, MessageResumed, RetryRequested
from domain.page_events import PageHeld, PageReleased
from domain.retry import RetryTrigger
from projections import (
    archivable,
    batches,
    cleanups,
    deliveries,
    erasures,
    failures,
    message_rows,
    messages,
    outcomes,
    pages,
    planned,
    receipts,
    recipients,
    removable,
    requests,
    sealed_names,
)
from projections.new_batches import NewBatches, in_common
from projections.recorded import Recorded
from projections.sql import Sql, micros
from projections.tally import Tally

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
NAMES = (
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
    """Makes the tables that are not there."""
    for statement in TABLES:
        sql.execute(statement)


def drop(sql: Sql) -> None:
    """Drops all of them: the log can make them again."""
    for name in NAMES:
        sql.execute(f"DROP TABLE IF EXISTS {name}")


def apply(sql: Sql, recorded: Iterable[Recorded], tally: Tally) -> None:
    """Brings every read model up to date with events of the log, in its order; the tally is written at the end."""
    for common, together in groupby(recorded, in_common):
        if common is not None:
            planned.apply(sql, NewBatches.of(together), tally)
            continue
        for one in together:
            _apply(sql, one, tally)


def _apply(sql: Sql, recorded: Recorded, tally: Tally) -> None:
    messages.apply(sql, recorded)
    batches.apply(sql, recorded)
    recipients.apply(sql, recorded, tally)
    receipts.apply(sql, recorded)
    failures.apply(sql, recorded)
    requests.apply(sql, recorded)
    pages.apply(sql, recorded)
    cleanups.apply(sql, recorded)
    removable.apply(sql, recorded)
    archivable.apply(sql, recorded)
    erasures.apply(sql, recorded)
    sealed_names.apply(sql, recorded)
    tally.pasts.heed(recorded.event)
    _count(sql, recorded, tally)
    _count_recent_attempts(sql, recorded.event, tally)


def _count_recent_attempts(sql: Sql, event: Event, tally: Tally) -> None:
    match event:
        case OutcomesRecorded():
            tally.recent_attempts(event.message_id).add(event.outcomes)
        case MessageResumed(message_id=message_id) | RetryRequested(message_id=message_id, trigger=RetryTrigger.MANUAL):
            tally.recent_attempts(message_id).reset()
        case PageReleased(page_id=page_id):
            for message_id in message_rows.open_of_page(sql, page_id):
                tally.recent_attempts(message_id).reset()


def _count(sql: Sql, recorded: Recorded, tally: Tally) -> None:
    match recorded.event:
        case PageHeld(page_id=page_id) | PageReleased(page_id=page_id):
            for message_id in message_rows.open_of_page(sql, page_id):
                tally.move(message_id, recorded.position)  # watchers are to see why it does not move
        case MessageAbandoned(message_id=message_id):
            tally.forget(message_id)
        case MessageEvent(message_id=message_id, time=time):
            tally.move(message_id, recorded.position, micros(time))
        case BatchEvent(message_id=message_id) as event:
            tally.move(message_id, recorded.position)
            if isinstance(event, BatchCompleted):
                tally.complete_batch(message_id)
