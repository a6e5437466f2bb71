"""Starts the sandbox and the server of the demo."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from demo.process import redrive_server

_HOST = "127.0.0.1"
_POLL_SECONDS = 0.05


@asynccontextmanager
async def running_sandbox(folder: Path) -> AsyncIterator[str]:
    """Run the sandbox on a free port; yield the value for REDRIVE_GRAPH_URL."""
    port = _free_port()
    sandbox = redrive_server(
        "sandbox", f"--port={port}", environment={}, log=folder / "sandbox.log", ready=_listening(port)
    )
    async with sandbox:
        yield f"http://{_HOST}:{port}/v25.0"


@asynccontextmanager
async def running_server(folder: Path, graph_url: str) -> AsyncIterator[str]:
    """Run the server on a free port with its database in the folder; yield its address."""
    address = f"{_HOST}:{_free_port()}"
    environment = {
        "REDRIVE_LISTEN": address,
        "REDRIVE_DATABASE_URL": f"sqlite:///{folder / 'demo.db'}",
        "REDRIVE_GRAPH_URL": graph_url,
    }
    async with redrive_server(environment=environment, log=folder / "server.log", ready=_serving(address)):
        yield address


async def _listening(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection(_HOST, port)
        except ConnectionRefusedError:
            await asyncio.sleep(_POLL_SECONDS)
        else:
            writer.close()
            return


async def _serving(address: str) -> None:
    async with grpc.aio.insecure_channel(address) as channel:
        async for answer in HealthStub(channel).Watch(HealthCheckRequest(), wait_for_ready=True):
            if answer.status == HealthCheckResponse.SERVING:
                return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])
