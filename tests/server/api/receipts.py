"""Builders for receipts as callers report them."""

from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from redrive.v1.receipt_service_pb2 import Receipt, ReceiptKind
from tests.builders import PAGE
from tests.keyed_ids import IDS

ECHO, DELIVERED, READ = (
    ReceiptKind.RECEIPT_KIND_ECHO,
    ReceiptKind.RECEIPT_KIND_DELIVERED,
    ReceiptKind.RECEIPT_KIND_READ,
)
PEOPLE = ("ann", "bob", "cid")


def at(seconds: float) -> Timestamp:
    """Return a time this many seconds after a fixed past one."""
    return Timestamp(seconds=1_700_000_000 + int(seconds), nanos=int(seconds % 1 * 1_000) * 1_000_000)


def echo(message_id: str, who: str, *, batch: int = 1, **fields: Any) -> Receipt:
    """Return an echo of the delivery to Ann, Bob or Cid."""
    position = PEOPLE.index(who) if batch == 1 else 0
    defaults = {
        "kind": ECHO,
        "page_id": PAGE,
        "recipient_id": who,
        "delivery_id": IDS.delivery(message_id, batch, position),
        "provider_message_id": f"m_{who}{batch}",
        "time": at(0),
    }
    return Receipt(**{**defaults, **fields})


def came(kind: ReceiptKind.ValueType, who: str, **fields: Any) -> Receipt:
    """Return a delivery or read receipt."""
    return Receipt(**{"kind": kind, "page_id": PAGE, "recipient_id": who, "time": at(60), **fields})
