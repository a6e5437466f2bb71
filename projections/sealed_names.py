"""Sealed names: those of a batch together, as its first event brought them; a retry's stand at their origin.

One row for 100 people costs a send next to nothing, where each name in its delivery's row cost it 10 microseconds.
"""

from collections.abc import Collection, Mapping

from domain.message_events import MessageAbandoned
from projections.new_batches import NewBatches
from projections.recorded import Recorded
from projections.sql import Given, Sql

TABLES = (
    """
    CREATE TABLE IF NOT EXISTS sealed_names (
        message_id TEXT NOT NULL,
        batch_number INTEGER NOT NULL,
        names BYTEA NOT NULL,
        PRIMARY KEY (message_id, batch_number)
    )
    """,
)
BatchPlace = tuple[str, int]  # a batch: its message and its number


def create(sql: Sql, new: NewBatches) -> None:
    """Those of new batches; resends have none."""
    for event in new.created:
        if event.sealed_names:
            sql.execute(
                "INSERT INTO sealed_names (message_id, batch_number, names) VALUES (:message_id, :number, :names)",
                {"message_id": event.message_id, "number": event.batch_number, "names": event.sealed_names},
            )


def apply(sql: Sql, recorded: Recorded) -> None:
    """An abandoned message has none; to erase somebody is to destroy a key, not to change these."""
    if isinstance(recorded.event, MessageAbandoned):
        message = {"message_id": recorded.event.message_id}
        sql.execute("DELETE FROM sealed_names WHERE message_id = :message_id", message)


def of_batches(sql: Sql, places: Collection[BatchPlace]) -> Mapping[BatchPlace, bytes]:
    """The names of some batches; nothing for those that have none."""
    rows = sql.rows(
        """
        SELECT sealed_names.* FROM given CROSS JOIN sealed_names
        WHERE sealed_names.message_id = given.message_id AND sealed_names.batch_number = given.batch_number
        """,
        given=Given((("message_id", str), ("batch_number", int)), list(places)),
    )
    return {(row["message_id"], row["batch_number"]): row["names"] for row in rows}
