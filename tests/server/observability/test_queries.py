"""Queries of a scrape, on both databases."""

from contextlib import closing

from domain.streams import batch_stream, message_stream
from projections.page_queues import page_queues
from server.eventstore.commit import Commit, StreamEvents
from server.observability.database_metrics import CountsCheck
from tests.builders import PAGE, batch_created, message_submitted
from tests.databases import opened
from tests.server.eventstore.whole_log import write_everything

PENDING = Commit(
    [
        StreamEvents(message_stream("m-waits"), 0, (message_submitted(2, message_id="m-waits"),)),
        StreamEvents(batch_stream("m-waits", 0, 1), 0, (batch_created("ann", "bob", message_id="m-waits"),)),
    ]
)


def test_a_complete_log_has_queues_and_correct_counts(database_url: str) -> None:
    with closing(opened(database_url)) as store:
        write_everything(store)
        store.write_together([PENDING])
        with store.transaction(commit=False) as sql:
            queues = page_queues(sql)
            imbalances = [CountsCheck().imbalance(sql) for _ in range(2)]

    assert queues[PAGE].depth == 2
    assert queues[PAGE].age_seconds > 0
    assert imbalances == [0, 0]


def test_every_message_is_checked_over_time(database_url: str) -> None:
    books = CountsCheck()
    with closing(opened(database_url)) as store:
        write_everything(store)
        with store.transaction(commit=True) as sql:
            sql.execute("UPDATE messages SET is_completed = 1")
            last = sql.row("SELECT MAX(message_id) AS message_id FROM messages")
            assert last is not None
            sql.execute("UPDATE messages SET total = total + 3 WHERE message_id = :message_id", dict(last))
        with store.transaction(commit=False) as sql:
            found = [books.imbalance(sql) for _ in range(3)]

    assert found == [3, 3, 3]
