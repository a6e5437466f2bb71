"""Receipts: a row for every delivery that the platform has echoed, so that what it says later finds its way.

Deliveries and reads name a person and the platform's id, or a time, never ours. An index for that on the deliveries
themselves would cost every send; these rows cost only where echoes come in.
"""

from collections.abc import Sequence
from typing import NamedTuple

from domain.owner import ANYBODY
from domain.receipt_events import ReceiptKind, ReceiptsRecorded
from projections.recorded import Recorded
from projections.sql import Given, Micros, Row, Sql, micros

TABLES = (
    """
    CREATE TABLE IF NOT EXISTS receipts (
        message_id TEXT NOT NULL,
        stage INTEGER NOT NULL,
        batch_number INTEGER NOT NULL,
        position INTEGER NOT NULL,
        owner TEXT NOT NULL,
        page_id TEXT NOT NULL,
        recipient_id TEXT NOT NULL,
        provider_message_id TEXT NOT NULL,
        sent_time BIGINT NOT NULL,
        PRIMARY KEY (message_id, batch_number, position)
    )
    """,
    "CREATE INDEX IF NOT EXISTS receipts_of_recipient ON receipts (page_id, recipient_id, sent_time)",
)
_NAME_COLUMNS = (
    *(("page_id", str), ("recipient_id", str), ("message_id", str)),
    *(("batch_number", int), ("position", int)),
)
MOST_AT_ONCE = 100  # deliveries that one watermark marks, newest first


class Place(NamedTuple):
    """Where a delivery stands."""

    message_id: str
    stage: int
    batch_number: int
    position: int


class Name(NamedTuple):
    """A delivery by what it was sent with: its page, its recipient, and its id in parts."""

    page_id: str
    recipient_id: str
    message_id: str
    batch_number: int
    position: int


class Person(NamedTuple):
    """A page's recipient, as one owner (or ANYBODY) may see them."""

    owner: str
    page_id: str
    recipient_id: str


class Marked(NamedTuple):
    """A delivery that was sent up to a watermark, and whether it is known to have come so far."""

    place: Place
    is_delivered: bool
    is_read: bool

    def is_known(self, kind: ReceiptKind) -> bool:
        """A receipt of this kind has come."""
        return self.is_read if kind is ReceiptKind.READ else self.is_delivered


def apply(sql: Sql, recorded: Recorded) -> None:
    """What events change of receipts."""
    event = recorded.event
    if not isinstance(event, ReceiptsRecorded):
        return
    echoes = [
        (one.position, one.provider_message_id, micros(one.time))
        for one in event.receipts
        if one.kind is ReceiptKind.ECHO
    ]
    if echoes:
        sql.execute(
            _INSERT,
            {"message_id": event.message_id, "batch_number": event.batch_number},
            Given((("position", int), ("provider_message_id", str), ("time", int)), echoes),
        )


_INSERT = """
    INSERT INTO receipts (message_id, stage, batch_number, position, owner, page_id, recipient_id,
                          provider_message_id, sent_time)
    SELECT messages.message_id, batches.stage, batches.number, given.position, messages.owner, messages.page_id,
           deliveries.recipient_id, given.provider_message_id, given.time
    FROM given CROSS JOIN messages CROSS JOIN batches CROSS JOIN deliveries
    WHERE messages.message_id = :message_id
      AND batches.message_id = :message_id AND batches.number = :batch_number
      AND deliveries.message_id = :message_id AND deliveries.batch_number = :batch_number
      AND deliveries.position = given.position
"""


def sent_as(sql: Sql, person: Person, provider_message_id: str) -> Place | None:
    """The delivery to a person that the platform has echoed under this id, or None."""
    row = sql.row(
        """
        SELECT * FROM receipts
        WHERE page_id = :page_id AND recipient_id = :recipient_id AND :owner IN (owner, :anybody)
          AND provider_message_id = :provider_message_id
        LIMIT 1
        """,
        {**person._asdict(), "anybody": ANYBODY, "provider_message_id": provider_message_id},
    )
    return None if row is None else _place(row)


def sent_until(sql: Sql, person: Person, watermark: Micros) -> Sequence[Marked]:
    """What was sent to a person up to a time, newest first, at most 100."""
    rows = sql.rows(
        """
        SELECT receipts.*, deliveries.delivered_time, deliveries.read_time
        FROM receipts JOIN deliveries
          ON deliveries.message_id = receipts.message_id AND deliveries.batch_number = receipts.batch_number
         AND deliveries.position = receipts.position
        WHERE receipts.page_id = :page_id AND receipts.recipient_id = :recipient_id
          AND :owner IN (receipts.owner, :anybody)
          AND receipts.sent_time <= :watermark
        ORDER BY receipts.sent_time DESC LIMIT :limit
        """,
        {**person._asdict(), "anybody": ANYBODY, "watermark": watermark, "limit": MOST_AT_ONCE},
    )
    return [Marked(_place(row), row["delivered_time"] is not None, row["read_time"] is not None) for row in rows]


def _place(row: Row) -> Place:
    return Place(row["message_id"], row["stage"], row["batch_number"], row["position"])


def named(sql: Sql, owner: str, names: Sequence[Name | None]) -> Sequence[Place | None]:
    """Return where deliveries are.

    None for those without a name, and for what the page has not sent to this recipient for this owner.
    """
    rows = sql.rows(
        """
        SELECT given.place, given.position, batches.message_id, batches.stage, batches.number AS batch_number
        FROM given CROSS JOIN messages CROSS JOIN batches CROSS JOIN deliveries
        WHERE messages.message_id = given.message_id AND messages.is_visible = 1 AND messages.is_archived = 0
          AND :owner IN (messages.owner, :anybody) AND messages.page_id = given.page_id
          AND batches.message_id = given.message_id AND batches.number = given.batch_number
          AND deliveries.message_id = given.message_id AND deliveries.batch_number = given.batch_number
          AND deliveries.position = given.position AND deliveries.recipient_id = given.recipient_id
        """,
        {"owner": owner, "anybody": ANYBODY},
        Given(
            (("place", int), *_NAME_COLUMNS),
            [(place, *name) for place, name in enumerate(names) if name is not None],
        ),
    )
    found = {row["place"]: _place(row) for row in rows}
    return [found.get(place) for place in range(len(names))]
