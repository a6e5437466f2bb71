"""Calls without valid credentials: limited by address, with few log lines."""

from pathlib import Path

import grpc
import grpc.aio
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from structlog.testing import capture_logs

from redrive.v1.delivery_service_pb2 import ListMessagesRequest
from server.api.caller import peer_address
from server.api.interceptors import gate
from server.api.interceptors.limits import Limits
from server.api.interceptors.refused_calls import MAX_PEERS, LogSampler, RefusalRate, TooManyRefusals
from server.auth.caller import Scope
from tests.server.api.edge import Edge
from tests.server.api.known_callers import Callers, guarded_edge, token_metadata
from tests.server.api.refusals import Refusal, refusal_of
from tests.waiting import eventually

ASKED = ListMessagesRequest()
FEW = Limits(refusals_per_second=0.01, refusals_burst=3)


@pytest.fixture
def callers(tmp_path: Path) -> Callers:
    return Callers(tmp_path)


async def refused(edge: Edge) -> Refusal:
    return await refusal_of(edge.delivery.ListMessages(ASKED, metadata=token_metadata("rdt_nobody-has-this-one")))


async def test_refused_calls_of_an_address_are_limited(callers: Callers) -> None:
    async with guarded_edge(callers, gate=callers.gate(FEW)) as edge:
        codes = [(await refused(edge)).code for _ in range(3)]
        refusal = await refused(edge)

    assert codes == [grpc.StatusCode.UNAUTHENTICATED] * 3
    assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_REFUSALS")
    assert refusal.retry.retry_delay.seconds > 0


async def test_a_valid_caller_is_accepted_from_a_limited_address(callers: Callers) -> None:
    good = token_metadata(callers.token("crm", Scope.READ))
    async with guarded_edge(callers, gate=callers.gate(FEW)) as edge:
        for _ in range(5):
            await refused(edge)

        await edge.delivery.ListMessages(ASKED, metadata=good)


async def test_refused_calls_write_few_log_lines(callers: Callers) -> None:
    with capture_logs() as logs:
        async with guarded_edge(callers, gate=callers.gate(FEW)) as edge:
            for _ in range(50):
                await refused(edge)

    codes = [line["code"] for line in logs if line["event"] == "rpc_finished"]
    assert codes == ["UNAUTHENTICATED", "RESOURCE_EXHAUSTED"]


async def test_omitted_log_lines_are_counted() -> None:
    with capture_logs() as logs:
        lines = LogSampler(structlog.get_logger().info, seconds=0.05)
        assert [lines.should_log("192.0.2.1", "UNAUTHENTICATED") for _ in range(5)] == [True, *[False] * 4]

        async def summed_up() -> bool:
            return bool(logs)

        await eventually(summed_up)

    assert (logs[0]["event"], logs[0]["peer"], logs[0]["count"]) == ("rpcs_refused", "192.0.2.1", 4)


def test_very_many_addresses_share_one_limit() -> None:
    rate = RefusalRate(FEW)
    for number in range(MAX_PEERS + 3):
        rate.take(f"peer {number}")

    with pytest.raises(TooManyRefusals):
        rate.take("one more")


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:192.0.2.1:5000", "192.0.2.1"),
        ("ipv6:%5B2001:db8:1:2:3:4:5:6%5D:5000", "2001:db8:1:2::/64"),
        ("ipv6:[::1]:5000", "::/64"),
        ("ipv6:%5Bfe80::1%25eth0%5D:5000", "fe80::/64"),
        ("unix:/run/redrive.sock", "unix:/run/redrive.sock"),
        ("ipv4:strange", "ipv4:strange"),
    ],
)
def test_a_peer_is_identified_by_its_address(peer: str, address: str) -> None:
    assert peer_address(peer) == address


async def test_an_address_has_a_limited_number_of_health_watches(
    monkeypatch: pytest.MonkeyPatch, callers: Callers
) -> None:
    monkeypatch.setattr(gate, "OPEN_WATCHES_OF_PEER", 1)
    async with guarded_edge(callers) as limited:
        health = health_pb2_grpc.HealthStub(limited.wire)
        first = health.Watch(health_pb2.HealthCheckRequest())
        assert (await first.read()).status == health_pb2.HealthCheckResponse.SERVING

        refusal = await refusal_of(health.Watch(health_pb2.HealthCheckRequest()).read())

        assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_WATCHES")
        first.cancel()
