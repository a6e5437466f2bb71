"""What the platform itself has said of a batch: read before anything of it is called unconfirmed (protocol rule 4)."""

from domain import receipts
from domain.batch import Batch
from domain.batch_decisions import NO_RECEIPTS, Receipts
from domain.streams import receipts_stream
from projections.sql import Sql
from server.eventstore.stream import events_of


def receipts_of(sql: Sql, batch: Batch) -> Receipts:
    """What is known to have been sent; looked for only where a worker has left something without an outcome."""
    if not batch.sending:
        return NO_RECEIPTS
    return receipts.fold(events_of(sql, receipts_stream(batch.message_id, batch.stage, batch.number))).sent()
