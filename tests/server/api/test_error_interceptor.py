"""The error interceptor around handlers of all four kinds: the caller's error, and the log line."""

import asyncio
from collections.abc import AsyncIterator, Iterable, MutableMapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.message import DecodeError
from structlog.testing import capture_logs

from domain.errors import MessageNotFound, Unavailable
from server.api.caller import Context
from server.api.interceptors.errors import ErrorInterceptor
from server.observability.logging import without_texts
from tests.server.api.edge import Edge
from tests.server.api.refusals import Refusal, refusal_of
from tests.waiting import eventually

SECRET = "EAAG-secret-5e4f"
KINDS = ("UnaryUnary", "UnaryStream", "StreamUnary", "StreamStream")
Logs = list[MutableMapping[str, Any]]


class Handlers:
    """One handler of each kind; the request selects an error or an echo."""

    def __init__(self) -> None:
        self.waiting = asyncio.Event()

    async def unary_unary(self, request: bytes, context: Context) -> bytes:
        return await self.act(request, context)

    async def unary_stream(self, request: bytes, context: Context) -> AsyncIterator[bytes]:
        yield b"first"
        yield await self.act(request, context)

    async def stream_unary(self, requests: AsyncIterator[bytes], context: Context) -> bytes:
        return await self.act(b"".join([part async for part in requests]), context)

    async def stream_stream(self, requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        async for part in requests:
            yield b"first"
            yield await self.act(part, context)

    async def writes_itself(self, request: bytes, context: Context) -> None:
        await context.write(b"first")
        await context.write(await self.act(request, context))

    async def act(self, request: bytes, context: Context) -> bytes:
        match request:
            case b"domain":
                raise MessageNotFound("m-1")
            case b"unavailable":
                raise Unavailable("the log cannot be used now", timedelta(seconds=2.5))
            case b"bug":
                raise ValueError(f"what is {SECRET}?")
            case b"abort":
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too much")
            case b"wait":
                self.waiting.set()
                await asyncio.Event().wait()
        return request


def decode(raw: bytes) -> bytes:
    if raw == b"garbled":
        raise DecodeError("bad wire format")
    return raw


@asynccontextmanager
async def serving(handlers: Any = None) -> AsyncIterator[Any]:
    handlers = handlers or Handlers()
    methods: dict[str, Any] = {
        "UnaryUnary": grpc.unary_unary_rpc_method_handler(handlers.unary_unary, decode),
        "UnaryStream": grpc.unary_stream_rpc_method_handler(handlers.unary_stream, decode),
        "StreamUnary": grpc.stream_unary_rpc_method_handler(handlers.stream_unary, decode),
        "StreamStream": grpc.stream_stream_rpc_method_handler(handlers.stream_stream, decode),
        "WritesItself": grpc.unary_stream_rpc_method_handler(handlers.writes_itself, decode),
    }
    server = grpc.aio.server(interceptors=[ErrorInterceptor()])
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test.Kinds", methods)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(None)


async def call(channel: Any, kind: str, request: bytes) -> list[bytes]:
    """Return all answers of a method to one request."""
    method = f"/test.Kinds/{kind}"
    requests: Iterable[bytes] = [request]
    match kind:
        case "UnaryUnary":
            return [await channel.unary_unary(method)(request)]
        case "StreamUnary":
            return [await channel.stream_unary(method)(requests)]
        case "StreamStream":
            return [answer async for answer in channel.stream_stream(method)(requests)]
    return [answer async for answer in channel.unary_stream(method)(request)]


async def refused(kind: str, request: bytes) -> tuple[Refusal, Logs]:
    async with serving() as channel:
        with capture_logs([without_texts]) as logs:
            refusal = await refusal_of(call(channel, kind, request))
            await eventually(lambda: finished(logs))
    return refusal, logs


async def finished(logs: Logs) -> Logs:
    return [line for line in logs if line["event"] == "rpc_finished"]


@pytest.mark.parametrize("kind", [*KINDS, "WritesItself"])
async def test_a_success_is_unchanged_and_logged(kind: str) -> None:
    async with serving() as channel:
        with capture_logs([without_texts]) as logs:
            answers = await call(channel, kind, b"hello")
            await eventually(lambda: finished(logs))

    assert answers == ([b"hello"] if kind.endswith("Unary") else [b"first", b"hello"])
    [line] = logs
    assert line["method"] == f"/test.Kinds/{kind}"
    assert (line["code"], line["log_level"]) == ("OK", "debug")
    assert line["duration"] >= 0


@pytest.mark.parametrize("kind", [*KINDS, "WritesItself"])
async def test_a_domain_error_becomes_its_status(kind: str) -> None:
    refusal, logs = await refused(kind, b"domain")

    assert refusal.code is grpc.StatusCode.NOT_FOUND
    assert refusal.info.reason == "MESSAGE_NOT_FOUND"
    assert [(line["event"], line["code"], line["log_level"]) for line in logs] == [
        ("rpc_finished", "NOT_FOUND", "info")
    ]


async def test_unavailable_has_a_retry_delay() -> None:
    refusal, _ = await refused("UnaryUnary", b"unavailable")

    assert refusal.code is grpc.StatusCode.UNAVAILABLE
    assert refusal.retry.retry_delay.ToTimedelta() == timedelta(seconds=2.5)


@pytest.mark.parametrize("kind", [*KINDS, "WritesItself"])
async def test_a_defect_is_internal_and_shows_no_details(kind: str) -> None:
    refusal, logs = await refused(kind, b"bug")

    assert refusal.code is grpc.StatusCode.INTERNAL
    assert refusal.info.reason == "INTERNAL"
    assert "ValueError" not in f"{refusal}"
    assert SECRET not in f"{refusal} {logs}"
    [failed] = [line for line in logs if line["event"] == "rpc_failed"]
    [error] = failed["exception"]
    assert (failed["method"], error["type"]) == (f"/test.Kinds/{kind}", "builtins.ValueError")
    assert error["frames"][-1].endswith(" act")


async def test_a_defect_does_not_reach_the_log_of_grpc(caplog: pytest.LogCaptureFixture) -> None:
    await refused("StreamStream", b"bug")

    assert SECRET not in caplog.text


@pytest.mark.parametrize("kind", [*KINDS, "WritesItself"])
async def test_a_handler_that_aborts_is_not_changed(kind: str) -> None:
    refusal, logs = await refused(kind, b"abort")

    assert (refusal.code, refusal.message) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "too much")
    assert [(line["event"], line["code"]) for line in logs] == [("rpc_finished", "RESOURCE_EXHAUSTED")]


