"""Turns what goes wrong in a handler into the status that the caller sees, and logs every rpc."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, closing, nullcontext
from functools import cache
from typing import Any, Self, TypeAlias

import grpc
import grpc.aio
import structlog
from google.protobuf.message import DecodeError
from grpc_status import rpc_status

from domain.errors import InvalidRequest, Violation
from server.api.caller import Admitted, Context, peer_address
from server.api.interceptors.gate import Gate, Rpc
from server.api.interceptors.limits import Limits
from server.api.interceptors.refused_calls import SampledLines, TooManyRefusals
from server.api.interceptors.request_reader import RequestReader, Source
from server.api.mapping.status import status_of

logger = structlog.get_logger()

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"  # generic for type checkers only
Decode = Callable[[bytes], Any]

# What a caller can make thousands of in a second.
_SAMPLED = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.RESOURCE_EXHAUSTED)
_UNASKED = Admitted("local", is_known=True)

# By whether the request and the answer are streams.
MAKERS: dict[tuple[bool, bool], Any] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Stands around every handler of whatever kind; handlers raise domain errors, and know no status.

    Before a handler runs, and before its request is read, stands the gate, if there is one. For that a method with one
    request is served as one with a stream of requests, which is the same on the wire: gRPC reads the request of a unary
    method before any of our code runs.
    """

    def __init__(self, gate: Gate | None = None) -> None:
        self._gate = gate
        self._reader = RequestReader(Limits() if gate is None else gate.limits)
        self._lines = SampledLines(logger.info)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Wraps the handler that would be called; None for an unknown method, which gRPC refuses by itself."""
        handler = await continuation(handler_call_details)
        return (
            None
            if handler is None
            else _guarded(handler, handler_call_details.method, self._gate, self._reader, self._lines)
        )


def _guarded(handler: Handler, method: str, gate: Gate | None, reader: RequestReader, lines: SampledLines) -> Handler:
    behavior: Any = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    decode: Any = handler.request_deserializer
    kind = getattr(getattr(decode, "__self__", None), "DESCRIPTOR", None)  # `decode` is a FromString
    rpc = Rpc(method, handler.request_streaming, handler.response_streaming)

    async def requests(source: Source) -> Any:
        if rpc.request_streaming:
            return _DecodedParts(decode, source)
        return _decoded(decode, await source.one())

    async def answer(_: Any, context: Context) -> Any:
        async with _told(method, context, lines), _let_in(gate, rpc, context) as admitted:
            with closing(reader.source(method, kind, admitted, context)) as source:
                return await behavior(await requests(source), context)

    async def answer_in_parts(_: Any, context: Context) -> None:
        async with _told(method, context, lines), _let_in(gate, rpc, context) as admitted:
            with closing(reader.source(method, kind, admitted, context)) as source:
                await _write(behavior(await requests(source), context), context)

    make = MAKERS[True, handler.response_streaming]
    guarded: Handler = make(
        answer_in_parts if handler.response_streaming else answer, response_serializer=handler.response_serializer
    )
    return guarded


def _let_in(gate: Gate | None, rpc: Rpc, context: Context) -> AbstractAsyncContextManager[Admitted]:
    return nullcontext(_UNASKED) if gate is None else gate.passing(rpc, context)


def _decoded(decode: Decode, raw: bytes) -> Any:
    """The request; raises InvalidRequest, where gRPC would answer UNKNOWN and show what it choked on."""
    try:
        return decode(raw)
    except DecodeError:
        words = "is not a well-formed message of the contract; texts must be UTF-8, without unpaired surrogates"
        raise InvalidRequest([Violation("request", words)]) from None


class _DecodedParts:
    """The requests of a stream. A generator would hold the last one until it is closed."""

    def __init__(self, decode: Decode, source: Source) -> None:
        self._decode = decode
        self._source = source

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        raw = await self._source.next()
        if raw is None:
            raise StopAsyncIteration
        return _decoded(self._decode, raw)


async def _write(answers: Any, context: Context) -> None:
    """Writes what a handler yields; one that writes by itself is only awaited."""
    if isinstance(answers, Awaitable):
        await answers
        return
    async with aclosing(answers):
        async for answer in answers:
            await context.write(answer)


@asynccontextmanager
async def _told(method: str, context: Context, lines: SampledLines) -> AsyncIterator[None]:
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
        status = _status(error)
        code = status.code
        if code is grpc.StatusCode.INTERNAL:
            logger.exception("rpc_failed", method=method)
        _let_go_of_request(error)
        await context.abort_with_status(status)
    finally:
        _log_finish(method, code, time.perf_counter() - started, context, lines)


def _status(error: Exception) -> Any:
    """Return the status for the caller; cheap, as there may be thousands in a second."""
    return _too_many_refusals() if isinstance(error, TooManyRefusals) else rpc_status.to_status(status_of(error))


@cache
def _too_many_refusals() -> Any:
    return rpc_status.to_status(status_of(TooManyRefusals()))


def _let_go_of_request(error: BaseException | None) -> None:
    """Free what tracebacks and pydantic hold of the request: else it stays while the refusal is on its way."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error.__traceback__ = None
        error.__context__, error = None, error.__context__


def _log_finish(method: str, code: grpc.StatusCode, seconds: float, context: Context, lines: SampledLines) -> None:
    log = logger.debug if code is grpc.StatusCode.OK else logger.info
    if code not in _SAMPLED or lines.is_first(peer_address(context.peer()), code.name):
        log("rpc_finished", method=method, code=code.name, duration=round(seconds, 6))
