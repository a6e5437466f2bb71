"""The gRPC server: its services, the standard health service, and reflection."""

from collections.abc import Sequence
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
from server.api.interceptors.calls import CallInterceptor, CallObserver
from server.api.interceptors.errors import ErrorInterceptor
from server.api.interceptors.gate import Gate
from server.api.interceptors.limits import Limits
from server.api.servicers.delivery import DeliveryServicer
from server.api.servicers.draining import Drain
from server.api.servicers.maintenance import MaintenanceServicer
from server.api.servicers.pages import PageServicer
from server.api.servicers.receipts import ReceiptServicer
from server.api.servicers.reports import ReportServicer
from server.api.servicers.retries import RetryServicer
from server.api.services import Services
from server.auth.certificates import Certificates, Pems
from server.queries.rounds import NextRoundTimes

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
    ("grpc.http2.bdp_probe", 0),  # buffer 64 KiB of an unread request instead of up to 16 MiB
    ("grpc.per_message_decompression", 0),  # the request reader decompresses, up to a limit
    ("grpc.so_reuseport", 0),  # a second server on the same port fails
    ("grpc.keepalive_time_ms", 60_000),  # closes the streams of callers that are no longer reachable
    ("grpc.keepalive_timeout_ms", 20_000),
    (
        "grpc.http2.min_ping_interval_without_data_ms",
        10_000,
    ),  # of watchers while nothing changes
    ("grpc.http2.max_ping_strikes", 2),  # a caller that sends pings more often is disconnected
    ("grpc.server_handshake_timeout_ms", 10_000),  # until TLS and the first frame are done
    ("grpc.http2.settings_timeout", 10_000),  # until the caller acknowledges the HTTP/2 settings
    ("grpc.max_connection_idle_ms", 900_000),  # without a call; clients reconnect automatically
)


class ApiServer:
    """The gRPC server of one process, from start to stop."""

    def __init__(self, server: grpc.aio.Server, health_servicer: health.aio.HealthServicer, drain: Drain) -> None:
        self._server = server
        self._health = health_servicer
        self._drain = drain

    async def start(self, listen: str, certificates: Certificates | None = None) -> str:
        """Listen on HOST:PORT (0 = any free port), with TLS if there are certificates; return the address.

        Raises OSError if the address cannot be used.
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
        return self._server.add_secure_port(listen, _credentials(certificates))

    async def stop(self, grace: timedelta) -> None:
        """Refuse new calls, end watches, and give the other calls the grace period to finish."""
        await self._health.enter_graceful_shutdown()
        self._drain.begin()
        await self._server.stop(grace.total_seconds())


def build_server(
    services: Services,
    *,
    calls: CallObserver | None = None,
    channelz: bool = False,
    gate: Gate | None = None,
    reflects: bool = True,
) -> ApiServer:
    """Return a server that does not listen yet."""
    observers = [] if calls is None else [CallInterceptor(calls)]
    gate = gate or Gate()
    server = grpc.aio.server(
        interceptors=[*observers, ErrorInterceptor(gate)],
        options=_options(gate.limits, channelz=channelz),
        maximum_concurrent_rpcs=gate.limits.calls_at_once,
    )
    drain, next_rounds = Drain(), NextRoundTimes(services.log, services.timer.schedule)
    add_DeliveryServiceServicer_to_server(DeliveryServicer(services, next_rounds, drain), server)
    add_MaintenanceServiceServicer_to_server(MaintenanceServicer(services), server)
    add_PageServiceServicer_to_server(PageServicer(services), server)
    add_ReceiptServiceServicer_to_server(ReceiptServicer(services), server)
    add_ReportServiceServicer_to_server(ReportServicer(services, next_rounds), server)
    add_RetryServiceServicer_to_server(RetryServicer(services), server)
    health_servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    if channelz:
        add_channelz_servicer(server)
    if reflects:
        reflection.enable_server_reflection([*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME], server)
    return ApiServer(server, health_servicer, drain)


def _options(limits: Limits, *, channelz: bool) -> Sequence[tuple[str, int]]:
    return (
        *OPTIONS,
        ("grpc.max_receive_message_length", limits.request_bytes),
        ("grpc.max_allowed_incoming_connections", limits.connections),
        ("grpc.max_concurrent_streams", limits.streams_per_connection),
        ("grpc.enable_channelz", int(channelz)),
    )


def _credentials(certificates: Certificates) -> grpc.ServerCredentials:
    """Return credentials that use the current certificates in each handshake."""
    credentials: grpc.ServerCredentials = grpc.dynamic_ssl_server_credentials(
        _configuration(certificates.pems),
        lambda: _renewed(certificates),
        require_client_authentication=certificates.are_asked_of_callers,
    )
    return credentials


def _renewed(certificates: Certificates) -> Any:
    """Return a ServerCertificateConfiguration for a handshake; None, missing in the stubs, keeps the last one."""
    pems = certificates.renewed()
    return None if pems is None else _configuration(pems)


def _configuration(pems: Pems) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(pems.key, pems.chain)], root_certificates=pems.client_ca)
