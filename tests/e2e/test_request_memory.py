"""Memory use of requests from known and unknown callers, on a real server limited to 1 GiB."""

import asyncio
import re
import resource
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from redrive import Client
from server.auth.caller import Scope
from tests.e2e.processes import ServerProcess, running_server
from tests.e2e.raw_http2 import Call, RawConnection, bomb, crowded, half_sent, valid
from tests.e2e.test_access import token

GIB, MIB = 1 << 30, 1 << 20
MOST = 250 * MIB  # above the memory at rest
CALLS = 64
SEND, HEALTH, STREAM = (
    "/redrive.v1.DeliveryService/Send",
    "/grpc.health.v1.Health/Check",
    "/redrive.v1.DeliveryService/SendStream",
)
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"


class Guarded:
    """A server with authentication and at most 1 GiB of memory."""

    def __init__(self, server: ServerProcess, settings: dict[str, str]) -> None:
        self.server = server
        self.good = token(settings, "good", Scope.READ)
        self.bad = token(settings, "bad", Scope.SEND)
        resource.prlimit(server.pid, resource.RLIMIT_DATA, (GIB, GIB))

    def memory(self, name: str) -> int:
        """Return VmRSS or VmHWM in bytes."""
        found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{self.server.pid}/status").read_text())
        assert found is not None
        return int(found[1]) * 1024


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Guarded]:
    settings = {"REDRIVE_AUTH_FILE": str(tmp_path / "callers.json")}
    (tmp_path / "callers.json").write_text("{}")
    async with running_server(tmp_path, "http://127.0.0.1:1", settings, is_forked=False) as server:
        yield Guarded(server, settings)


async def longest_answer_during(guarded: Guarded, attack: asyncio.Future[None]) -> float:
    """Call ListMessages until the attack ends; return the longest response time in seconds."""
    loop, longest = asyncio.get_running_loop(), 0.0
    async with Client(guarded.server.address, token=guarded.good) as client:
        while not attack.done():
            began = loop.time()
            _ = [one async for one in client.list_messages()]
            longest = max(longest, loop.time() - began)
            await asyncio.sleep(0.02)
    return longest


def attack(port: int, call: Call) -> None:
    connection = RawConnection(port)
    try:
        for _ in range(CALLS):
            connection.begin(call)
        connection.run(1.0)
    finally:
        connection.close()


async def survives(guarded: Guarded, call: Call) -> None:
    """Check that the calls use at most 250 MiB and that other calls are answered within two seconds."""
    Path(f"/proc/{guarded.server.pid}/clear_refs").write_text("5")  # resets the peak
    rest = guarded.memory("VmRSS")

    attacking = asyncio.ensure_future(asyncio.to_thread(attack, guarded.server.port, call))
    longest = await longest_answer_during(guarded, attacking)

    assert guarded.memory("VmHWM") - rest < MOST, call.path
    assert longest < 2.0, call.path


async def test_requests_of_unknown_callers_use_little_memory(guarded: Guarded) -> None:
    await survives(guarded, bomb(SEND, 31 * MIB))
    await survives(guarded, half_sent(SEND, 31 * MIB))
    await survives(guarded, bomb(HEALTH, 31 * MIB))
    await survives(guarded, half_sent(HEALTH, 31 * MIB))
    await survives(guarded, half_sent(REFLECTION, 31 * MIB))


async def test_requests_of_known_callers_use_little_memory(guarded: Guarded) -> None:
    known = [("authorization", f"Bearer {guarded.bad}")]
    await survives(guarded, bomb(SEND, 31 * MIB, known))
    await survives(guarded, half_sent(SEND, 31 * MIB, known))
    await survives(guarded, half_sent(STREAM, 31 * MIB, known))
    await survives(guarded, valid(SEND, 31 * MIB, known))


async def test_requests_that_grow_when_decoded_use_little_memory(guarded: Guarded) -> None:
    known = [("authorization", f"Bearer {guarded.bad}")]
    await survives(guarded, crowded(SEND, 31 * MIB, known))
    await survives(guarded, crowded(SEND, 3 * MIB, known))
    await survives(guarded, crowded(STREAM, 31 * MIB, known))
