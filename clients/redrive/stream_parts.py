"""Cuts a send of any size into the parts of a SendStream."""

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import TypeAlias

import grpc

from redrive.v1.content_pb2 import Recipient
from redrive.v1.delivery_service_pb2 import Recipients, SendRequest, SendStreamRequest, SendStreamResponse

PART_RECIPIENTS = 1_000
PART_BYTES = 1024 * 1024  # recipients with many variables: well under the 4 MiB that a gRPC server takes by default

Call: TypeAlias = grpc.aio.StreamUnaryCall[SendStreamRequest, SendStreamResponse]
AnyRecipients: TypeAlias = Iterable[Recipient] | AsyncIterable[Recipient]


def can_be_read_again(recipients: AnyRecipients) -> bool:
    """Whether a second attempt would get the recipients again: iterators and generators are used up by the first."""
    return not isinstance(recipients, Iterator | AsyncIterator)


async def write_parts(call: Call, header: SendRequest, recipients: AnyRecipients) -> SendStreamResponse:
    """Writes everything, unless the server answers before; a fault of the recipients' iterator ends the call."""
    try:
        async for part in stream_parts(header, recipients):
            if not await _is_written(call, part):
                break
        else:
            await _is_written(call, None)
        return await call
    finally:
        call.cancel()


async def _is_written(call: Call, part: SendStreamRequest | None) -> bool:
    """Writes a part, or the end; False once the server has ended the call: `await call` then says how."""
    if call.done():
        return False
    try:
        await (call.done_writing() if part is None else call.write(part))
    except (grpc.aio.AioRpcError, grpc.aio.InternalError):
        return False  # gRPC reports a call that ended meanwhile as INTERNAL, whatever the server said
    return True


async def stream_parts(header: SendRequest, recipients: AnyRecipients) -> AsyncIterator[SendStreamRequest]:
    """The header, then the recipients in parts."""
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


async def _each(recipients: AnyRecipients) -> AsyncIterator[Recipient]:
    if isinstance(recipients, AsyncIterable):
        async for recipient in recipients:
            yield recipient
        return
    for recipient in recipients:
        yield recipient
