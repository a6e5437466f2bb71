"""ReceiptService, as gRPC calls it: translate, call, translate."""

# ruff: noqa: N802 - the contract names the rpcs

from redrive.v1.receipt_service_pb2 import RecordReceiptsRequest, RecordReceiptsResponse
from redrive.v1.receipt_service_pb2_grpc import ReceiptServiceServicer as ReceiptServiceBase
from server.api.caller import Context, serves
from server.api.mapping import receipts
from server.commands.receipts import ReceiptService


class ReceiptServicer(ReceiptServiceBase):
    """Raises domain errors: the interceptor makes statuses of them."""

    def __init__(self, recording: ReceiptService) -> None:
        self._recording = recording

    async def RecordReceipts(self, request: RecordReceiptsRequest, context: Context) -> RecordReceiptsResponse:
        counts = await self._recording.record(receipts.record_receipts(request, serves(context)))
        return receipts.receipts_recorded(counts)
