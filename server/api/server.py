"""The gRPC server: its services, the standard health service, and reflection."""

from datetime import timedelta
from typing import Any

import grpc
import grpc.aio
from grpc_channelz.v1.channelz import add_channelz_servicer
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from redrive.v1 import (
    delivery_service_pb2,
    maintenance_service_pb2,
    page_service_pb2,
    receipt_service_pb2,
    report_service_pb2,
    retry_service_pb2,
)
from redrive.v1.delivery_service_pb2_grpc import add_DeliveryServiceServicer_to_server
from redrive.v1.maintenance_service_pb2_grpc import add_MaintenanceServiceServicer_to_server
from redrive.v1.page_service_pb2_grpc import add_PageServiceServicer_to_server
from redrive.v1.receipt_service_pb2_grpc import add_ReceiptServiceServicer_to_server
from redrive.v1.report_service_pb2_grpc import add_ReportServiceServicer_to_server
from redrive.v1.retry_service_pb2_grpc import add_RetryServiceServicer_to_server
from server.api.interceptors.calls import CallInterceptor
from server.api.interceptors.errors import ErrorInterceptor
from server.api.interceptors.gate import Gate
from server.api.ports import CallObserver, ProgressHub, RetryTimer, StuckBatches
from server.api.servicers.delivery import DeliveryServicer
from server.api.servicers.draining import Drain
from server.api.servicers.maintenance import MaintenanceServicer
from server.api.servicers.pages import PageServicer
from server.api.servicers.receipts import ReceiptServicer
from server.api.servicers.reports import ReportServicer
from server.api.servicers.retries import RetryServicer
from server.auth.certificates import Certificates, Pems
from server.commands.cleanup import CleanupService
from server.commands.erasure import ErasureService
from server.commands.lifecycle import CancelService, PauseService
from server.commands.pages import PageHoldService, PageShareService, PutPageService
from server.commands.receipts import ReceiptService
from server.commands.resend import ResendService
from server.commands.send import SendService
from server.commands.send_stream import StreamSendService
from server.crypto.labels import Labels
from server.eventstore.commit import EventLog
from server.queries.history import History
from server.queries.recipient_names import Names
from server.queries.rounds import NextRounds

SERVICES = tuple(
    service.full_name
    for file in (
        delivery_service_pb2,
        maintenance_service_pb2,
        page_service_pb2,
        receipt_service_pb2,
        report_service_pb2,
        retry_service_pb2,
    )
    for service in file.DESCRIPTOR.services_by_name.values()
)
OPTIONS = (
    ("grpc.http2.bdp_probe", 0),  # else up to 16 MiB of a request come before it is read; so, 64 KiB
    ("grpc.per_message_decompression", 0),  # the request reader inflates, up to a limit
    ("grpc.so_reuseport", 0),  # two servers must not share a port unnoticed
    ("grpc.keepalive_time_ms", 60_000),  # finds callers that vanished: a stream of theirs would stay open
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),  # watchers may ping this often while nothing changes
    ("grpc.http2.max_ping_strikes", 2),  # who pings more often than that is cut off
    ("grpc.server_handshake_timeout_ms", 10_000),  # for TLS, and for the first frame
    ("grpc.http2.settings_timeout", 10_000),  # until a caller has taken our settings: else it is silent
    ("grpc.max_connection_idle_ms", 900_000),  # without a call; whoever comes back connects anew
)


class ApiServer:
    """Answers callers, from start to stop."""

    def __init__(self, server: grpc.aio.Server, health_servicer: health.aio.HealthServicer, drain: Drain) -> None:
        self._server = server
        self._health = health_servicer
        self._drain = drain

    async def start(self, listen: str, certificates: Certificates | None = None) -> str:
        """Listens on HOST:PORT (0 = any port), with TLS if there are certificates, and gives the address.

        Raises OSError when it cannot.
        """
        for service in SERVICES:
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        try:
            port = self._add_port(listen, certificates)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {listen}") from error
        await self._server.start()
        return f"{listen.rpartition(':')[0]}:{port}"

    def _add_port(self, listen: str, certificates: Certificates | None) -> int:
        if certificates is None:
            return self._server.add_insecure_port(listen)
        return self._server.add_secure_port(listen, credentials(certificates))

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
    shares: PageShareService,
    receipts: ReceiptService,
    cleanups: CleanupService,
    erasures: ErasureService,
    names: Names,
    labels: Labels,
    progress: ProgressHub,
    timer: RetryTimer,
    stuck: StuckBatches,
    history: History,
    calls: CallObserver | None = None,
    channelz: bool = False,
    gate: Gate | None = None,
    reflects: bool = True,
) -> ApiServer:
    """A server that does not listen yet."""
    observers = [] if calls is None else [CallInterceptor(calls)]
    gate = gate or Gate()
    options = (
        *OPTIONS,
        ("grpc.max_receive_message_length", gate.limits.request_bytes),
        ("grpc.max_allowed_incoming_connections", gate.limits.connections),
        ("grpc.max_concurrent_streams", gate.limits.streams_per_connection),
        ("grpc.enable_channelz", int(channelz)),
    )
    server = grpc.aio.server(
        interceptors=[*observers, ErrorInterceptor(gate)],
        options=options,
        maximum_concurrent_rpcs=gate.limits.calls_at_once,
    )
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
        names=names,
        labels=labels,
        drain=drain,
    )
    add_DeliveryServiceServicer_to_server(delivery, server)
    add_MaintenanceServiceServicer_to_server(MaintenanceServicer(cleanups, erasures), server)
    add_PageServiceServicer_to_server(PageServicer(log, pages, holds, shares, labels), server)
    add_ReceiptServiceServicer_to_server(ReceiptServicer(receipts), server)
    add_ReportServiceServicer_to_server(ReportServicer(log, next_rounds, names, labels), server)
    add_RetryServiceServicer_to_server(RetryServicer(log, timer, stuck, labels), server)
    health_servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    if channelz:
        add_channelz_servicer(server)
    if reflects:
        reflection.enable_server_reflection([*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME], server)
    return ApiServer(server, health_servicer, drain)


# The server's credentials: each handshake uses the certificates as they are then.


def credentials(certificates: Certificates) -> grpc.ServerCredentials:
    """What a secure port needs."""
    made: grpc.ServerCredentials = grpc.dynamic_ssl_server_credentials(
        _configuration(certificates.pems),
        lambda: _renewed(certificates),
        require_client_authentication=certificates.are_asked_of_callers,
    )
    return made


def _renewed(certificates: Certificates) -> Any:
    """A ServerCertificateConfiguration, asked for in every handshake; None: as before, which the stubs do not know."""
    pems = certificates.renewed()
    return None if pems is None else _configuration(pems)


def _configuration(pems: Pems) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(pems.key, pems.chain)], root_certificates=pems.client_ca)
