"""PostgreSQL's plans of statements that were prepared while the tables were empty."""

import re
from contextlib import closing

import psycopg
import pytest

from domain.streams import batch_stream, message_stream
from projections.affected_deliveries import _FOLD
from server.eventstore.commit import Commit, StreamEvents
from server.eventstore.postgres.sql import with_bulk_rows
from server.eventstore.postgres.store import FIRST_ANALYZED_ROWS
from server.eventstore.store import Store
from tests.builders import MESSAGE, batch_created, message_submitted
from tests.databases import opened


@pytest.mark.parametrize(
    ("table", "index", "key", "values"),
    [
        ("deliveries", "deliveries_key", "message_id = $1 AND batch_number = $2 AND position = $3", "'m-1', 1, 1"),
        ("recipients", "recipients_pkey", "message_id = $1 AND recipient_id = $2", "'m-1', 'ann'"),
        ("batches", "batches_pkey", "message_id = $1 AND number = $2", "'m-1', 1"),
    ],
)
def test_a_row_is_found_by_its_whole_key(postgres_url: str, table: str, index: str, key: str, values: str) -> None:
    """With another index that starts with the message, each row would cost a scan of the whole message."""
    opened(postgres_url).close()
    with closing(psycopg.connect(postgres_url)) as connection:
        connection.execute("SET plan_cache_mode = force_generic_plan")
        connection.execute(f"PREPARE change AS DELETE FROM {table} WHERE {key}")  # noqa: S608 - our own names
        plan = "\n".join(row[0] for row in connection.execute(f"EXPLAIN EXECUTE change ({values})"))

    assert f"using {index} " in plan, plan


def _numbered(statement: str) -> str:
    """Return the statement in the form that PREPARE accepts."""
    whole = with_bulk_rows(statement, (("position", int),))
    for number, name in enumerate((":message_id", ":batch_number", ":given"), start=1):
        whole = whole.replace(name, f"${number}")
    return whole


def _fill(store: Store, recipients: int) -> None:
    """Write batches of one message with 100 recipients each."""
    submitted = StreamEvents(message_stream(MESSAGE), 0, [message_submitted(recipients)])
    store.write_together([Commit([submitted])])
    for number in range(1, recipients // 100 + 1):
        created = batch_created(*(f"{number}-{place}" for place in range(100)), batch_number=number)
        store.write_together([Commit([StreamEvents(batch_stream(MESSAGE, 0, number), 0, [created])])])


def test_a_plan_made_with_empty_tables_is_replaced_as_they_grow(postgres_url: str) -> None:
    """Otherwise it scans the whole message for each recipient."""
    fold = f"EXECUTE fold ('{MESSAGE}', 7, '[[0], [1], [2]]')"
    with closing(opened(postgres_url)) as store, closing(psycopg.connect(postgres_url, autocommit=True)) as connection:
        connection.execute("SET plan_cache_mode = force_generic_plan")
        connection.execute(f"PREPARE fold AS {_numbered(_FOLD)}")
        connection.execute(f"EXPLAIN {fold}")  # the plan is cached from now on

        _fill(store, 2 * FIRST_ANALYZED_ROWS)

        plan = "\n".join(row[0] for row in connection.execute(f"EXPLAIN (ANALYZE, BUFFERS) {fold}"))
    blocks = re.search(r"shared hit=([0-9]+)", plan)
    assert blocks is not None, plan
    assert int(blocks[1]) < 150, plan  # a lookup reads three or four, and each row is written again
