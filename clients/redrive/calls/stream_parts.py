"""Splitting of a send of any size into the parts of a SendStream."""

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import TypeAlias

import grpc

from redrive.v1.content_pb2 import Recipient
from redrive.v1.delivery_service_pb2 import Recipients, SendRequest, SendStreamRequest, SendStreamResponse

PART_RECIPIENTS = 1_000
PART_BYTES = 1024 * 1024  # well under 4 MiB, gRPC's default limit; it counts for recipients with many variables

SendStreamCall: TypeAlias = grpc.aio.StreamUnaryCall[SendStreamRequest, SendStreamResponse]
RecipientSource: TypeAlias = Iterable[Recipient] | AsyncIterable[Recipient]


def is_rereadable(recipients: RecipientSource) -> bool:
    """Return whether the recipients can be iterated again: iterators and generators cannot."""
    return not isinstance(recipients, Iterator | AsyncIterator)


async def write_parts(call: SendStreamCall, header: SendRequest, recipients: RecipientSource) -> SendStreamResponse:
    """Write all parts, unless the server responds earlier; an error of the recipients' iterator ends the call."""
    try:
        async for part in stream_parts(header, recipients):
            if not await _write(call, part):
                break
        else:
            await _write(call, None)
        return await call
    finally:
        call.cancel()


async def _write(call: SendStreamCall, part: SendStreamRequest | None) -> bool:
    """Write a part, or the end of the stream for None; return False if the server has ended the call."""
    if call.done():
        return False
    try:
        await (call.done_writing() if part is None else call.write(part))
    except (grpc.aio.AioRpcError, grpc.aio.InternalError):
        return False  # `await call` then raises the server's status: gRPC reports the ended call as INTERNAL here
    return True


async def stream_parts(header: SendRequest, recipients: RecipientSource) -> AsyncIterator[SendStreamRequest]:
    """Yield the header, then the recipients in parts."""
    yield SendStreamRequest(header=header)
    part, size = Recipients(), 0
    async for recipient in _each(recipients):
        if len(part.recipients) == PART_RECIPIENTS or (part.recipients and size + recipient.ByteSize() > PART_BYTES):
            yield SendStreamRequest(recipients=part)
            part, size = Recipients(), 0
        part.recipients.append(recipient)
        size += recipient.ByteSize()
    if part.recipients:
        yield SendStreamRequest(recipients=part)


async def _each(recipients: RecipientSource) -> AsyncIterator[Recipient]:
    if isinstance(recipients, AsyncIterable):
        async for recipient in recipients:
            yield recipient
        return
    for recipient in recipients:
        yield recipient
