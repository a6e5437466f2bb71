"""The server around the services: health, reflection, port and limits."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from redrive.v1.content_pb2 import Content
from server.api.server import OPTIONS, SERVICES
from tests.server.api.edge import Edge
from tests.server.api.refusals import refusal_of
from tests.server.api.requests import send_request


async def health_of(edge: Edge, service: str) -> Any:
    stub = health_pb2_grpc.HealthStub(edge.wire)
    return (await stub.Check(health_pb2.HealthCheckRequest(service=service))).status


def test_all_services_of_the_contract_are_served() -> None:
    assert set(SERVICES) == {
        "redrive.v1.DeliveryService",
        "redrive.v1.MaintenanceService",
        "redrive.v1.PageService",
        "redrive.v1.ReceiptService",
        "redrive.v1.ReportService",
        "redrive.v1.RetryService",
    }


@pytest.mark.parametrize("service", ["", *SERVICES])
async def test_every_service_is_healthy(edge: Edge, service: str) -> None:
    assert await health_of(edge, service) == health_pb2.HealthCheckResponse.SERVING


async def test_the_health_of_an_unknown_service_is_not_found(edge: Edge) -> None:
    refusal = await refusal_of(health_of(edge, "redrive.v1.Nothing"))

    assert refusal.code is grpc.StatusCode.NOT_FOUND


async def test_a_stopping_server_reports_it_to_health_watchers(edge: Edge) -> None:
    stub = health_pb2_grpc.HealthStub(edge.wire)
    watch = stub.Watch(health_pb2.HealthCheckRequest(service=SERVICES[0]))
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING

    await edge.server.stop(timedelta(seconds=0.1))

    assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING


async def test_reflection_lists_the_services(edge: Edge) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(edge.wire)
    request = reflection_pb2.ServerReflectionRequest(list_services="")

    [answer] = [one async for one in stub.ServerReflectionInfo(iter([request]))]

    named = {service.name for service in answer.list_services_response.service}
    assert named == {*SERVICES, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}


async def test_a_port_in_use_is_refused(edge: Edge) -> None:
    with pytest.raises(OSError, match=f"cannot listen on {edge.address}"):
        await edge.server.start(edge.address)


@pytest.mark.parametrize("option", [name for name, _ in OPTIONS])
def test_every_option_exists_in_grpc(option: str) -> None:
    """gRPC ignores unknown options without an error."""
    [core] = Path(grpc.__file__).parent.glob("_cython/cygrpc*.so")

    assert option.encode() in core.read_bytes()


async def test_a_request_of_twenty_megabytes_is_read(edge: Edge) -> None:
    request = send_request(content=Content(text="x" * (20 * 1024 * 1024)))

    assert list((await refusal_of(edge.delivery.Send(request))).violations) == ["content.text"]


async def test_a_request_above_the_limit_is_refused_unread(edge: Edge) -> None:
    request = send_request(content=Content(text="x" * (33 * 1024 * 1024)))

    assert (await refusal_of(edge.delivery.Send(request))).code is grpc.StatusCode.RESOURCE_EXHAUSTED
