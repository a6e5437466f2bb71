"""`redrive send --watch` continues while an automatic retry is due, against a real server."""

import os
import signal
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from redrive import Client
from redrive.v1.message_pb2 import MessageStatus
from tests.e2e.campaign import PAGE, put_page
from tests.e2e.processes import SandboxProcess, ServerProcess, client_of, running_server
from tests.e2e.programs import Program, start_program


@pytest.fixture
async def failing_once(client: Client, sandbox: SandboxProcess) -> None:
    """Make the first attempt to u1 fail and the next one succeed."""
    await put_page(client)
    await sandbox.control.order({"preset": "temporary", "recipients": ["u1"], "times": 1})


class Watching:
    """A running `redrive send --watch`; its lines are read as they arrive."""

    def __init__(self, process: Program) -> None:
        self._process = process
        self.lines: list[str] = []

    async def wait_for(self, words: str) -> str:
        """Return the next line that contains the text."""
        async for line in self._read():
            if words in line:
                return line
        raise AssertionError(f"{words!r} is not in the output: {self.lines}")

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGINT)

    async def wait_for_exit(self) -> int:
        """Read the rest of the output, and return the exit code."""
        async for _ in self._read():
            pass
        return await self._process.wait()

    async def _read(self) -> AsyncIterator[str]:
        assert self._process.stdout is not None
        while line := (await self._process.stdout.readline()).decode():
            self.lines.append(line)
            yield line

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()


async def sending(server: ServerProcess, *options: str) -> Watching:
    process = await start_program(
        *("redrive", "send", "--page", PAGE, "--text", "Hi", "--recipient", "u1", "--recipient", "u2", "--watch"),
        *options,
        environment={**os.environ, "REDRIVE_SERVER": server.address},
        stdout=PIPE,
    )
    return Watching(process)


async def message_id(client: Client) -> str:
    [message] = [one async for one in client.list_messages()]
    return message.id


@pytest.mark.usefixtures("failing_once")
@pytest.mark.parametrize(
    "policy",
    [
        ("--retry", "auto", "--retry-interval", "2s"),
        ("--retry", "auto", "--retry-backoff", "1s"),
        ("--retry", "cron", "--retry-interval", "1s"),
        ("--retry", "auto"),
    ],
)
async def test_a_watch_ends_with_success_after_the_retry(server: ServerProcess, policy: tuple[str, ...]) -> None:
    watching = await sending(server, *policy)

    assert await watching.wait_for_exit() == 0
    assert watching.lines[-1].startswith("SENT: 2 of 2 sent, 0 failed")
    if len(policy) > 2:
        assert any(", next retry 20" in line for line in watching.lines)


@pytest.mark.usefixtures("failing_once")
async def test_a_watch_without_waiting_for_retries_has_its_own_exit_code(server: ServerProcess) -> None:
    watching = await sending(server, "--retry", "auto", "--retry-interval", "1h", "--no-wait-for-retries")

    assert await watching.wait_for_exit() == 12


async def test_a_watch_waits_for_the_servers_timer(tmp_path: Path, sandbox: SandboxProcess) -> None:
    await sandbox.control.order({"preset": "temporary", "recipients": ["u1"], "times": 1})
    settings = {"REDRIVE_RETRY_INTERVAL": "3"}
    async with running_server(tmp_path, sandbox.graph_url, settings) as server, client_of(server) as client:
        await put_page(client)
        watching = await sending(server, "--retry", "cron")

        assert await watching.wait_for_exit() == 0


async def test_a_watch_does_not_wait_for_a_timer_that_is_off(tmp_path: Path, sandbox: SandboxProcess) -> None:
    await sandbox.control.order({"preset": "temporary", "recipients": ["u1"], "times": 1})
    settings = {"REDRIVE_RETRY_INTERVAL": "off"}
    async with running_server(tmp_path, sandbox.graph_url, settings) as server, client_of(server) as client:
        await put_page(client)
        watching = await sending(server, "--retry", "cron")

        assert await watching.wait_for_exit() == 10
        assert "timer is off" in "".join(watching.lines)


async def test_a_watch_ends_when_the_attempts_are_used_up(
    server: ServerProcess, client: Client, sandbox: SandboxProcess
) -> None:
    await put_page(client)
    await sandbox.control.order({"preset": "temporary", "recipients": ["u1"]})

    watching = await sending(server, "--retry", "auto", "--retry-interval", "1s", "--max-retries", "1")

    assert await watching.wait_for_exit() == 10
    assert len((await sandbox.control.received("u1")).arrivals) == 2


async def test_a_watch_does_not_wait_for_a_permanent_error(
    server: ServerProcess, client: Client, sandbox: SandboxProcess
) -> None:
    await put_page(client)
    await sandbox.control.order({"preset": "unknown_recipient", "recipients": ["u1"]})

    watching = await sending(server, "--retry", "cron")

    assert await watching.wait_for_exit() == 10


@pytest.mark.usefixtures("failing_once")
async def test_a_cancel_ends_the_wait(server: ServerProcess, client: Client) -> None:
    watching = await sending(server, "--retry", "auto", "--retry-interval", "1h")
    await watching.wait_for(", next retry")

    await client.cancel_message(await message_id(client))

    assert await watching.wait_for_exit() == 11


@pytest.mark.usefixtures("failing_once")
async def test_a_hold_ends_the_wait_and_prints_its_reason(server: ServerProcess, client: Client) -> None:
    watching = await sending(server, "--retry", "auto", "--retry-interval", "1h")
    await watching.wait_for(", next retry")

    await client.hold_page(PAGE, "a wrong link")

    assert await watching.wait_for_exit() == 10
    assert "page on hold: a wrong link" in "".join(watching.lines)


@pytest.mark.usefixtures("failing_once")
async def test_a_watch_of_a_paused_message_continues_until_it_is_resumed(server: ServerProcess, client: Client) -> None:
    watching = await sending(server, "--retry", "auto", "--retry-interval", "4s")
    await watching.wait_for(", next retry")

    await client.pause_message(await message_id(client))
    await watching.wait_for("PAUSED")
    await client.resume_message(await message_id(client))

    assert await watching.wait_for_exit() == 0


@pytest.mark.usefixtures("failing_once")
async def test_an_interrupted_wait_prints_the_last_counts(server: ServerProcess, client: Client) -> None:
    watching = await sending(server, "--retry", "auto", "--retry-interval", "1h")
    await watching.wait_for(", next retry")

    watching.interrupt()

    assert await watching.wait_for_exit() == 130
    assert watching.lines[-2].startswith("Interrupted. PARTIALLY_SENT: 1 of 2 sent, 1 failed")
    [message] = [one async for one in client.list_messages()]
    assert message.status == MessageStatus.MESSAGE_STATUS_PARTIALLY_SENT


@pytest.mark.usefixtures("failing_once")
async def test_a_wait_continues_after_a_server_restart(server: ServerProcess) -> None:
    watching = await sending(server, "--retry", "auto", "--retry-interval", "4s")
    await watching.wait_for(", next retry")

    await server.kill()
    await server.start()

    assert await watching.wait_for_exit() == 0
