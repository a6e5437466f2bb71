"""The gate: limits per caller, maximum durations, and authentication during open streams."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from redrive.v1.delivery_service_pb2 import (
    GetMessageRequest,
    ListMessagesRequest,
    SendStreamRequest,
    WatchProgressRequest,
)
from redrive.v1.retry_service_pb2 import RunScheduledRetriesRequest
from server.api.interceptors.gate import Gate
from server.api.interceptors.limits import Limits
from server.api.interceptors.scopes import REQUIRED_SCOPES
from server.auth.caller import Scope
from tests.server.api.edge import Edge, running_edge
from tests.server.api.known_callers import Callers, guarded_edge, token_metadata
from tests.server.api.refusals import refusal_of
from tests.server.api.requests import stream_header
from tests.server.api.rpcs import Metadata
from tests.waiting import eventually

SLOW = Limits(requests_per_second=0.5, requests_burst=2)
ASKED = ListMessagesRequest()
WATCH = WatchProgressRequest(message_id="m-1")


@pytest.fixture
def callers(tmp_path: Path) -> Callers:
    return Callers(tmp_path)


async def test_a_caller_above_its_rate_gets_a_retry_delay(tmp_path: Path) -> None:
    async with running_edge(tmp_path, gate=Gate(limits=SLOW)) as edge:
        for _ in range(2):
            await edge.delivery.ListMessages(ASKED)
        refusal = await refusal_of(edge.delivery.ListMessages(ASKED))

    assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_REQUESTS")
    assert 0 < refusal.retry.retry_delay.ToTimedelta().total_seconds() <= 2


async def test_a_caller_may_call_again_after_the_delay(tmp_path: Path) -> None:
    async with running_edge(tmp_path, gate=Gate(limits=Limits(requests_per_second=20, requests_burst=1))) as edge:
        await edge.delivery.ListMessages(ASKED)
        refusal = await refusal_of(edge.delivery.ListMessages(ASKED))
        await asyncio.sleep(refusal.retry.retry_delay.ToTimedelta().total_seconds())

        await edge.delivery.ListMessages(ASKED)


async def test_one_callers_rate_does_not_affect_another(callers: Callers) -> None:
    one, other = (token_metadata(callers.token(owner, Scope.READ)) for owner in ("one", "other"))
    async with guarded_edge(callers, gate=callers.gate(SLOW)) as edge:
        for _ in range(2):
            await edge.delivery.ListMessages(ASKED, metadata=one)
        await refusal_of(edge.delivery.ListMessages(ASKED, metadata=one))

        await edge.delivery.ListMessages(ASKED, metadata=other)


async def test_an_rpc_without_a_scope_is_refused_to_all(
    edge: Edge, callers: Callers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(REQUIRED_SCOPES, "/redrive.v1.DeliveryService/ListMessages")

    refusal = await refusal_of(edge.delivery.ListMessages(ASKED))

    assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.PERMISSION_DENIED, "RPC_NOT_LISTED")


async def test_health_probes_are_not_counted(tmp_path: Path) -> None:
    async with running_edge(tmp_path, gate=Gate(limits=SLOW)) as edge:
        health = health_pb2_grpc.HealthStub(edge.wire)
        for _ in range(10):
            await health.Check(health_pb2.HealthCheckRequest())


async def test_a_caller_has_a_limited_number_of_watches(tmp_path: Path) -> None:
    async with running_edge(tmp_path, gate=Gate(limits=Limits(watches_per_caller=1))) as edge:
        edge.hub.waits = True
        first = edge.delivery.WatchProgress(WATCH)
        await edge.hub.waiting.wait()

        refusal = await refusal_of(anext(aiter(edge.delivery.WatchProgress(WATCH))))

        assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_WATCHES")
        assert refusal.retry.retry_delay.seconds > 0
        await edge.delivery.ListMessages(ASKED)
        first.cancel()
        await edge.hub.left.wait()
        edge.hub.waits = False
        await eventually(lambda: _ends(edge))


async def _ends(edge: Edge) -> bool:
    """Return whether a watch is accepted and ends."""
    try:
        return [one async for one in edge.delivery.WatchProgress(WATCH)] == []
    except grpc.aio.AioRpcError:
        return False


async def test_a_connection_has_a_limited_number_of_calls_and_others_wait(tmp_path: Path) -> None:
    async with running_edge(tmp_path, gate=Gate(limits=Limits(streams_per_connection=1))) as edge:
        edge.hub.waits = True
        watch = edge.delivery.WatchProgress(WATCH)
        await edge.hub.waiting.wait()
        with pytest.raises(grpc.aio.AioRpcError) as waited:
            await edge.delivery.ListMessages(ASKED, timeout=0.3)
        asked = edge.delivery.ListMessages(ASKED)

        watch.cancel()

        assert not (await asked).messages
    assert waited.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_call_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_edge(tmp_path, gate=Gate(limits=Limits(call_seconds=0.05))) as edge:
        monkeypatch.setattr(edge.timer, "run_now", asyncio.Event().wait)

        refusal = await refusal_of(edge.retries.RunScheduledRetries(RunScheduledRetriesRequest()))

    assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "CALL_TOO_LONG")


async def test_a_stream_that_takes_too_long_stores_nothing(tmp_path: Path) -> None:
    async with running_edge(tmp_path, gate=Gate(limits=Limits(stream_seconds=0.2))) as edge:
        stream = edge.delivery.SendStream()
        await stream.write(SendStreamRequest(header=stream_header()))

        refusal = await refusal_of(stream)

        assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "CALL_TOO_LONG")
        assert not (await edge.delivery.ListMessages(ASKED)).messages


async def test_a_watch_ends_when_its_callers_token_is_revoked(callers: Callers) -> None:
    token, gate = token_metadata(callers.token("crm", Scope.READ)), callers.gate(recheck_seconds=0.02)
    async with guarded_edge(callers, gate=gate) as edge:
        await edge.submit_as("crm", "m-1")
        watch = edge.delivery.WatchProgress(WATCH, metadata=token)
        await watch.read()

        callers.revoke_all("crm")

        refusal = await refusal_of(_read_all(watch))
    assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID")


async def test_a_watch_ends_when_its_callers_token_expires(callers: Callers) -> None:
    token, gate = token_metadata(callers.token("crm", Scope.READ, seconds=0.5)), callers.gate(recheck_seconds=0.02)
    async with guarded_edge(callers, gate=gate) as edge:
        await edge.submit_as("crm", "m-1")
        watch = edge.delivery.WatchProgress(WATCH, metadata=token)
        await watch.read()

        refusal = await refusal_of(_read_all(watch))

    assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_EXPIRED")


async def _read_all(watch: Any) -> None:
    while await watch.read() is not grpc.aio.EOF:
        pass


async def test_new_and_revoked_tokens_apply_without_a_restart(callers: Callers) -> None:
    async with guarded_edge(callers) as edge:
        token = token_metadata(callers.token("crm", Scope.READ))
        await edge.delivery.ListMessages(ASKED, metadata=token)

        callers.revoke_all("crm")

        assert (
            await refusal_of(edge.delivery.ListMessages(ASKED, metadata=token))
        ).info.reason == "CREDENTIALS_INVALID"


async def test_an_invalid_file_keeps_the_earlier_tokens(callers: Callers) -> None:
    token = token_metadata(callers.token("crm", Scope.READ))
    async with guarded_edge(callers) as edge:
        callers.file.write_text("{")

        await edge.delivery.ListMessages(ASKED, metadata=token)


async def test_no_refusal_repeats_the_callers_credentials(callers: Callers) -> None:
    async with guarded_edge(callers) as edge:
        for presented in ("rdt_an-unknown-token", callers.provider.token("admin", aud="another service")):
            refusal = await refusal_of(
                edge.delivery.GetMessage(GetMessageRequest(), metadata=token_metadata(presented))
            )

            assert presented not in f"{refusal.message} {refusal.info} {refusal.metadata}"


async def services_shown(edge: Edge, metadata: Metadata = ()) -> int:
    """Return the number of services that reflection lists."""
    stub = reflection_pb2_grpc.ServerReflectionStub(edge.wire)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    [answer] = [one async for one in stub.ServerReflectionInfo(iter([request]), metadata=metadata)]
    return len(answer.list_services_response.service)


async def test_health_and_reflection_are_open_to_all(callers: Callers) -> None:
    async with guarded_edge(callers) as edge:
        health = health_pb2_grpc.HealthStub(edge.wire)
        answer = await health.Check(health_pb2.HealthCheckRequest())

        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        assert await services_shown(edge) > 2


async def test_reflection_may_require_authentication(callers: Callers) -> None:
    token = token_metadata(callers.token("crm", Scope.SEND))
    async with guarded_edge(callers, gate=callers.gate(reflection_is_open=False)) as edge:
        assert (await refusal_of(services_shown(edge))).code is grpc.StatusCode.UNAUTHENTICATED
        assert await services_shown(edge, token) > 2
