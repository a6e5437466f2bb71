"""Sends to any number of recipients, by the call that fits."""

import asyncio
from collections.abc import Iterable, Sized
from typing import Protocol

from redrive.client import Client
from redrive.errors import InvalidRequest
from redrive.file_violations import by_line
from redrive.recipients_csv import RecipientsCsv
from redrive.v1.content_pb2 import Recipient
from redrive.v1.delivery_service_pb2 import SendRequest, SendResponse, SendStreamResponse

SEND_RECIPIENTS = 10_000  # the most that one Send takes
SEND_BYTES = 3 * 1024 * 1024  # well under the 4 MiB that a gRPC server takes at once by default


class CountedRecipients(Sized, Iterable[Recipient], Protocol):
    """Recipients whose number is known, and who can be read again."""


async def send_any(
    client: Client, header: SendRequest, recipients: CountedRecipients
) -> SendResponse | SendStreamResponse:
    """Send for those that one takes, else SendStream; the header has none.

    Raises RedriveError; of recipients from a file, InvalidRequest names lines and columns instead of indices.
    """
    try:
        return await _send_any(client, header, recipients)
    except InvalidRequest as error:
        if not isinstance(recipients, RecipientsCsv):
            raise
        raise await asyncio.to_thread(by_line, error, recipients, header.content) from error


async def _send_any(
    client: Client, header: SendRequest, recipients: CountedRecipients
) -> SendResponse | SendStreamResponse:
    if len(recipients) <= SEND_RECIPIENTS:
        request = SendRequest(recipients=recipients)
        request.MergeFrom(header)
        if request.ByteSize() <= SEND_BYTES:
            return await client.send(request)
    return await client.send_stream(header, recipients)
