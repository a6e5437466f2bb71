"""Memory of the webhook endpoint process under floods from callers without credentials."""

import asyncio
from contextlib import suppress
from pathlib import Path

from tests.e2e.processes import free_port, running_webhooks_process
from tests.e2e.programs import Program
from tests.server.webhooks.raw_http import APP_SECRET, SUBSCRIBE, VERIFY_TOKEN, RawClient, post_head
from tests.waiting import eventually

SECRETS = {"REDRIVE_WEBHOOK_APP_SECRET": APP_SECRET, "REDRIVE_WEBHOOK_VERIFY_TOKEN": VERIFY_TOKEN}
MIB = 2**20
PART = b"x" * 65_536
CHUNK = b"10000\r\n" + PART + b"\r\n"
AT_ONCE = 60
FLOODS = {
    "16 MiB": (post_head(16 * MIB), PART, 256),
    "1 MiB and a byte": (post_head(MIB + 1), PART, 16),
    "almost 1 MiB": (post_head(MIB), PART, 15),
    "chunked": (post_head("chunked"), CHUNK, 32),
    "one endless chunk": (post_head("chunked"), b"fffffffff\r\n" + PART, 32),
    "compressed": (post_head(16 * MIB, "Content-Encoding: gzip"), PART, 32),
    "behind a GET": (SUBSCRIBE.encode(), PART, 32),
    "behind chunks": (post_head("chunked") + b"0\r\n\r\n", PART, 32),
    "behind a body": (post_head(1) + b"x", PART, 32),
    "pipelined behind chunks": (post_head("chunked") + b"0\r\n\r\n", SUBSCRIBE.encode() * 1_000, 16),
    "pipelined": (SUBSCRIBE.encode() * 3_000, SUBSCRIBE.encode() * 1_000, 16),
    "a head without an end": (b"GET / HTTP/1.1\r\n", b"X: " + b"x" * 1_000 + b"\r\n", 64),
    "after an upgrade": (SUBSCRIBE.encode()[:-2] + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", PART, 32),
}


def memory(process: Program, line: str) -> float:
    """Return memory in MiB: VmRSS (current) or VmHWM (peak)."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split(f"{line}:")[1].split()[0]) / 1_024


async def flood(address: str, head: bytes, part: bytes, parts: int) -> None:
    """Send one request whose body lacks its end, and keep the connection open for a while."""
    async with RawClient(address) as caller:
        await caller.send(head)
        for _ in range(parts):
            if not await caller.send(part):
                break
        with suppress(TimeoutError):
            await caller.answer(within=0.3)


async def answers(address: str) -> bool:
    async with RawClient(address) as platform:
        await platform.send(SUBSCRIBE.encode())
        return await platform.status(within=2) == 200


async def test_a_flood_uses_little_memory_and_the_platform_gets_answers(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "webhooks.log"
    address = f"http://127.0.0.1:{port}"
    async with running_webhooks_process(port, "127.0.0.1:1", log, SECRETS, is_forked=False) as process:
        before, most = memory(process, "VmRSS"), {}
        for name, (head, part, parts) in FLOODS.items():
            await asyncio.gather(*(flood(address, head, part, parts) for _ in range(AT_ONCE)))
            most[name] = memory(process, "VmHWM") - before
            await eventually(lambda: answers(address))  # rejected connections stay open for 2 s and may use all slots

    assert max(most.values()) < 100, list(most.items())
    assert len(log.read_text().splitlines()) < 30
