"""Fixtures: a sandbox, and a service process that sends to it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.sandbox.control import SandboxControl
from server.sandbox.runner import Sandbox, running_sandbox
from tests.server.sending.service_process import ServiceProcess, open_service


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running_sandbox() as running:
        yield running


@pytest.fixture
def control(sandbox: Sandbox) -> SandboxControl:
    return sandbox.control


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "redrive.db"


@pytest.fixture(autouse=True)
def _frequent_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.background.reconciler.RECONCILE_SECONDS", 0.2)
    monkeypatch.setattr("server.sending.dispatcher.POLL_SECONDS", 0.2)


@pytest.fixture
async def idle(database: Path, sandbox: Sandbox) -> AsyncIterator[ServiceProcess]:
    """Yield a process with a registered page that is not started."""
    async with open_service(database, sandbox) as service:
        await service.put_page()
        yield service


@pytest.fixture
async def service(idle: ServiceProcess) -> ServiceProcess:
    """Return a started process."""
    await idle.start()
    return idle
