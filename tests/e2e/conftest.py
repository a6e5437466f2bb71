"""A sandbox, a server and a client for each test, all of them real."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from redrive import Client
from tests.e2e.processes import (
    SandboxProcess,
    ServerProcess,
    client_of,
    running_sandbox_process,
    running_server,
)


@pytest.fixture
async def sandbox() -> AsyncIterator[SandboxProcess]:
    async with running_sandbox_process() as sandbox:
        yield sandbox


@pytest.fixture
async def server(tmp_path: Path, sandbox: SandboxProcess) -> AsyncIterator[ServerProcess]:
    async with running_server(tmp_path, sandbox.graph_url) as server:
        yield server


@pytest.fixture
async def client(server: ServerProcess) -> AsyncIterator[Client]:
    async with client_of(server) as client:
        yield client
