"""The gRPC API on a real port, over a real log and real commands; nothing is dispatched, so messages stay PENDING."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc.aio

from domain import batch as batches
from domain.message_events import MessageEvent
from domain.outcome import Outcome
from domain.streams import batch_stream, message_stream, page_stream
from projections.sql import Sql
from redrive.v1.delivery_service_pb2_grpc import DeliveryServiceStub
from redrive.v1.maintenance_service_pb2_grpc import MaintenanceServiceStub
from redrive.v1.page_service_pb2_grpc import PageServiceStub
from redrive.v1.receipt_service_pb2_grpc import ReceiptServiceStub
from redrive.v1.report_service_pb2_grpc import ReportServiceStub
from redrive.v1.retry_service_pb2_grpc import RetryServiceStub
from server.api.fair_reads import CallerLog
from server.api.interceptors.gate import Gate
from server.api.server import ApiServer, build_server
from server.api.services import BatchReleaser, ProgressSource, Services
from server.auth.certificates import Certificates
from server.background.timer_report import RetrySchedule, TimerResult, TimerRun
from server.commands.cleanup import CleanupService
from server.commands.cleanup_worker import CleanupWorker
from server.commands.erasure import ErasureService
from server.commands.lifecycle import CancelService, PauseService
from server.commands.pages import PageHoldService, PageShareService, PutPageService
from server.commands.receipts import ReceiptService
from server.commands.resend import ResendService
from server.commands.send import SendService
from server.commands.send_stream import StreamSendService
from server.crypto.vault import Vault
from server.eventstore.commit import Commit, Committed, EventLog, StreamEvents
from server.eventstore.event_store import EventStore
from server.eventstore.sqlite.store import SqliteStore
from server.eventstore.store import Store
from server.messenger.channel import OutgoingMessage, PageCredentials, SendResult, TokenAccepted, TokenCheck
from server.progress.progress import Progress
from server.queries.history import History
from server.queries.recipient_names import RecipientNames
from tests.builders import (
    NOW,
    PAGE,
    WORKER,
    after,
    batch_created,
    delivered,
    message_submitted,
    page_registered,
    wall_clock,
)
from tests.keyed_ids import KEY

if TYPE_CHECKING:  # exist in the stubs' .pyi files only
    from redrive.v1.delivery_service_pb2_grpc import DeliveryServiceAsyncStub
    from redrive.v1.maintenance_service_pb2_grpc import MaintenanceServiceAsyncStub
    from redrive.v1.page_service_pb2_grpc import PageServiceAsyncStub
    from redrive.v1.receipt_service_pb2_grpc import ReceiptServiceAsyncStub
    from redrive.v1.report_service_pb2_grpc import ReportServiceAsyncStub
    from redrive.v1.retry_service_pb2_grpc import RetryServiceAsyncStub

LISTEN = "127.0.0.1:0"


@dataclass
class TokenChannel:
    """Answers token checks with a given result; sends nothing."""

    token_check: TokenCheck = field(default_factory=TokenAccepted)

    async def send(self, credentials: PageCredentials, message: OutgoingMessage) -> SendResult:
        raise NotImplementedError

    async def send_batch(
        self, credentials: PageCredentials, messages: Sequence[OutgoingMessage]
    ) -> Sequence[SendResult]:
        raise NotImplementedError

    async def check_token(self, credentials: PageCredentials) -> TokenCheck:
        return self.token_check

    async def is_page_token(self, credentials: PageCredentials) -> bool:
        return isinstance(self.token_check, TokenAccepted)


@dataclass
class ScriptedHub:
    """Yields the given progress, then raises, ends, or waits without end."""

    shown: Sequence[Progress] = ()
    error: Exception | None = None
    waits: bool = False
    watched: list[tuple[str, str]] = field(default_factory=list)
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def watch(self, owner: str, message_id: str) -> AsyncIterator[Progress]:
        self.watched.append((owner, message_id))
        try:
            for progress in self.shown:
                yield progress
            if self.error is not None:
                raise self.error
            if self.waits:
                self.waiting.set()
                await asyncio.Event().wait()
        finally:
            self.left.set()


@dataclass
class ScriptedTimer:
    """Runs immediately with given results, and returns a given schedule."""

    results: Sequence[TimerResult] = ()
    known: RetrySchedule = field(
        default_factory=lambda: RetrySchedule(
            interval=timedelta(minutes=15), next_run_time=after(900), last_run_time=None, last_results=[]
        )
    )
    runs: Sequence[TimerRun] = ()

    async def run_now(self) -> Sequence[TimerResult]:
        return self.results

    async def schedule(self) -> RetrySchedule:
        return self.known

    async def last_runs(self) -> Sequence[TimerRun]:
        return self.runs


@dataclass
class ScriptedBatches:
    """Returns given numbers of released batches, or raises."""

    freed: tuple[int, int] = (0, 0)
    error: Exception | None = None
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def process(self, owner: str, message_id: str) -> tuple[int, int]:
        self.asked.append((owner, message_id))
        if self.error is not None:
            raise self.error
        return self.freed


@dataclass
class Edge:
    """A running API with its channel, log and scripted collaborators."""

    log: EventLog
    vault: Vault
    channel: TokenChannel
    hub: ScriptedHub
    timer: ScriptedTimer
    stuck: ScriptedBatches
    server: ApiServer
    address: str
    wire: grpc.aio.Channel

    @property
    def delivery(self) -> "DeliveryServiceAsyncStub":
        return DeliveryServiceStub(self.wire)

    @property
    def pages(self) -> "PageServiceAsyncStub":
        return PageServiceStub(self.wire)

    @property
    def retries(self) -> "RetryServiceAsyncStub":
        return RetryServiceStub(self.wire)

    @property
    def maintenance(self) -> "MaintenanceServiceAsyncStub":
        return MaintenanceServiceStub(self.wire)

    @property
    def receipts(self) -> "ReceiptServiceAsyncStub":
        return ReceiptServiceStub(self.wire)

    @property
    def reports(self) -> "ReportServiceAsyncStub":
        return ReportServiceStub(self.wire)

    async def commit(self, stream: str, version: int, *events: Any) -> None:
        result = await self.log.commit(Commit([StreamEvents(stream, version, events)]))
        assert isinstance(result, Committed)

    async def submit_as(self, owner: str, message_id: str) -> None:
        """Append a message to Ann of this owner; no delivery has started."""
        submitted: MessageEvent = message_submitted(1, message_id=message_id, owner=owner)
        await self.commit(message_stream(message_id), 0, submitted)
        await self.commit(batch_stream(message_id, 0, 1), 0, batch_created("ann", message_id=message_id))

    async def deliver(
        self, message_id: str, outcomes: Mapping[str, Outcome], *, batch_number: int = 1, now: datetime = NOW
    ) -> None:
        """Record the outcomes of a batch as a worker; recipients that are not named are sent to."""
        stream = batch_stream(message_id, 0, batch_number)
        batch = batches.fold(await self.log.load(stream))
        await self.commit(stream, batch.version, *delivered(batch, outcomes, now=now))

    async def rows(self, table: str) -> int:
        """Return the number of rows in a table."""

        def count(sql: Sql) -> int:
            row = sql.row(f"SELECT COUNT(*) AS found FROM {table}")  # noqa: S608
            assert row is not None
            return int(row["found"])

        return await self.log.read(count)


@asynccontextmanager
async def running_edge(
    folder: Path,
    *,
    gate: Gate | None = None,
    certificates: Certificates | None = None,
    progress: Callable[[EventLog], ProgressSource] | None = None,
    stuck_batches: Callable[[EventLog], BatchReleaser] | None = None,
    store: Store | None = None,
) -> AsyncIterator[Edge]:
    """Run the API with one registered page; with certificates it serves TLS, which its own channel does not use.

    Calls use their share of the log's readers; `edge.log` is the service's own.
    """
    vault = Vault(KEY)
    channel, hub, timer, stuck = TokenChannel(), ScriptedHub(), ScriptedTimer(), ScriptedBatches()
    async with EventStore(store or SqliteStore(folder / "redrive.db")) as own_log:
        log = CallerLog(own_log)
        cleanups = CleanupWorker(own_log, wall_clock)
        sends = SendService(log, vault, wall_clock)
        services = Services(
            log=log,
            sends=sends,
            streams=StreamSendService(log, vault, sends, wall_clock, WORKER),
            resends=ResendService(log, vault, wall_clock),
            cancels=CancelService(log, wall_clock),
            pauses=PauseService(log, wall_clock),
            pages=PutPageService(log, vault, channel, wall_clock, 10.0),
            holds=PageHoldService(log, vault, wall_clock),
            shares=PageShareService(log, wall_clock),
            receipts=ReceiptService(log, vault.ids, wall_clock),
            cleanups=CleanupService(log, cleanups, wall_clock),
            erasures=ErasureService(log, vault, wall_clock),
            names=RecipientNames(log, vault),
            labels=vault.labels,
            progress=hub if progress is None else progress(log),
            timer=timer,
            stuck_batches=stuck if stuck_batches is None else stuck_batches(log),
            history=History(log, wall_clock),
        )
        server = build_server(services, gate=gate)
        address = await server.start(LISTEN, certificates)
        cleanups.start()
        async with grpc.aio.insecure_channel(address) as wire:
            edge = Edge(own_log, vault, channel, hub, timer, stuck, server, address, wire)
            await edge.commit(page_stream(PAGE), 0, page_registered())
            yield edge
        await server.stop(timedelta(0))
        await cleanups.close()
