"""Turns what goes wrong in a handler into the status that the caller sees, and logs every rpc."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, nullcontext
from typing import Any, TypeAlias

import grpc
import grpc.aio
import structlog
from google.protobuf.message import DecodeError
from grpc_status import rpc_status

from domain.errors import InvalidRequest, Violation
from server.api.caller import Context
from server.api.gate import Gate, Rpc
from server.api.status import status_of

logger = structlog.get_logger()

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"  # generic for type checkers only
Decode = Callable[[bytes], Any]

# By whether the request and the answer are streams.
MAKERS: dict[tuple[bool, bool], Any] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Stands around every handler of whatever kind; handlers raise domain errors, and know no status.

    Before a handler runs, and before its request is read, stands the gate, if there is one.
    """

    def __init__(self, gate: Gate | None = None) -> None:
        self._gate = gate

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Wraps the handler that would be called; None for an unknown method, which gRPC refuses by itself."""
        handler = await continuation(handler_call_details)
        return None if handler is None else _guarded(handler, handler_call_details.method, self._gate)


def _guarded(handler: Handler, method: str, gate: Gate | None) -> Handler:
    behavior: Any = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    decode: Any = handler.request_deserializer
    read = _each_decoded if handler.request_streaming else _decoded
    rpc = Rpc(method, handler.request_streaming, handler.response_streaming)

    async def answer(request: Any, context: Context) -> Any:
        async with _told(method, context), _let_in(gate, rpc, context):
            return await behavior(read(decode, request), context)

    async def answer_in_parts(request: Any, context: Context) -> None:
        async with _told(method, context), _let_in(gate, rpc, context):
            await _write(behavior(read(decode, request), context), context)

    make = MAKERS[handler.request_streaming, handler.response_streaming]
    guarded: Handler = make(
        answer_in_parts if handler.response_streaming else answer, response_serializer=handler.response_serializer
    )
    return guarded


def _let_in(gate: Gate | None, rpc: Rpc, context: Context) -> AbstractAsyncContextManager[None]:
    return nullcontext() if gate is None else gate.passing(rpc, context)


def _decoded(decode: Decode, raw: bytes) -> Any:
    """The request; raises InvalidRequest, where gRPC would answer UNKNOWN and show what it choked on."""
    try:
        return decode(raw)
    except DecodeError:
        words = "is not a well-formed message of the contract; texts must be UTF-8, without unpaired surrogates"
        raise InvalidRequest([Violation("request", words)]) from None


async def _each_decoded(decode: Decode, parts: AsyncIterator[bytes]) -> AsyncIterator[Any]:
    async for raw in parts:
        yield _decoded(decode, raw)


async def _write(answers: Any, context: Context) -> None:
    """Writes what a handler yields; one that writes by itself is only awaited."""
    if isinstance(answers, Awaitable):
        await answers
        return
    async with aclosing(answers):
        async for answer in answers:
            await context.write(answer)


@asynccontextmanager
async def _told(method: str, context: Context) -> AsyncIterator[None]:
    started = time.perf_counter()
    code = grpc.StatusCode.OK
    try:
        yield
    except asyncio.CancelledError:
        code = grpc.StatusCode.CANCELLED
        raise
    except grpc.aio.BaseError:  # the handler has told the caller by itself, or the caller has gone
        code = context.code() or grpc.StatusCode.CANCELLED
        raise
    except Exception as error:  # whatever it is, the caller is told, and no more than is meant for it
        status = rpc_status.to_status(status_of(error))
        code = status.code
        if code is grpc.StatusCode.INTERNAL:
            logger.exception("rpc_failed", method=method)
        await context.abort_with_status(status)
    finally:
        _log_finish(method, code, time.perf_counter() - started)


def _log_finish(method: str, code: grpc.StatusCode, seconds: float) -> None:
    log = logger.debug if code is grpc.StatusCode.OK else logger.info
    log("rpc_finished", method=method, code=code.name, duration=round(seconds, 6))
