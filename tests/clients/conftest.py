"""A gRPC server with scripted responses on a real port, for tests of the client and the command line."""

import asyncio
import functools
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
import pytest
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status
from typer.testing import CliRunner, Result

from redrive import Client
from redrive.cli.main import app
from redrive.connection import Backoff
from redrive.v1 import (
    delivery_service_pb2,
    maintenance_service_pb2,
    page_service_pb2,
    receipt_service_pb2,
    report_service_pb2,
    retry_service_pb2,
)

SERVICES: list[ServiceDescriptor] = [
    delivery_service_pb2.DESCRIPTOR.services_by_name["DeliveryService"],
    maintenance_service_pb2.DESCRIPTOR.services_by_name["MaintenanceService"],
    retry_service_pb2.DESCRIPTOR.services_by_name["RetryService"],
    receipt_service_pb2.DESCRIPTOR.services_by_name["ReceiptService"],
    report_service_pb2.DESCRIPTOR.services_by_name["ReportService"],
    page_service_pb2.DESCRIPTOR.services_by_name["PageService"],
]


@dataclass(frozen=True)
class Refusal:
    """A status other than OK, with google.rpc details."""

    code: grpc.StatusCode
    message: str
    details: tuple[Message, ...]

    async def abort(self, context: Any) -> None:
        status = Status(code=self.code.value[0], message=self.message)
        for detail in self.details:
            status.details.add().CopyFrom(_packed(detail))
        await context.abort_with_status(rpc_status.to_status(status))


class Silence:
    """The server sends nothing more, and does not end the call."""


OutcomeBucket = Message | Refusal | Silence | Callable[[Any], Message]
Scripted = TypeVar("Scripted")


class ScriptedServer:
    """Takes the next step of an rpc's script for each call, and repeats the last one; records the requests."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, Message]] = []
        self.parts: list[delivery_service_pb2.SendStreamRequest] = []
        self.metadata: list[dict[str, str]] = []
        self.a_stream_broke_off = asyncio.Event()
        self.no_stream_is_open = asyncio.Event()
        self._steps: defaultdict[str, deque[OutcomeBucket]] = defaultdict(deque)
        self._streams: deque[tuple[OutcomeBucket, ...]] = deque()
        self.port = 0

    def answer(self, rpc: str, *steps: OutcomeBucket) -> None:
        """Add responses to the script of an rpc."""
        self._steps[rpc].extend(steps)

    def refuse(self, rpc: str, code: grpc.StatusCode, *details: Message, message: str = "refused") -> None:
        """Add an error to the script of an rpc."""
        self._steps[rpc].append(self.refusal(code, *details, message=message))

    def refusal(self, code: grpc.StatusCode, *details: Message, message: str = "refused") -> Refusal:
        return Refusal(code, message, details)

    def silence(self) -> Silence:
        return Silence()

    def stream(self, *steps: OutcomeBucket) -> None:
        """Add one stream to the script of WatchProgress; it ends with OK after its last step."""
        self._streams.append(steps)

    def asked(self, rpc: str) -> list[Any]:
        """Return the requests of this rpc."""
        return [request for name, request in self.requests if name == rpc]

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self, credentials: grpc.ServerCredentials | None = None) -> None:
        """Listen; after a stop, on the same port."""
        self._server = grpc.aio.server()
        for service in SERVICES:
            handlers = {method.name: self._handler(method) for method in service.methods}
            self._server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service.full_name, handlers)])
        if credentials:
            self.port = self._server.add_secure_port(f"localhost:{self.port}", credentials)
        else:
            self.port = self._server.add_insecure_port(self.target)
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(grace=None)

    def _handler(self, method: MethodDescriptor) -> Any:
        codec: dict[str, Any] = {
            "request_deserializer": GetMessageClass(method.input_type).FromString,
            "response_serializer": GetMessageClass(method.output_type).SerializeToString,
        }
        if method.client_streaming:
            return grpc.stream_unary_rpc_method_handler(functools.partial(self._collect, method.name), **codec)
        if method.server_streaming:
            return grpc.unary_stream_rpc_method_handler(functools.partial(self._play, method.name), **codec)
        return grpc.unary_unary_rpc_method_handler(functools.partial(self._reply, method.name), **codec)

    async def _reply(self, rpc: str, request: Message, context: Any) -> Message:
        self.requests.append((rpc, request))
        self.metadata.append(dict(context.invocation_metadata()))
        return await _taken(_next(self._steps[rpc]), request, context)

    async def _collect(self, rpc: str, parts: AsyncIterator[Any], context: Any) -> Message:
        step = _next(self._steps[rpc])
        try:
            async for part in parts:
                self.parts.append(part)
                if isinstance(step, Refusal):
                    await step.abort(context)
            return await _taken(step, self.parts[0], context)
        except asyncio.CancelledError:
            self.a_stream_broke_off.set()
            raise

    async def _play(self, rpc: str, request: Message, context: Any) -> AsyncIterator[Message]:
        self.requests.append((rpc, request))
        self.no_stream_is_open.clear()
        try:
            for step in _next(self._streams):
                yield await _taken(step, request, context)
        finally:
            self.no_stream_is_open.set()


def _next(script: deque[Scripted]) -> Scripted:
    return script.popleft() if len(script) > 1 else script[0]


async def _taken(step: OutcomeBucket, request: Message, context: Any) -> Message:
    if isinstance(step, Silence):
        await asyncio.Event().wait()
    if isinstance(step, Refusal):
        await step.abort(context)
    return step if isinstance(step, Message) else step(request)  # type: ignore[operator]


def _packed(detail: Message) -> Packed:
    packed = Packed()
    packed.Pack(detail)
    return packed


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    scripted = ScriptedServer()
    await scripted.start()
    yield scripted
    await scripted.stop()


@pytest.fixture
async def client(server: ScriptedServer) -> AsyncIterator[Client]:
    """A client with short waits between attempts."""
    async with Client(server.target, timeout=5) as connected:
        connected._connection.backoff = Backoff(first=0.01, longest=0.05)
        yield connected


Redrive = Callable[..., Any]


@pytest.fixture
def redrive(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> Redrive:
    """Return a function that runs a command line against the server, in a thread with its own event loop."""
    monkeypatch.setenv("REDRIVE_SERVER", server.target)

    async def run(*arguments: str, **options: Any) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, app, arguments, **options)

    return run
