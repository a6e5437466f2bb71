"""Fuzz test: for random requests the service returns a defined status and continues to run."""

import os
import random
from collections.abc import Sequence
from pathlib import Path

import grpc.aio
import psutil
import pytest
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pool import Default
from grpc_health.v1 import health_pb2, health_pb2_grpc

from redrive.v1.content_pb2 import Content, Recipient
from redrive.v1.delivery_service_pb2 import SendRequest
from redrive.v1.page_service_pb2 import PutPageRequest
from server.api.server import SERVICES
from tests.e2e.processes import client_of, running_sandbox_process, running_server
from tests.fuzz.campaign import Campaign

CALLS = int(os.environ.get("FUZZ_CALLS", "3000"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
GROWTH = 80_000_000  # bytes
DEFECT_WORDS = ("Traceback", "_broke", "rpc_failed", "_not_closed", "_not_opened")


def services() -> Sequence[ServiceDescriptor]:
    return [Default().FindServiceByName(name) for name in SERVICES]


@pytest.mark.timeout(900)
async def test_random_calls_cause_no_defect_and_no_memory_growth(tmp_path: Path) -> None:
    async with (
        running_sandbox_process() as sandbox,
        running_server(tmp_path, sandbox.graph_url) as server,
        client_of(server) as client,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        await client.put_page(PutPageRequest(page_id="1001", access_token="EAAG", messages_per_second=300.0))
        request = SendRequest(page_id="1001", content=Content(text="Hi"), recipients=[Recipient(id="1", name="Ada")])
        sent = await client.send(request)
        chance = random.Random(SEED)  # noqa: S311 reproducible, and not a secret
        campaign = Campaign(channel, services(), chance, [sent.message.id, "1001", "1"])
        process = psutil.Process(server.pid)

        await campaign.run(CALLS // 4)
        before = process.memory_info().rss
        await campaign.run(CALLS - CALLS // 4)

        assert "\n".join(campaign.defects[:5]) == ""
        assert campaign.codes["OK"] > CALLS // 20, campaign.codes  # enough requests pass validation
        assert process.memory_info().rss - before < GROWTH
        health = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert health.status == health_pb2.HealthCheckResponse.SERVING
        log = server.log.read_text()
        assert not [word for word in DEFECT_WORDS if word in log], log[-3000:]
