"""What the platform says of a batch's deliveries by itself, on a stream of its own: see protocol rule 4."""

from datetime import datetime
from enum import StrEnum

import msgspec

from domain.batch_events import BatchEvent


class ReceiptKind(StrEnum):
    """What a receipt says."""

    ECHO = "ECHO"  # the platform took the message: it was sent
    DELIVERED = "DELIVERED"  # it has reached a device of the person
    READ = "READ"


class Receipt(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """What is known of the delivery at a position, since when; an echo tells the platform's id of the message."""

    position: int
    kind: ReceiptKind
    time: datetime
    provider_message_id: str = ""


class ReceiptsRecorded(BatchEvent, frozen=True, kw_only=True):
    """Evidence that wins over whatever the batch's own stream says, before or after."""

    receipts: tuple[Receipt, ...]