@pytest.mark.parametrize("kind", [*KINDS, "WritesItself"])
async def test_a_request_that_cannot_be_read_is_an_invalid_argument(kind: str) -> None:
    refusal, _ = await refused(kind, b"garbled")

    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "well-formed" in refusal.violations["request"]


@pytest.mark.parametrize("kind", ["UnaryUnary", "UnaryStream"])
async def test_a_cancelled_call_is_not_an_error(kind: str) -> None:
    handlers = Handlers()
    async with serving(handlers) as channel:
        multi_callable = channel.unary_unary if kind == "UnaryUnary" else channel.unary_stream
        with capture_logs([without_texts]) as logs:
            calling = multi_callable(f"/test.Kinds/{kind}")(b"wait")
            await handlers.waiting.wait()
            calling.cancel()
            await eventually(lambda: finished(logs))

    assert [(line["event"], line["code"]) for line in logs] == [("rpc_finished", "CANCELLED")]


async def test_an_unknown_method_is_unimplemented() -> None:
    async with serving() as channel:
        refusal = await refusal_of(channel.unary_unary("/test.Kinds/Nothing")(b""))

    assert refusal.code is grpc.StatusCode.UNIMPLEMENTED


async def test_a_text_with_an_unpaired_surrogate_is_an_invalid_argument(edge: Edge) -> None:
    raw = b"\x0a\x03\xed\xa0\x80"  # field 1 is request_id; the bytes are not valid UTF-8

    wire: Any = edge.wire
    refusal = await refusal_of(wire.unary_unary("/redrive.v1.DeliveryService/Send")(raw))

    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "surrogates" in refusal.violations["request"]
