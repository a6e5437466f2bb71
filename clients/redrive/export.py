"""Reads a file that the server writes part by part."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import TypeAlias

import grpc

from redrive.errors import DeadlineExceeded
from redrive.refusal import error_of
from redrive.v1.report_service_pb2 import ExportDeliveriesRequest, ExportDeliveriesResponse

Stream: TypeAlias = grpc.aio.UnaryStreamCall[ExportDeliveriesRequest, ExportDeliveriesResponse]


async def parts_of(open_stream: Callable[[], Stream], *, patience: float) -> AsyncGenerator[bytes, None]:
    """The parts in order, each within so many seconds; the file is whole when no RedriveError was raised.

    Not attempted again by itself: what was read is a file that goes on elsewhere in a second one.
    """
    stream = open_stream()
    try:
        while True:
            async with asyncio.timeout(patience):
                answer = await stream.read()
            if not isinstance(answer, ExportDeliveriesResponse):
                return
            yield answer.data
    except grpc.aio.AioRpcError as failure:
        raise error_of(failure) from failure
    except TimeoutError as silence:
        words = f"The server said nothing for {patience:g} s."
        raise DeadlineExceeded(words, code=grpc.StatusCode.DEADLINE_EXCEEDED) from silence
    finally:
        stream.cancel()
