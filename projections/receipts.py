"""The receipts table: a row for each delivery with an echo, by which later receipts find the delivery.

DELIVERED and READ receipts have the recipient and the platform's message id, or a time, but not our delivery id. An
index for them on the deliveries table would slow down every send; these rows cost only when an echo arrives.
"""

from collections.abc import Sequence
from typing import NamedTuple

from domain.event import RecordedEvent
from domain.owner import ANY_OWNER
from domain.receipts import ReceiptKind, ReceiptsRecorded
from projections.sql import BulkRows, Micros, Row, Sql, micros

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
MAX_COVERED = 100  # deliveries that one watermark covers, newest first


class DeliveryLocation(NamedTuple):
    """The place of a delivery: its batch's stream, and its position."""

    message_id: str
    stage: int
    batch_number: int
    position: int


class DeliveryReference(NamedTuple):
    """A delivery as a receipt names it: page, recipient, and the parts of the delivery id."""

    page_id: str
    recipient_id: str
    message_id: str
    batch_number: int
    position: int


class PageRecipient(NamedTuple):
    """A recipient of a page, for messages of one owner (or ANY_OWNER)."""

    owner: str
    page_id: str
    recipient_id: str


class CoveredDelivery(NamedTuple):
    """A delivery that was sent up to a watermark, and whether DELIVERED and READ are recorded for it."""

    location: DeliveryLocation
    is_delivered: bool
    is_read: bool

    def is_known(self, kind: ReceiptKind) -> bool:
        """Return whether a receipt of this kind is recorded."""
        return self.is_read if kind is ReceiptKind.READ else self.is_delivered


def apply(sql: Sql, recorded: RecordedEvent) -> None:
    """Insert the receipts of an event's echoes."""
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
            BulkRows((("position", int), ("provider_message_id", str), ("time", int)), echoes),
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


def find_by_provider_id(sql: Sql, person: PageRecipient, provider_message_id: str) -> DeliveryLocation | None:
    """Return the delivery to a person whose echo had this platform id; None if there is none."""
    row = sql.row(
        """
        SELECT * FROM receipts
        WHERE page_id = :page_id AND recipient_id = :recipient_id AND :owner IN (owner, :any_owner)
          AND provider_message_id = :provider_message_id
        LIMIT 1
        """,
        {**person._asdict(), "any_owner": ANY_OWNER, "provider_message_id": provider_message_id},
    )
    return None if row is None else _place(row)


def sent_until(sql: Sql, person: PageRecipient, watermark: Micros) -> Sequence[CoveredDelivery]:
    """Return the deliveries to a person up to a time, newest first, at most MAX_COVERED."""
    rows = sql.rows(
        """
        SELECT receipts.*, deliveries.delivered_time, deliveries.read_time
        FROM receipts JOIN deliveries
          ON deliveries.message_id = receipts.message_id AND deliveries.batch_number = receipts.batch_number
         AND deliveries.position = receipts.position
        WHERE receipts.page_id = :page_id AND receipts.recipient_id = :recipient_id
          AND :owner IN (receipts.owner, :any_owner)
          AND receipts.sent_time <= :watermark
        ORDER BY receipts.sent_time DESC LIMIT :limit
        """,
        {**person._asdict(), "any_owner": ANY_OWNER, "watermark": watermark, "limit": MAX_COVERED},
    )
    return [
        CoveredDelivery(_place(row), row["delivered_time"] is not None, row["read_time"] is not None) for row in rows
    ]


def _place(row: Row) -> DeliveryLocation:
    return DeliveryLocation(row["message_id"], row["stage"], row["batch_number"], row["position"])


def locate(sql: Sql, owner: str, names: Sequence[DeliveryReference | None]) -> Sequence[DeliveryLocation | None]:
    """Return the place of each delivery, in order.

    It is None for an entry without a name, and for a delivery that the page did not send to this recipient for this
    owner.
    """
    rows = sql.rows(
        """
        SELECT given.row_index, given.position, batches.message_id, batches.stage, batches.number AS batch_number
        FROM given CROSS JOIN messages CROSS JOIN batches CROSS JOIN deliveries
        WHERE messages.message_id = given.message_id AND messages.is_visible = 1 AND messages.is_archived = 0
          AND :owner IN (messages.owner, :any_owner) AND messages.page_id = given.page_id
          AND batches.message_id = given.message_id AND batches.number = given.batch_number
          AND deliveries.message_id = given.message_id AND deliveries.batch_number = given.batch_number
          AND deliveries.position = given.position AND deliveries.recipient_id = given.recipient_id
        """,
        {"owner": owner, "any_owner": ANY_OWNER},
        BulkRows(
            (("row_index", int), *_NAME_COLUMNS),
            [(index, *name) for index, name in enumerate(names) if name is not None],
        ),
    )
    found = {row["row_index"]: _place(row) for row in rows}
    return [found.get(index) for index in range(len(names))]
