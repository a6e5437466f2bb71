"""A complete service in this process, observed through calls, metrics and spans, with a real sandbox."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc.aio
import httpx
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from redrive.v1.content_pb2 import Content, Recipient
from redrive.v1.delivery_service_pb2 import GetMessageRequest, SendRequest
from redrive.v1.delivery_service_pb2_grpc import DeliveryServiceStub
from redrive.v1.message_pb2 import Message
from redrive.v1.page_pb2 import SendMode
from redrive.v1.page_service_pb2 import PutPageRequest
from redrive.v1.page_service_pb2_grpc import PageServiceStub
from server.bootstrap import RedriveServer
from server.crypto.key_ring import new_key
from server.crypto.vault import Vault
from server.eventstore.event_store import EventStore
from server.eventstore.sqlite.store import SqliteStore
from server.messenger.http import open_client
from server.messenger.messenger_channel import MessengerChannel
from server.observability.otel import OtelTracing
from server.observability.telemetry import Telemetry
from server.sandbox.runner import Sandbox, running_sandbox
from server.settings import Settings
from tests.builders import PAGE, TOKEN
from tests.waiting import eventually

_SAMPLE = re.compile(r"^(?P<name>\w+(?:\{.*\})?) (?P<value>\S+)$", re.MULTILINE)


@dataclass
class Outside:
    """Calls and observations of the service."""

    wire: grpc.aio.Channel
    sandbox: Sandbox
    store: SqliteStore
    log: EventStore
    metrics_url: str
    exporter: InMemorySpanExporter

    async def put_page(self, page_id: str = PAGE, mode: "SendMode.ValueType" = SendMode.SEND_MODE_SINGLE) -> None:
        request = PutPageRequest(page_id=page_id, access_token=TOKEN, messages_per_second=2_000, send_mode=mode)
        await PageServiceStub(self.wire).PutPage(request)

    async def send(self, *recipients: str, metadata: tuple[tuple[str, str], ...] = (), page_id: str = PAGE) -> str:
        people = [Recipient(id=one) for one in recipients]
        request = SendRequest(page_id=page_id, content=Content(text="Hello"), recipients=people)
        return str((await DeliveryServiceStub(self.wire).Send(request, metadata=metadata)).message.id)

    async def done(self, message_id: str) -> Message:
        """Return the message when it is done."""
        return await eventually(lambda: self.message(message_id), lambda message: message.HasField("end_time"))

    async def message(self, message_id: str) -> Message:
        answer = await DeliveryServiceStub(self.wire).GetMessage(GetMessageRequest(message_id=message_id))
        message: Message = answer.message
        return message

    async def scrape(self) -> str:
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(self.metrics_url)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        return answer.text

    async def samples(self) -> Mapping[str, float]:
        """Return every sample by its name with labels."""
        return {found["name"]: float(found["value"]) for found in _SAMPLE.finditer(await self.scrape())}

    def spans(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.name == name]

    async def ended(self, name: str) -> list[ReadableSpan]:
        """Return the spans of a call when there is one; a span ends shortly after the answer."""

        async def read() -> list[ReadableSpan]:
            return self.spans(name)

        return await eventually(read)


@asynccontextmanager
async def seen_from_outside(folder: Path) -> AsyncIterator[Outside]:
    """Run a service with metrics, traces and channelz."""
    exporter = InMemorySpanExporter()
    tracing = OtelTracing(exporter, at_once=True)
    store = SqliteStore(folder / "redrive.db")
    async with running_sandbox() as sandbox, EventStore(store) as log, open_client() as client:
        settings = Settings(listen="127.0.0.1:0", graph_url=sandbox.url, channelz=True)
        telemetry = Telemetry("127.0.0.1:0", tracing)
        channel = telemetry.over_channel(MessengerChannel(client, settings.graph_url))
        service = RedriveServer(settings, telemetry.over_log(log), Vault(new_key()), channel, telemetry.calls)
        async with telemetry.shown(log, service.rates) as metrics:
            address = await service.start()
            async with grpc.aio.insecure_channel(address) as wire:
                yield Outside(wire, sandbox, store, log, f"http://{metrics}/metrics", exporter)
            await service.drain()
    tracing.close()
