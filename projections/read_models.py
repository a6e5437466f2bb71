"""All read models together: what they are made of, and how one event changes them."""

from domain.batch_events import BatchEvent
from domain.message_events import MessageAbandoned, MessageEvent
from projections import batches, deliveries, failures, messages, pages, recipients, requests
from projections.recorded import Recorded
from projections.sql import Sql

TABLES = (
    *messages.TABLES,
    *batches.TABLES,
    *deliveries.TABLES,
    *recipients.TABLES,
    *failures.TABLES,
    *requests.TABLES,
    *pages.TABLES,
)
NAMES = ("messages", "batches", "deliveries", "recipients", "failures", "requests", "pages")


def create(sql: Sql) -> None:
    """Makes the tables that are not there."""
    for statement in TABLES:
        sql.execute(statement)


def drop(sql: Sql) -> None:
    """Drops all of them: the log can make them again."""
    for name in NAMES:
        sql.execute(f"DROP TABLE IF EXISTS {name}")


def apply(sql: Sql, recorded: Recorded) -> None:
    """Brings every read model up to date with one event, in the transaction that appends it."""
    messages.apply(sql, recorded)
    batches.apply(sql, recorded)
    deliveries.apply(sql, recorded)
    recipients.apply(sql, recorded)
    failures.apply(sql, recorded)
    requests.apply(sql, recorded)
    pages.apply(sql, recorded)
    _settle(sql, recorded)


def _settle(sql: Sql, recorded: Recorded) -> None:
    event = recorded.event
    if isinstance(event, BatchEvent):
        batches.recount(sql, event.message_id, event.batch_number)
    if isinstance(event, BatchEvent | MessageEvent) and not isinstance(event, MessageAbandoned):
        messages.settle(sql, event.message_id, recorded.position)
