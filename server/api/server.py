"""The gRPC server: its services, the standard health service, and reflection."""

from datetime import timedelta

import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from redrive.v1 import (
    delivery_service_pb2,
    page_service_pb2,
    receipt_service_pb2,
    report_service_pb2,
    retry_service_pb2,
)
from redrive.v1.delivery_service_pb2_grpc import add_DeliveryServiceServicer_to_server
from redrive.v1.page_service_pb2_grpc import add_PageServiceServicer_to_server
from redrive.v1.receipt_service_pb2_grpc import add_ReceiptServiceServicer_to_server
from redrive.v1.report_service_pb2_grpc import add_ReportServiceServicer_to_server
from redrive.v1.retry_service_pb2_grpc import add_RetryServiceServicer_to_server
from server.api.delivery_servicer import DeliveryServicer
from server.api.draining import Drain
from server.api.error_interceptor import ErrorInterceptor
from server.api.next_rounds import NextRounds
from server.api.page_servicer import PageServicer
from server.api.ports import ProgressHub, RetryTimer, StuckBatches
from server.api.receipt_servicer import ReceiptServicer
from server.api.report_servicer import ReportServicer
from server.api.retry_servicer import RetryServicer
from server.commands.cancelling import CancelService
from server.commands.holding_pages import PageHoldService
from server.commands.pausing import PauseService
from server.commands.putting_pages import PutPageService
from server.commands.recording_receipts import ReceiptService
from server.commands.resending import ResendService
from server.commands.sending import SendService
from server.commands.stream_sending import StreamSendService
from server.history.history import History
from server.log.commit import EventLog

SERVICES = tuple(
    service.full_name
    for file in (
        delivery_service_pb2,
        page_service_pb2,
        receipt_service_pb2,
        report_service_pb2,
        retry_service_pb2,
    )
    for service in file.DESCRIPTOR.services_by_name.values()
)
OPTIONS = (
    ("grpc.max_receive_message_length", 32 * 1024 * 1024),  # 10,000 recipients with many variables
    ("grpc.so_reuseport", 0),  # two servers must not share a port unnoticed
    ("grpc.keepalive_time_ms", 60_000),  # finds callers that vanished: a stream of theirs would stay open
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),  # watchers may ping this often while nothing changes
)


class ApiServer:
    """Answers callers, from start to stop."""

    def __init__(self, server: grpc.aio.Server, health_servicer: health.aio.HealthServicer, drain: Drain) -> None:
        self._server = server
        self._health = health_servicer
        self._drain = drain

    async def start(self, listen: str) -> str:
        """Listens on HOST:PORT (0 = any port) and gives the address; raises OSError when it cannot."""
        for service in SERVICES:
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        try:
            port = self._server.add_insecure_port(listen)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {listen}") from error
        await self._server.start()
        return f"{listen.rpartition(':')[0]}:{port}"

    async def stop(self, grace: timedelta) -> None:
        """Takes no new calls, ends watches, and lets the other calls come to their end within the grace."""
        await self._health.enter_graceful_shutdown()
        self._drain.begin()
        await self._server.stop(grace.total_seconds())


def build_server(
    *,
    log: EventLog,
    sends: SendService,
    streams: StreamSendService,
    resends: ResendService,
    cancels: CancelService,
    pauses: PauseService,
    pages: PutPageService,
    holds: PageHoldService,
    receipts: ReceiptService,
    progress: ProgressHub,
    timer: RetryTimer,
    stuck: StuckBatches,
    history: History,
) -> ApiServer:
    """A server that does not listen yet."""
    server = grpc.aio.server(interceptors=[ErrorInterceptor()], options=OPTIONS)
    drain, next_rounds = Drain(), NextRounds(log, timer)
    delivery = DeliveryServicer(
        log=log,
        sends=sends,
        streams=streams,
        resends=resends,
        cancels=cancels,
        pauses=pauses,
        progress=progress,
        next_rounds=next_rounds,
        history=history,
        drain=drain,
    )
    add_DeliveryServiceServicer_to_server(delivery, server)
    add_PageServiceServicer_to_server(PageServicer(log, pages, holds), server)
    add_ReceiptServiceServicer_to_server(ReceiptServicer(receipts), server)
    add_ReportServiceServicer_to_server(ReportServicer(log, next_rounds), server)
    add_RetryServiceServicer_to_server(RetryServicer(timer, stuck), server)
    health_servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    reflection.enable_server_reflection([*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME], server)
    return ApiServer(server, health_servicer, drain)
