"""The interceptor that wraps every handler: it maps exceptions to statuses, and logs every rpc."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, nullcontext
from functools import cache
from typing import Any, Self, TypeAlias

import grpc
import grpc.aio
import structlog
from google.protobuf.message import DecodeError
from grpc_status import rpc_status

from domain.errors import InvalidRequest, Violation
from server.api.caller import AdmittedCall, Context, peer_address
from server.api.interceptors.gate import Gate, Rpc
from server.api.interceptors.limits import Limits
from server.api.interceptors.refused_calls import LogSampler, TooManyRefusals
from server.api.interceptors.request_reader import RequestReader, RequestSource
from server.api.mapping.status import status_of

logger = structlog.get_logger()

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"  # generic for type checkers only
Decode = Callable[[bytes], Any]

# Callers can cause thousands of these per second; only some are logged.
_SAMPLED_CODES = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.RESOURCE_EXHAUSTED)
_CALL_WITHOUT_GATE = AdmittedCall("local", is_known=True)

# By whether the request and the response are streams.
HANDLER_FACTORIES: dict[tuple[bool, bool], Any] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Wraps every handler; handlers raise domain errors and set no status.

    The gate, if there is one, runs before the request is read. gRPC itself reads the request of a unary method before
    any of our code runs, so the wrapper serves every method as one with a stream of requests, which is the same on the
    wire.
    """

    def __init__(self, gate: Gate | None = None) -> None:
        self._gate = gate
        self._reader = RequestReader(Limits() if gate is None else gate.limits)
        self._sampler = LogSampler(logger.info)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Return the wrapped handler; None for an unknown method, which gRPC refuses."""
        handler = await continuation(handler_call_details)
        return (
            None
            if handler is None
            else _wrapped(handler, handler_call_details.method, self._gate, self._reader, self._sampler)
        )


def _wrapped(handler: Handler, method: str, gate: Gate | None, reader: RequestReader, sampler: LogSampler) -> Handler:
    behavior: Any = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    decode: Any = handler.request_deserializer
    descriptor = getattr(getattr(decode, "__self__", None), "DESCRIPTOR", None)  # `decode` is a FromString
    rpc = Rpc(method, handler.request_streaming, handler.response_streaming)

    async def requests(source: RequestSource) -> Any:
        if rpc.request_streaming:
            return _DecodedStream(decode, source)
        return _decoded(decode, await source.read_one())

    async def answer(_: Any, context: Context) -> Any:
        async with _reported(method, context, sampler), _admitted(gate, rpc, context) as call:
            with reader.source(method, descriptor, call, context) as source:
                return await behavior(await requests(source), context)

    async def answer_stream(_: Any, context: Context) -> None:
        async with _reported(method, context, sampler), _admitted(gate, rpc, context) as call:
            with reader.source(method, descriptor, call, context) as source:
                await _write_responses(behavior(await requests(source), context), context)

    make_handler = HANDLER_FACTORIES[True, handler.response_streaming]
    wrapped: Handler = make_handler(
        answer_stream if handler.response_streaming else answer, response_serializer=handler.response_serializer
    )
    return wrapped


def _admitted(gate: Gate | None, rpc: Rpc, context: Context) -> AbstractAsyncContextManager[AdmittedCall]:
    return nullcontext(_CALL_WITHOUT_GATE) if gate is None else gate.admitted(rpc, context)


def _decoded(decode: Decode, raw: bytes) -> Any:
    """Return the decoded request; raises InvalidRequest, where gRPC would answer UNKNOWN and show the bytes."""
    try:
        return decode(raw)
    except DecodeError:
        message = "is not a well-formed message of the contract; texts must be UTF-8, without unpaired surrogates"
        raise InvalidRequest([Violation("request", message)]) from None


class _DecodedStream:
    """The decoded requests of a stream. A generator would hold the last request until it is closed."""

    def __init__(self, decode: Decode, source: RequestSource) -> None:
        self._decode = decode
        self._source = source

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        raw = await self._source.read_next()
        if raw is None:
            raise StopAsyncIteration
        return _decoded(self._decode, raw)


async def _write_responses(responses: Any, context: Context) -> None:
    """Write the responses that a handler yields; a handler that is a coroutine writes them itself."""
    if isinstance(responses, Awaitable):
        await responses
        return
    async with aclosing(responses):
        async for response in responses:
            await context.write(response)


@asynccontextmanager
async def _reported(method: str, context: Context, sampler: LogSampler) -> AsyncIterator[None]:
    """Log the call, and abort it with the status of the error that the block raises."""
    started = time.perf_counter()
    code = grpc.StatusCode.OK
    try:
        yield
    except asyncio.CancelledError:
        code = grpc.StatusCode.CANCELLED
        raise
    except grpc.aio.BaseError:  # the handler has aborted the call itself, or the caller has disconnected
        code = context.code() or grpc.StatusCode.CANCELLED
        raise
    except Exception as error:  # also an unexpected one: the caller sees INTERNAL without details
        status = _status(error)
        code = status.code
        if code is grpc.StatusCode.INTERNAL:
            logger.exception("rpc_failed", method=method)
        _release_request(error)
        await context.abort_with_status(status)
    finally:
        _log_finish(method, code, time.perf_counter() - started, context, sampler)


def _status(error: Exception) -> Any:
    """Return the status for the caller; the one for refused calls is cached, because they can be very many."""
    return _too_many_refusals() if isinstance(error, TooManyRefusals) else rpc_status.to_status(status_of(error))


@cache
def _too_many_refusals() -> Any:
    return rpc_status.to_status(status_of(TooManyRefusals()))


def _release_request(error: BaseException | None) -> None:
    """Clear the references to the request in tracebacks, which would keep it until the refusal is sent."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error.__traceback__ = None
        error.__context__, error = None, error.__context__


def _log_finish(method: str, code: grpc.StatusCode, seconds: float, context: Context, sampler: LogSampler) -> None:
    log = logger.debug if code is grpc.StatusCode.OK else logger.info
    if code not in _SAMPLED_CODES or sampler.should_log(peer_address(context.peer()), code.name):
        log("rpc_finished", method=method, code=code.name, duration=round(seconds, 6))
