"""Sending to any number of recipients, by Send or SendStream."""

import asyncio
from collections.abc import Iterable, Sized
from typing import Protocol

from redrive.client import Client
from redrive.errors import InvalidRequest
from redrive.recipients_csv import RecipientsCsv
from redrive.recipients_csv.violations import with_file_locations
from redrive.v1.content_pb2 import Recipient
from redrive.v1.delivery_service_pb2 import SendRequest, SendResponse, SendStreamResponse

SEND_RECIPIENTS = 10_000  # the server's limit for one Send
SEND_BYTES = 3 * 1024 * 1024  # well under 4 MiB, gRPC's default limit of a request


class CountedRecipients(Sized, Iterable[Recipient], Protocol):
    """Recipients whose number is known, and that can be iterated more than once."""


async def send_any(
    client: Client, header: SendRequest, recipients: CountedRecipients
) -> SendResponse | SendStreamResponse:
    """Send by Send if the recipients fit into one request, else by SendStream; the header holds no recipients.

    Raises RedriveError. For recipients of a file, InvalidRequest names lines and columns instead of indices.
    """
    try:
        return await _send_any(client, header, recipients)
    except InvalidRequest as error:
        if not isinstance(recipients, RecipientsCsv):
            raise
        raise await asyncio.to_thread(with_file_locations, error, recipients, header.content) from error


async def _send_any(
    client: Client, header: SendRequest, recipients: CountedRecipients
) -> SendResponse | SendStreamResponse:
    if len(recipients) <= SEND_RECIPIENTS:
        request = SendRequest(recipients=recipients)
        request.MergeFrom(header)
        if request.ByteSize() <= SEND_BYTES:
            return await client.send(request)
    return await client.send_stream(header, recipients)
