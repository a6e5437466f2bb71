"""Mapping of RecordReceipts."""

from domain.commands import RecordReceipts, ReportedReceipt
from domain.receipts import ReceiptKind
from redrive.v1.receipt_service_pb2 import Receipt, RecordReceiptsRequest, RecordReceiptsResponse
from server.api.mapping.enums import RECEIPT_KINDS
from server.api.mapping.times import read_time
from server.api.validation.receipts import RecordReceiptsRules
from server.commands.receipts import ReceiptCounts


def record_receipts_command(request: RecordReceiptsRequest, owner: str) -> RecordReceipts:
    """Return the command of a request; raises InvalidRequest."""
    RecordReceiptsRules.check(request)
    return RecordReceipts(owner=owner, receipts=tuple(map(_receipt, request.receipts)))


def _receipt(receipt: Receipt) -> ReportedReceipt:
    return ReportedReceipt(
        kind=ReceiptKind(RECEIPT_KINDS.name(receipt.kind, "")),
        page_id=receipt.page_id,
        recipient_id=receipt.recipient_id,
        delivery_id=receipt.delivery_id,
        provider_message_id=receipt.provider_message_id,
        watermark=read_time(receipt.watermark) if receipt.HasField("watermark") else None,
        time=read_time(receipt.time),
    )


def record_receipts_response(counts: ReceiptCounts) -> RecordReceiptsResponse:
    return RecordReceiptsResponse(
        recorded=counts.recorded, already_known=counts.already_known, unmatched=counts.unmatched
    )
