"""The sealed_names table: the recipients' names of each batch, encrypted; resends use the row of the origin batch.

One row per batch adds almost no time to a send; a name in each delivery's row was measured at 10 microseconds.
"""

from collections.abc import Collection, Mapping

from domain.event import RecordedEvent
from domain.message_events import MessageAbandoned
from projections.new_batches import NewBatches
from projections.sql import BulkRows, Sql

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
BatchKey = tuple[str, int]  # the message id and the number of a batch


def insert(sql: Sql, new: NewBatches) -> None:
    """Insert the names of new batches; batches of a resend have none."""
    for event in new.created:
        if event.sealed_names:
            sql.execute(
                "INSERT INTO sealed_names (message_id, batch_number, names) VALUES (:message_id, :number, :names)",
                {"message_id": event.message_id, "number": event.batch_number, "names": event.sealed_names},
            )


def apply(sql: Sql, recorded: RecordedEvent) -> None:
    """Delete the names of an abandoned message; an erasure destroys the person's key instead of changing these rows."""
    if isinstance(recorded.event, MessageAbandoned):
        message = {"message_id": recorded.event.message_id}
        sql.execute("DELETE FROM sealed_names WHERE message_id = :message_id", message)


def of_batches(sql: Sql, places: Collection[BatchKey]) -> Mapping[BatchKey, bytes]:
    """Return the sealed names by batch; batches without names are left out."""
    rows = sql.rows(
        """
        SELECT sealed_names.* FROM given CROSS JOIN sealed_names
        WHERE sealed_names.message_id = given.message_id AND sealed_names.batch_number = given.batch_number
        """,
        given=BulkRows((("message_id", str), ("batch_number", int)), list(places)),
    )
    return {(row["message_id"], row["batch_number"]): row["names"] for row in rows}
