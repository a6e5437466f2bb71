"""Receipts of a batch: deliveries that the platform confirmed through a webhook."""

from domain import receipts
from domain.batch import Batch
from domain.batch_decisions import NO_RECEIPTS, Receipts
from domain.streams import receipts_stream
from projections.sql import Sql
from server.eventstore.stream import events_of


def load_receipts(sql: Sql, batch: Batch) -> Receipts:
    """Return the deliveries of a batch that a receipt proves sent (protocol rule 4).

    Read them before a delivery without an outcome becomes unconfirmed. Queried only if deliveries are SENDING.
    """
    if not batch.sending:
        return NO_RECEIPTS
    return receipts.fold(events_of(sql, receipts_stream(batch.message_id, batch.stage, batch.number))).sent()
