"""All read models together: what they are made of, and how one event changes them."""

from domain.batch_events import BatchCompleted, BatchEvent
from domain.message_events import MessageAbandoned, MessageEvent
from projections import batches, deliveries, failures, messages, pages, recipients, requests
from projections.recorded import Recorded
from projections.sql import Sql, micros
from projections.tally import Tally

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


def apply(sql: Sql, recorded: Recorded, tally: Tally) -> None:
    """Brings every read model up to date with one event; the tally is written at the transaction's end."""
    messages.apply(sql, recorded)
    batches.apply(sql, recorded)
    recipients.apply(sql, recorded, tally)
    failures.apply(sql, recorded)
    requests.apply(sql, recorded)
    pages.apply(sql, recorded)
    match recorded.event:
        case MessageAbandoned(message_id=message_id):
            tally.forget(message_id)
        case MessageEvent(message_id=message_id, time=time):
            tally.move(message_id, recorded.position, micros(time))
        case BatchEvent(message_id=message_id) as event:
            tally.move(message_id, recorded.position)
            if isinstance(event, BatchCompleted):
                tally.complete_batch(message_id)
