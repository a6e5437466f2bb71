"""Readers of webhook bodies for the tests."""

from collections.abc import Sequence

from redrive.v1.receipt_service_pb2 import Receipt
from server.webhooks.events import read_body


def receipts_in(body: bytes, received: int = 0) -> Sequence[Receipt]:
    """Return the receipts in a body that arrived at `received` (milliseconds); raises UnreadableError."""
    return read_body(body, received).receipts
