"""The environment of the tests: the platform's stand-in, the server, the dashboard, and a browser."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, BrowserContext, Page, Request, ViewportSize, async_playwright

from redrive import Client
from redrive.v1.content_pb2 import Content, Recipient
from redrive.v1.delivery_service_pb2 import SendRequest, StopPolicy
from redrive.v1.message_pb2 import Message
from redrive.v1.page_pb2 import SendMode
from redrive.v1.page_service_pb2 import PutPageRequest
from tests.e2e.processes import SandboxProcess, ServerProcess, free_port, listening

AXE = Path(__file__).with_name("axe") / "axe.min.js"
_REDRIVE = Path(sys.executable).with_name("redrive")
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_SCREENSHOTS = os.environ.get("SCREENSHOTS")  # a folder whose pictures are taken again
WINDOW = ViewportSize(width=1280, height=860)
PHONE = ViewportSize(width=360, height=780)


@dataclass
class Stage:
    """The running processes, on their own ports."""

    sandbox: SandboxProcess
    server: ServerProcess
    client: Client
    url: str

    async def put_page(self, page_id: str, *, rate: float = 5_000, mode: str = "SINGLE", token: str = "") -> None:
        """Register a page for one test."""
        await self.client.put_page(
            PutPageRequest(
                page_id=page_id,
                name=f"Page {page_id}",
                access_token=token or f"token-of-{page_id}",
                messages_per_second=rate,
                send_mode=SendMode.Value(f"SEND_MODE_{mode}"),
            )
        )

    async def send(self, page_id: str, title: str, people: Sequence[Recipient]) -> Message:
        """Send a message; return once it is accepted."""
        content = Content(text="Hello {{name}}")
        never_stops = StopPolicy(min_attempts=2**31 - 1)
        request = SendRequest(page_id=page_id, title=title, content=content, recipients=people, stop_policy=never_stops)
        return (await self.client.send(request)).message

    async def sent(self, page_id: str, title: str, people: Sequence[Recipient]) -> Message:
        """Send a message; return once it is done."""
        message = await self.send(page_id, title, people)
        async for _ in self.client.watch_progress(message.id):
            pass
        return await self.client.get_message(message.id)


def people(count: int, prefix: str) -> list[Recipient]:
    """Return `count` recipients whose ids begin with the prefix."""
    return [Recipient(id=f"{prefix}-{number:05}", name=f"Person {number}") for number in range(count)]


@dataclass
class Visit:
    """A browser window, with its requests and console errors."""

    context: BrowserContext
    page: Page
    url: str
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    async def open(self, path: str) -> None:
        """Open a path, and wait until the page is interactive."""
        await self.page.goto(self.url + path)
        await self.page.wait_for_function("window.did_handshake === true")

    async def tab(self) -> Page:
        """Open another tab of the same browser."""
        return self._recorded(await self.context.new_page())

    async def picture(self, name: str) -> None:
        """Take a picture for the documentation, if it has one of this name and SCREENSHOTS is set."""
        picture = Path(_SCREENSHOTS or "") / f"{name}.png"
        if _SCREENSHOTS and picture.exists():
            await self.page.screenshot(path=picture)

    async def accessibility_faults(self, *rules: str) -> list[str]:
        """Return what axe-core finds by these rules, or by all of its rules; one line each."""
        if not await self.page.evaluate("'axe' in window"):
            await self.page.evaluate(AXE.read_text(encoding="utf-8"))
        options = {"resultTypes": ["violations"], **({"runOnly": rules} if rules else {})}
        found = await self.page.evaluate("(options) => axe.run(options).then((found) => found.violations)", options)
        return [f"{fault['id']}: {fault['help']}: {[node['html'][:200] for node in fault['nodes']]}" for fault in found]

    @property
    def outside(self) -> list[str]:
        """The requests to other hosts than the dashboard."""
        own = urlsplit(self.url).netloc
        return [
            url for url in self.requests if urlsplit(url).netloc != own and urlsplit(url).scheme not in ("data", "blob")
        ]

    def _recorded(self, page: Page) -> Page:
        def note(request: Request) -> None:
            self.requests.append(request.url)

        page.on("request", note)
        page.on("websocket", lambda socket: self.requests.append(socket.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        return page


@asynccontextmanager
async def visiting(browser: Browser, url: str, *, time_zone: str = "Asia/Ho_Chi_Minh") -> AsyncIterator[Visit]:
    """Open a window; at the end, check that it sent no request to other hosts and logged no error."""
    context = await browser.new_context(viewport=WINDOW, color_scheme="light", timezone_id=time_zone, locale="en-GB")
    context.set_default_timeout(10_000)
    page = await context.new_page()
    visit = Visit(context, page, url)
    visit._recorded(page)
    try:
        yield visit
    finally:
        await context.close()
    assert visit.outside == []
    assert visit.complaints == []


@asynccontextmanager
async def running_dashboard(server: str, log: Path, *options: str) -> AsyncIterator[str]:
    """Run `redrive dashboard` on a free port; yield its URL."""
    port = free_port()
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            _REDRIVE, "dashboard", f"--server={server}", f"--port={port}", *options, stdout=output, stderr=output
        )
    try:
        await listening(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def running_browser() -> AsyncIterator[Browser]:
    """Run a headless Chromium. Without one the tests are skipped, or fail if REQUIRE_BROWSER is set."""
    program = next((path for name in _BROWSERS if (path := shutil.which(name))), None)
    if program is None:
        words = "no Chromium is installed: the dashboard is not tested (Debian: apt-get install chromium)"
        if os.environ.get("REQUIRE_BROWSER"):
            pytest.fail(words)
        pytest.skip(words)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            await browser.close()
