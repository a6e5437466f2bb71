"""Starts the server, the sandbox and the webhook endpoint as real processes on real ports."""

import asyncio
import json
import os
import random
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO

import psutil

from redrive import Client
from server.sandbox.control import SandboxControl
from tests.e2e.programs import Program, start_program

PROGRAM = Path(sys.executable).with_name("redrive-server")
# Lowers the limit of open files, then replaces itself by the program. A preexec_fn would run Python after a fork in a
# process with gRPC threads, which is unsafe.
LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]),) * 2)
os.execv(sys.argv[2], sys.argv[2:])
"""
START_SECONDS = 30.0
PORTS = (15_000, 32_000)  # below the ephemeral ports of outgoing connections


def free_port() -> int:
    """Return a port without a listener, outside the range of ephemeral ports."""
    while True:
        port = random.randrange(*PORTS)  # noqa: S311 not a secret
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


async def listening(port: int, process: Program | None = None) -> None:
    """Wait until the port accepts connections; if a process is given, wait until this process listens on it."""
    async with asyncio.timeout(START_SECONDS):
        while True:
            if await _accepts(port) and (process is None or _listens(process, port)):
                return
            await asyncio.sleep(0.02)


async def _accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


def _listens(process: Program, port: int) -> bool:
    assert process.returncode is None, f"the process ended; is port {port} in use?"
    connections = psutil.Process(process.pid).net_connections("tcp")
    return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in connections)


class ServerProcess:
    """A `redrive-server` process that can be killed and restarted on the same database and port."""

    def __init__(
        self,
        folder: Path,
        graph_url: str,
        settings: Mapping[str, str],
        *,
        open_files: int | None = None,
        is_forked: bool = True,
    ) -> None:
        self._open_files = open_files
        self._is_forked = is_forked
        self.port = free_port()
        self.database = folder / "redrive.db"
        self.log = folder / "server.log"
        self.environment = {
            **os.environ,
            "REDRIVE_LISTEN": self.address,
            "REDRIVE_DATABASE_URL": f"sqlite:///{self.database}",
            "REDRIVE_GRAPH_URL": graph_url,
            **settings,
        }
        self._process: Program | None = None

    @property
    def address(self) -> str:
        """The address of the gRPC API."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start the server, and wait until it accepts connections."""
        with self.log.open("ab") as log:
            self._process = await self._started(log)
        await listening(self.port, self._process)

    async def _started(self, log: IO[bytes]) -> Program:
        if self._open_files is None:
            return await start_program(
                "redrive-server", environment=self.environment, stdout=log, stderr=log, is_forked=self._is_forked
            )
        command = (sys.executable, "-c", LIMITED, str(self._open_files), str(PROGRAM))
        return await asyncio.create_subprocess_exec(*command, env=self.environment, stdout=log, stderr=log)

    async def kill(self) -> None:
        """Send SIGKILL and wait."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> int:
        """Send SIGTERM, wait, and return the exit code."""
        return await self._end(signal.SIGTERM)

    async def _end(self, how: signal.Signals) -> int:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(how)
        async with asyncio.timeout(60):
            return await self._process.wait()

    def log_lines(self) -> list[dict[str, object]]:
        """Return the JSON log lines so far."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]


@asynccontextmanager
async def running_server(
    folder: Path,
    graph_url: str,
    settings: Mapping[str, str] | None = None,
    *,
    open_files: int | None = None,
    is_forked: bool = True,
) -> AsyncIterator[ServerProcess]:
    """Run a server, and kill it at the end."""
    server = ServerProcess(folder, graph_url, settings or {}, open_files=open_files, is_forked=is_forked)
    await server.start()
    try:
        yield server
    finally:
        await server.kill()


class SandboxProcess:
    """A sandbox process and its control API."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.graph_url = f"http://127.0.0.1:{port}/v25.0"
        self.control = SandboxControl(self.graph_url)


@asynccontextmanager
async def running_sandbox_process(*options: str, **environment: str) -> AsyncIterator[SandboxProcess]:
    """Run a sandbox, and kill it at the end."""
    port = free_port()
    command = ("sandbox", f"--port={port}", *options)
    process = await start_program("redrive-server", *command, environment={**os.environ, **environment})
    try:
        await listening(port, process)
        sandbox = SandboxProcess(port)
        async with sandbox.control:
            yield sandbox
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def running_webhooks_process(
    port: int, server: str, log: Path, environment: Mapping[str, str], *, is_forked: bool = True
) -> AsyncIterator[Program]:
    """Run a webhook endpoint that reports to a server and logs to a file; kill it at the end."""
    with log.open("ab") as output:
        process = await start_program(
            *("redrive-server", "webhooks", f"--listen=127.0.0.1:{port}", f"--server={server}"),
            environment={**os.environ, **environment},
            stdout=output,
            stderr=output,
            is_forked=is_forked,
        )
    try:
        await listening(port, process)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def client_of(server: ServerProcess) -> AsyncIterator[Client]:
    """Yield a connected client."""
    async with Client(server.address) as client:
        yield client
