"""The servicer of ReceiptService: map the request, call a service, map the result."""

# ruff: noqa: N802 - the contract names the rpcs

from redrive.v1.receipt_service_pb2 import RecordReceiptsRequest, RecordReceiptsResponse
from redrive.v1.receipt_service_pb2_grpc import ReceiptServiceServicer as ReceiptServiceBase
from server.api.caller import Context, receipts_owner
from server.api.mapping import receipts
from server.api.services import Services


class ReceiptServicer(ReceiptServiceBase):
    """Raises domain errors, which the error interceptor maps to statuses."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def RecordReceipts(self, request: RecordReceiptsRequest, context: Context) -> RecordReceiptsResponse:
        counts = await self._services.receipts.record(
            receipts.record_receipts_command(request, receipts_owner(context))
        )
        return receipts.record_receipts_response(counts)
