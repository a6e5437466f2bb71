"""Rules of receipts."""

from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from redrive.v1.receipt_service_pb2 import Receipt, RecordReceiptsRequest
from tests.server.api.receipts import DELIVERED, READ, at, came, echo
from tests.server.api.rule_checks import NO_SPACES, NUL, PAGE_ID, at_most, violations

FINE = echo("m-1", "ann")
FINE_READ = came(READ, "ann", watermark=at(0))


def changed(receipt: Receipt, **fields: Any) -> Receipt:
    """Return the receipt with other fields; None removes a field."""
    copy = Receipt()
    copy.CopyFrom(receipt)
    for name in fields:
        copy.ClearField(name)  # type: ignore[arg-type]  # a name that the stubs know as a literal
    copy.MergeFrom(Receipt(**{name: value for name, value in fields.items() if value is not None}))
    return copy


YEAR_10000 = Timestamp(seconds=253_402_300_800)
BROKEN = [
    (changed(FINE, kind=None), "kind", "is required"),
    (changed(FINE, kind=99), "kind", "must be a known ReceiptKind (1 to 3)"),
    (changed(FINE, page_id=None), "page_id", "is required"),
    (changed(FINE, page_id="a b"), "page_id", PAGE_ID),
    (changed(FINE, recipient_id=None), "recipient_id", "is required"),
    (changed(FINE, recipient_id="a b"), "recipient_id", NO_SPACES),
    (changed(FINE, delivery_id=None), "delivery_id", "is required for an echo"),
    (changed(FINE, delivery_id="\0"), "delivery_id", NUL),
    (changed(FINE, delivery_id="d" * 1_001), "delivery_id", at_most(1_000, 1_001)),
    (changed(FINE, provider_message_id=None), "provider_message_id", "is required for an echo"),
    (changed(FINE, provider_message_id="\0"), "provider_message_id", NUL),
    (changed(FINE, watermark=at(0)), "watermark", "must be empty for an echo"),
    (changed(FINE, time=None), "time", "is required"),
    (changed(FINE, time=YEAR_10000), "time", "must be a time in the years 1 to 9999"),
    (changed(FINE_READ, delivery_id="m-1.1.0"), "delivery_id", "must be empty, except for an echo"),
    (changed(FINE_READ, watermark=None), "watermark", "is required without a provider_message_id"),
    (changed(FINE_READ, watermark=YEAR_10000), "watermark", "must be a time in the years 1 to 9999"),
    (changed(FINE_READ, provider_message_id="m_1"), "watermark", "must be empty with a provider_message_id"),
]


@pytest.mark.parametrize(("receipt", "path", "words"), BROKEN, ids=[f"{path} {words}" for _, path, words in BROKEN])
def test_an_invalid_receipt_is_named(receipt: Receipt, path: str, words: str) -> None:
    assert violations(receipt) == {path: words}
    assert violations(RecordReceiptsRequest(receipts=[FINE, receipt])) == {f"receipts[1].{path}": words}


@pytest.mark.parametrize("receipt", [FINE, FINE_READ, came(DELIVERED, "ann", provider_message_id="m_1")])
def test_a_valid_receipt_is_accepted(receipt: Receipt) -> None:
    assert violations(RecordReceiptsRequest(receipts=[receipt] * 1_000)) == {}


def test_a_request_has_1_to_1000_receipts() -> None:
    assert violations(RecordReceiptsRequest()) == {"receipts": "must have at least 1 entry"}
    assert violations(RecordReceiptsRequest(receipts=[FINE] * 1_001)) == {
        "receipts": "must have at most 1,000 entries, has 1,001"
    }
