"""Receipts through the client."""

from typing import TYPE_CHECKING

import grpc

from redrive import Client
from redrive.v1.receipt_service_pb2 import Receipt, ReceiptKind, RecordReceiptsRequest, RecordReceiptsResponse

if TYPE_CHECKING:
    from tests.clients.conftest import ScriptedServer

ECHO = Receipt(kind=ReceiptKind.RECEIPT_KIND_ECHO, page_id="1", delivery_id="m1.1.0", provider_message_id="m_1")
ANSWER = RecordReceiptsResponse(recorded=1)


async def test_receipts_are_sent_to_the_server(server: "ScriptedServer", client: Client) -> None:
    server.answer("RecordReceipts", ANSWER)

    assert await client.record_receipts([ECHO]) == ANSWER
    assert server.asked("RecordReceipts") == [RecordReceiptsRequest(receipts=[ECHO])]


async def test_receipts_are_sent_again_after_unavailable(server: "ScriptedServer", client: Client) -> None:
    """A repetition is safe without a request_id: a known receipt changes nothing."""
    server.refuse("RecordReceipts", grpc.StatusCode.UNAVAILABLE)
    server.answer("RecordReceipts", ANSWER)

    assert await client.record_receipts(iter([ECHO])) == ANSWER
    assert len(server.asked("RecordReceipts")) == 2
