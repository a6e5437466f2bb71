"""The pages with keyboard, phone, dark mode and time zones."""

import re

import pytest
from playwright.async_api import expect

from redrive.v1.message_pb2 import Message, MessageStatus
from tests.dashboard.appearance import check_appearance
from tests.dashboard.stage import Stage, Visit, people
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def _message(stage: Stage) -> Message:
    """Return a message with failures of four kinds, which several tests share."""
    listing = stage.client.list_messages(page_id="look")
    async for known in listing:
        if known.title == "The shop opens again":
            return known
    everyone = people(240, "look")
    names = [one.id for one in everyone]
    await stage.put_page("look")
    await stage.sandbox.control.order(
        {"preset": "unknown_recipient", "recipients": names[:9], "page": "look"},
        {"preset": "outside_window", "recipients": names[9:14], "page": "look"},
        {"preset": "temporary", "recipients": names[14:26], "page": "look"},
        {"preset": "garbage", "recipients": names[26:28], "page": "look"},
    )
    return await stage.sent("look", "The shop opens again", everyone)


async def test_each_page_is_accessible_in_the_light_in_the_dark_and_on_a_phone(stage: Stage, visit: Visit) -> None:
    message = await _message(stage)
    for name, path in _pages(message):
        await visit.open(path)
        await expect(visit.page.get_by_role("heading", level=1)).to_be_visible()
        await check_appearance(visit, name)


async def test_accessibility_check_detects_low_contrast(visit: Visit) -> None:
    await visit.open("/")

    await visit.page.evaluate("document.querySelector('h1').style.color = '#dddddd'")

    assert [fault.partition(":")[0] for fault in await visit.accessibility_faults("color-contrast")] == [
        "color-contrast"
    ]
    assert "color-contrast" in " ".join(await visit.accessibility_faults())


def _pages(message: Message) -> list[tuple[str, str]]:
    return [("history", "/"), ("message", f"/messages/{message.id}"), ("failed", f"/messages/{message.id}/failed")]


async def test_the_history_is_searched_filtered_and_sorted(stage: Stage, visit: Visit) -> None:
    await stage.put_page("find")
    await stage.sent("find", "Alpha goes out", people(2, "find-a"))
    await stage.sandbox.control.order({"preset": "unknown_recipient", "page": "find"})
    await stage.sent("find", "Beta fails", people(3, "find-b"))
    page = visit.page
    titles = page.locator("tbody tr:visible td a")

    await visit.open("/")
    await page.get_by_label("Page", exact=True).select_option("find")
    await expect(titles).to_have_text(["Beta fails", "Alpha goes out"])
    await page.get_by_label("Order").select_option("title")
    await expect(titles).to_have_text(["Alpha goes out", "Beta fails"])
    await page.get_by_label("With failures").check()
    await expect(titles).to_have_text(["Beta fails"])
    await page.get_by_label("With failures").uncheck()
    await page.get_by_label("Search").fill("alpha")
    await expect(titles).to_have_text(["Alpha goes out"])
    await page.get_by_label("Status").select_option(label="Failed")
    await expect(page.get_by_text("No message matches.")).to_be_visible()
    assert "alpha" not in page.url


async def test_new_message_and_progress_appear_without_a_reload(stage: Stage, visit: Visit) -> None:
    await stage.put_page("live")
    await visit.open("/")

    message = await stage.send("live", "Seen without a reload", people(5, "live"))

    row = visit.page.get_by_role("row").filter(has_text="Seen without a reload")
    await expect(row.get_by_text("Sent", exact=True)).to_be_visible(timeout=15_000)
    assert await row.get_by_role("link").get_attribute("href") == f"/messages/{message.id}"


async def test_message_is_paused_resumed_and_cancelled_after_confirmation(stage: Stage, visit: Visit) -> None:
    await stage.put_page("stop", rate=1)
    message = await stage.send("stop", "Stop and go", people(50, "stop"))
    page = visit.page
    await visit.open(f"/messages/{message.id}")

    await page.get_by_role("button", name="Pause").click()
    await page.get_by_role("dialog").get_by_role("button", name="Pause").click()
    await expect(page.get_by_role("button", name="Resume")).to_be_visible()
    assert (await stage.client.get_message(message.id)).status == MessageStatus.MESSAGE_STATUS_PAUSED
    await page.get_by_role("button", name="Resume").click()
    await page.get_by_role("button", name="Cancel").click()
    await expect(page.get_by_role("dialog")).to_contain_text("will not get it")
    await page.keyboard.press("Escape")
    assert (await stage.client.get_message(message.id)).status == MessageStatus.MESSAGE_STATUS_SENDING
    await page.get_by_role("button", name="Cancel").click()
    await page.get_by_role("button", name="Cancel the message").click()

    await eventually(
        lambda: stage.client.get_message(message.id),
        lambda seen: seen.status == MessageStatus.MESSAGE_STATUS_CANCELLED,
    )
    await expect(page.get_by_role("list").get_by_text("Cancelled")).to_be_visible()


async def test_times_are_in_the_viewers_zone_and_the_theme_can_be_switched(stage: Stage, visit: Visit) -> None:
    message = await _message(stage)
    page = visit.page
    await visit.open(f"/messages/{message.id}/failed")
    time = page.locator("tbody tr red-time").first
    stated, shown = await time.get_attribute("datetime"), await time.inner_text()

    assert await page.evaluate("text => new Date(text).toLocaleTimeString('en-GB')", stated) == shown
    await expect(time).to_have_attribute("title", re.compile("Indochina Time$"))
    await page.get_by_role("button", name="Theme: system").click()
    await page.get_by_role("button", name="Theme: light").click()
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")


async def test_keyboard_reaches_the_content_and_the_filters(stage: Stage, visit: Visit) -> None:
    message = await _message(stage)
    page = visit.page
    await visit.open(f"/messages/{message.id}/failed")

    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Back to the message")).to_be_focused()
    chip = page.get_by_role("button", name="Network")
    await chip.focus()
    await page.keyboard.press("Space")
    await expect(chip).to_have_attribute("aria-pressed", "true")
    await expect(page.get_by_role("button", name="Retry 1 type (14)")).to_be_visible()
    await expect(chip).to_be_focused()


async def test_missing_message_shows_an_error(visit: Visit) -> None:
    await visit.open("/messages/unknown-message")

    await expect(visit.page.get_by_role("alert").filter(has_text="There is no such message.")).to_be_visible()
    await expect(
        visit.page.get_by_role("alert").filter(has_text="history lists the messages that you may see")
    ).to_be_visible()
