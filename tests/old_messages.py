"""Old finished messages, written directly into the store."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from domain import batch as batches
from domain.message_events import MessageCompleted
from domain.outcome import Outcome
from domain.streams import batch_stream, message_stream, receipts_stream
from server.eventstore.commit import Commit, Committed, StreamEvents
from server.eventstore.store import Store
from tests.builders import batch_created, delivered, message_submitted
from tests.receipts import echo, receipts_recorded


def write_finished_messages(
    store: Store, message_ids: Sequence[str], outcomes: Mapping[str, Outcome], *, time: datetime
) -> None:
    """Write finished messages with these outcomes; the first recipient has a receipt."""
    commits = [commit for message_id in message_ids for commit in _done(message_id, outcomes, time)]
    assert all(isinstance(written.result, Committed) for written in store.write_together(commits))


def _done(message_id: str, outcomes: Mapping[str, Outcome], time: datetime) -> Sequence[Commit]:
    submitted = message_submitted(len(outcomes), message_id=message_id, time=time)
    created = batch_created(*outcomes, message_id=message_id, time=time)
    sent = delivered(batches.fold([created]), outcomes, now=time)
    receipt = receipts_recorded(echo(0), message_id=message_id, time=time)
    completed = MessageCompleted(message_id=message_id, time=time)
    return [
        Commit([StreamEvents(message_stream(message_id), 0, [submitted])]),
        Commit([StreamEvents(batch_stream(message_id, 0, 1), 0, [created, *sent])]),
        Commit([StreamEvents(receipts_stream(message_id, 0, 1), 0, [receipt])]),
        Commit([StreamEvents(message_stream(message_id), 1, [completed])]),
    ]
