"""Fixtures with real processes: a server and a client per test, and one sandbox that is reset for each test."""

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
    """Return the shared sandbox after a reset; no server of an earlier test is running."""
    sandbox = SandboxProcess(sandbox_port)
    async with sandbox.control:
        await sandbox.control.reset()
        yield sandbox


@pytest.fixture
async def server(tmp_path: Path, sandbox: SandboxProcess) -> AsyncIterator[ServerProcess]:
    async with running_server(tmp_path, sandbox.graph_url) as server:
        yield server


@pytest.fixture
async def two_servers(
    tmp_path: Path, sandbox: SandboxProcess, postgres_url: str
) -> AsyncIterator[tuple[ServerProcess, ServerProcess]]:
    """Start two_servers servers at the same time on one empty database."""
    settings = {"REDRIVE_DATABASE_URL": postgres_url, "REDRIVE_SECRET_KEY": KEY}
    folders = [tmp_path / name for name in ("one", "two_servers")]
    for folder in folders:
        folder.mkdir()
    async with AsyncExitStack() as stack:
        starting = [
            stack.enter_async_context(running_server(folder, sandbox.graph_url, settings)) for folder in folders
        ]
        first, second = await asyncio.gather(*starting)
        yield first, second


@pytest.fixture
async def client(server: ServerProcess) -> AsyncIterator[Client]:
    async with client_of(server) as client:
        yield client
