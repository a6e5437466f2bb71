"""A server and a client for each test, and one sandbox that each test finds empty, all of them real processes."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from redrive import Client
from tests.e2e.processes import (
    SandboxProcess,
    ServerProcess,
    client_of,
    running_sandbox_process,
    running_server,
)

KEY = base64.b64encode(bytes(range(32))).decode()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def sandbox_port() -> AsyncIterator[int]:
    async with running_sandbox_process() as sandbox:
        yield sandbox.port


@pytest.fixture
async def sandbox(sandbox_port: int) -> AsyncIterator[SandboxProcess]:
    """The sandbox of all tests; the servers of earlier tests are dead when it is reset."""
    sandbox = SandboxProcess(sandbox_port)
    async with sandbox.control:
        await sandbox.control.reset()
        yield sandbox


@pytest.fixture
async def server(tmp_path: Path, sandbox: SandboxProcess) -> AsyncIterator[ServerProcess]:
    async with running_server(tmp_path, sandbox.graph_url) as server:
        yield server


@pytest.fixture
async def two(
    tmp_path: Path, sandbox: SandboxProcess, postgres_url: str
) -> AsyncIterator[tuple[ServerProcess, ServerProcess]]:
    """Two servers, started at the same moment on an empty database."""
    settings = {"REDRIVE_DATABASE_URL": postgres_url, "REDRIVE_SECRET_KEY": KEY}
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    async with AsyncExitStack() as stack:
        starting = [
            stack.enter_async_context(running_server(folder, sandbox.graph_url, settings)) for folder in folders
        ]
        one, other = await asyncio.gather(*starting)
        yield one, other


@pytest.fixture
async def client(server: ServerProcess) -> AsyncIterator[Client]:
    async with client_of(server) as client:
        yield client
