"""A sandbox, and a process that sends to it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.sandbox.control import SandboxControl
from server.sandbox.runner import Sandbox, running_sandbox
from tests.server.sending.works import Works, open_works


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
    monkeypatch.setattr("server.background.reconciler.SWEEP_SECONDS", 0.2)
    monkeypatch.setattr("server.sending.dispatcher.POLL_SECONDS", 0.2)


@pytest.fixture
async def idle(database: Path, sandbox: Sandbox) -> AsyncIterator[Works]:
    """A process that has a page, and sends nothing before it is started."""
    async with open_works(database, sandbox) as works:
        await works.put_page()
        yield works


@pytest.fixture
async def works(idle: Works) -> Works:
    """A process at work."""
    await idle.start()
    return idle
