"""One stage and one browser for all tests of the dashboard; each test has its own pages, messages and window."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.dashboard.stage import Stage, Visit, running_browser, running_dashboard, visiting
from tests.e2e.processes import client_of, running_sandbox_process, running_server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with running_browser() as browser:
        yield browser


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stage(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("dashboard")
    async with (
        running_sandbox_process() as sandbox,
        running_server(folder, sandbox.graph_url) as server,
        client_of(server) as client,
        running_dashboard(server.address, folder / "dashboard.log") as url,
    ):
        yield Stage(sandbox, server, client, url)
        assert "Traceback" not in (folder / "dashboard.log").read_text()


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser: Browser, stage: Stage) -> AsyncIterator[Visit]:
    async with visiting(browser, stage.url) as visit:
        yield visit
