"""Watching a message in two tabs, and through a restart of the server."""

import os
import signal
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from redrive.v1.content_pb2 import Content
from redrive.v1.delivery_service_pb2 import SendRequest
from server.bootstrap import key_file
from server.commands.lookup import require_message
from server.crypto.key_ring import load_or_create_key
from server.progress.progress import Progress
from server.settings import Settings
from tests.builders import FAILED, NOW, OWNER
from tests.dashboard.stage import Stage, Visit, people, running_dashboard, visiting
from tests.keyed_ids import message_id_for
from tests.server.api.edge import running_edge
from tests.server.api.requests import send_request
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_two_tabs_show_the_same_progress_from_one_watch_that_ends_with_the_last(
    browser: Browser, tmp_path: Path
) -> None:
    async with running_edge(tmp_path) as edge, running_dashboard(edge.address, tmp_path / "dashboard.log") as url:
        message_id = (await edge.delivery.Send(send_request("ann", "bob", "cid"))).message.id
        await edge.deliver(message_id, {"ann": FAILED})
        row = await edge.log.read(lambda sql: require_message(sql, OWNER, message_id))
        edge.hub.shown = [_progress(row, per_second=12.0), _progress(row, per_second=34.0)]
        edge.hub.waits = True

        async with visiting(browser, url) as visit:
            first, second = visit.page, await visit.tab()
            for tab in (first, second):
                await tab.goto(f"{url}/messages/{message_id}")
                await expect(tab.locator(".pace")).to_contain_text("34 per second")
                await expect(tab.get_by_role("progressbar")).to_have_attribute(
                    "aria-valuetext", "2 of 3 sent, 1 failed"
                )
            assert edge.hub.watched == [(OWNER, message_id)]
            await first.close()
            assert not edge.hub.left.is_set()
        await eventually(lambda: _is_set(edge.hub.left.is_set()))
        assert len(edge.hub.watched) == 1


async def test_restart_during_a_watch_shows_a_banner_and_needs_no_reload(stage: Stage, visit: Visit) -> None:
    await stage.put_page("restart", rate=40)
    message = await stage.send("restart", "Through a restart", people(160, "restart"))
    page = visit.page
    await visit.open(f"/messages/{message.id}")
    await page.evaluate("window.isSamePage = true")
    banner = page.get_by_text("The server does not answer.")
    await expect(banner).to_be_hidden()

    await stage.server.kill()
    await expect(banner).to_be_visible(timeout=15_000)
    assert await visit.accessibility_faults() == []
    await stage.server.start()

    await expect(banner).to_be_hidden(timeout=15_000)
    await expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "160", timeout=20_000)
    assert await page.evaluate("window.isSamePage")


async def test_error_disappears_when_its_read_succeeds(stage: Stage, visit: Visit) -> None:
    await stage.put_page("soon")
    page, request_id = visit.page, str(uuid.uuid4())
    key = load_or_create_key(key_file(Settings(database_url=f"sqlite:///{stage.server.database}")))
    await visit.open(f"/messages/{message_id_for('local', request_id, key)}")
    await expect(page.get_by_role("alert")).to_contain_text("There is no such message.")

    content = Content(text="Hello")
    request = SendRequest(request_id=request_id, page_id="soon", content=content, recipients=people(2, "soon"))
    await stage.client.send(request)

    await expect(page.get_by_role("heading", name="Untitled message")).to_be_visible()
    await expect(page.get_by_role("alert")).to_be_hidden()


async def test_silent_server_does_not_block_the_page(stage: Stage, visit: Visit) -> None:
    await stage.put_page("mute")
    message = await stage.sent("mute", "Through a silence", people(3, "mute"))
    page = visit.page
    await visit.open("/")

    os.kill(stage.server.pid, signal.SIGSTOP)
    try:
        await page.goto(f"{visit.url}/messages/{message.id}", timeout=8_000)
        await expect(page.get_by_text("The server does not answer.")).to_be_visible(timeout=15_000)
    finally:
        os.kill(stage.server.pid, signal.SIGCONT)

    await expect(page.get_by_role("heading", name="Through a silence")).to_be_visible(timeout=15_000)
    await expect(page.get_by_text("The server does not answer.")).to_be_hidden()


def _progress(row: object, *, per_second: float) -> Progress:
    return Progress(
        sequence=int(per_second),
        time=NOW,
        message=row,  # type: ignore[arg-type]
        error_types={},
        messages_per_second=per_second,
        eta=timedelta(seconds=30),
    )


async def _is_set(is_set: bool) -> bool:
    return is_set
