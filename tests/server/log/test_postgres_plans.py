"""How PostgreSQL goes about statements that are prepared while its tables are still empty, and kept."""

from contextlib import closing

import psycopg
import pytest

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
    """By another index that begins with the message, each row would cost a walk through all of the message."""
    opened(postgres_url).close()
    with closing(psycopg.connect(postgres_url)) as connection:
        connection.execute("SET plan_cache_mode = force_generic_plan")
        connection.execute(f"PREPARE change AS DELETE FROM {table} WHERE {key}")  # noqa: S608 - our own names
        plan = "\n".join(row[0] for row in connection.execute(f"EXPLAIN EXECUTE change ({values})"))

    assert f"using {index} " in plan, plan
