"""The timeline of a message, in a real browser, against the real server."""

import re

import pytest
from playwright.async_api import expect

from redrive.v1.delivery_service_pb2 import ResendRequest
from redrive.v1.message_pb2 import MessageStatus
from tests.dashboard.stage import Stage, Visit, people
from tests.waiting import eventually

_SOON = 20_000  # milliseconds: the reads of a page alternate

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def _is_over(stage: Stage, message_id: str) -> None:
    await eventually(
        lambda: stage.client.get_message(message_id),
        lambda seen: seen.status == MessageStatus.MESSAGE_STATUS_PARTIALLY_SENT,
    )


async def test_timeline_shows_hold_new_token_and_resend(stage: Stage, visit: Visit) -> None:
    await stage.put_page("story", rate=20, token="old-token-of-story")
    await stage.sandbox.control.token("old-token-of-story", "expire")
    message = await stage.send("story", "A long story", people(30, "story"))
    lines = visit.page.locator("ol.timeline li")
    await visit.open(f"/messages/{message.id}")
    accepted_and_held = [
        "The page was put on hold: Error validating access token: Session has expired.",
        "Accepted from local: 30 recipients in 1 batch",
    ]
    await expect(lines.locator("p")).to_have_text(accepted_and_held, timeout=_SOON)

    await stage.put_page("story", rate=20, token="new-token-of-story")
    await _is_over(stage, message.id)
    await stage.client.resend(ResendRequest(message_id=message.id))

    await expect(lines.locator("p")).to_have_text(
        [
            "Done: no delivery is open",
            re.compile(r"^Round 1 \(MANUAL\) by local: \d+ recipients? in 1 batch from number 2$"),
            "Done: no delivery is open",
            "The page goes on with its new token",
            "The page's token was replaced by local",
            *accepted_and_held,
        ],
        timeout=_SOON,
    )
    times = await lines.locator("red-time").evaluate_all("all => all.map(one => one.getAttribute('datetime'))")
    assert len(times) == 7
    assert times == sorted(times, reverse=True)
    for time in await lines.locator("red-time").all():
        await expect(time).to_have_attribute("title", re.compile("Indochina Time$"))


async def test_timeline_shows_an_earlier_hold_and_its_release(stage: Stage, visit: Visit) -> None:
    await stage.put_page("waits")
    await stage.client.hold_page("waits", reason="a wrong link")
    message = await stage.send("waits", "Waits for a page", people(2, "waits"))
    words = visit.page.locator("ol.timeline li p")

    await visit.open(f"/messages/{message.id}")
    accepted = "Accepted from local: 2 recipients in 1 batch"
    await expect(words).to_have_text([accepted, "The page was already on hold: a wrong link"])
    await stage.client.release_page("waits")

    released = ["Done: no delivery is open", "The page was released by local", accepted]
    await expect(words).to_have_text(released, timeout=_SOON)
