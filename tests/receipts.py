"""Builders for receipts with default values."""

from typing import Any

from domain.receipts import Receipt, ReceiptKind, ReceiptsRecorded
from tests.builders import MESSAGE, NOW, after


def echo(position: int, provider_message_id: str = "m_echoed", *, at: float = 0.0) -> Receipt:
    return Receipt(position=position, kind=ReceiptKind.ECHO, provider_message_id=provider_message_id, time=after(at))


def delivered(position: int, *, at: float = 1.0) -> Receipt:
    return Receipt(position=position, kind=ReceiptKind.DELIVERED, time=after(at))


def read(position: int, *, at: float = 2.0) -> Receipt:
    return Receipt(position=position, kind=ReceiptKind.READ, time=after(at))


def receipts_recorded(*receipts: Receipt, **fields: Any) -> ReceiptsRecorded:
    defaults = {"message_id": MESSAGE, "batch_number": 1, "time": NOW}
    return ReceiptsRecorded(**{**defaults, **fields, "receipts": receipts})
