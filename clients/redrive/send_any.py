"""Sends to any number of recipients, by the call that fits."""

from collections.abc import Iterable, Sized
from typing import Protocol

from redrive.client import Client
from redrive.v1.content_pb2 import Recipient
from redrive.v1.delivery_service_pb2 import SendRequest, SendResponse, SendStreamResponse

SEND_RECIPIENTS = 10_000  # the most that one Send takes
SEND_BYTES = 3 * 1024 * 1024  # well under the 4 MiB that a gRPC server takes at once by default


class CountedRecipients(Sized, Iterable[Recipient], Protocol):
    """Recipients whose number is known, and who can be read again."""


async def send_any(
    client: Client, header: SendRequest, recipients: CountedRecipients
) -> SendResponse | SendStreamResponse:
    """Send for those that one takes, else SendStream; the header has none. Raises RedriveError."""
    if len(recipients) <= SEND_RECIPIENTS:
        request = SendRequest(recipients=recipients)
        request.MergeFrom(header)
        if request.ByteSize() <= SEND_BYTES:
            return await client.send(request)
    return await client.send_stream(header, recipients)
