"""The page Pages, in a real browser: hold, release, token, rate, sharing, registration."""

import pytest
from playwright.async_api import expect

from redrive.v1.page_pb2 import Page, SendMode
from redrive.v1.page_service_pb2 import PutPageRequest
from tests.dashboard.appearance import check_appearance
from tests.dashboard.stage import Stage, Visit, people
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def _page(stage: Stage, page_id: str) -> Page:
    (found,) = [page async for page in stage.client.list_pages() if page.id == page_id]
    return found


async def test_a_page_is_held_with_a_reason_and_released(stage: Stage, visit: Visit) -> None:
    await stage.put_page("stop")
    card = visit.page.get_by_role("region", name="Page stop")

    await visit.open("/pages")
    await card.get_by_role("button", name="Hold").click()
    await visit.page.get_by_label("Reason").fill("The text is wrong")
    await visit.page.keyboard.press("Enter")
    await expect(card.get_by_text("The text is wrong")).to_be_visible()
    assert (await _page(stage, "stop")).hold.reason == "The text is wrong"
    message = await stage.send("stop", "Waits", people(2, "stop"))
    assert (await stage.client.get_message(message.id)).counts.pending == 2

    await card.get_by_role("button", name="Release").click()
    await visit.page.get_by_role("button", name="Release the page").click()
    await expect(card.get_by_text("Active", exact=True)).to_be_visible()
    await eventually(lambda: stage.client.get_message(message.id), lambda seen: seen.counts.sent == 2)


async def test_pause_shows_reason_and_end_and_a_release_ends_it(stage: Stage, visit: Visit) -> None:
    await stage.put_page("tired", rate=20)
    usage = '{"tired":[{"type":"messenger","call_count":99,"estimated_time_to_regain_access":30}]}'
    effect = {"kind": "headers", "headers": {"X-Business-Use-Case-Usage": usage}}
    [fault] = await stage.sandbox.control.order({"effect": effect, "page": "tired"})
    message = await stage.send("tired", "Waits for the platform", people(40, "tired"))
    await eventually(lambda: _page(stage, "tired"), lambda page: page.HasField("pause"))
    await stage.sandbox.control.remove_fault(fault.id)
    reason, card = "messenger of tired: access again in 30 minutes", visit.page.get_by_role("region", name="Page tired")

    await visit.open(f"/messages/{message.id}")
    await expect(visit.page.get_by_text("Paused until")).to_be_visible()
    await expect(visit.page.get_by_text(reason)).to_be_visible()
    await visit.open("/pages")
    await expect(card.get_by_text(reason)).to_be_visible()
    await expect(card.get_by_text("Paused", exact=True)).to_be_visible()
    assert await visit.accessibility_faults() == []

    await card.get_by_role("button", name="Release").click()
    await visit.page.get_by_role("button", name="Release the page").click()
    await expect(card.get_by_text("Active", exact=True)).to_be_visible()
    await eventually(lambda: stage.client.get_message(message.id), lambda seen: seen.counts.sent == 40)


async def test_a_dead_token_is_replaced_where_its_hold_is_shown(stage: Stage, visit: Visit) -> None:
    await stage.put_page("dead", token="dead-token")
    await stage.sandbox.control.token("dead-token", "expire")
    message = await stage.send("dead", "Waits for a token", people(3, "dead"))
    await eventually(lambda: _page(stage, "dead"), lambda page: page.HasField("hold"))
    page, card = visit.page, visit.page.get_by_role("region", name="Page dead")

    await visit.open("/pages")
    await expect(card.get_by_text("Token expired, error 190.")).to_be_visible()
    await card.get_by_role("button", name="Replace the token").click()
    await page.get_by_label("Page token").fill("dead-token")
    await page.get_by_role("button", name="Replace the token").last.click()
    await expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("Create a new page token")
    assert await visit.accessibility_faults() == []
    await page.get_by_label("Page token").fill("new-token")
    await page.get_by_role("button", name="Replace the token").last.click()
    await expect(card.get_by_text("Active", exact=True)).to_be_visible()
    await expect(card.get_by_text("Number 2")).to_be_visible()
    assert "new-token" not in await page.content()
    assert await page.locator("input[type=password]").count() == 0
    assert (await stage.client.get_message(message.id)).counts.total == 3


async def test_rate_changes_without_the_token_and_a_page_is_registered(stage: Stage, visit: Visit) -> None:
    await stage.put_page("fast", rate=5)
    page, card = visit.page, visit.page.get_by_role("region", name="Page fast")

    await visit.open("/pages")
    await card.get_by_role("button", name="Change the rate").click()
    await page.get_by_label("Messages per second").fill("much")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("The rate is not a number.")
    await page.get_by_label("Messages per second").fill("40")
    await page.get_by_role("combobox", name="Send mode").select_option(str(SendMode.SEND_MODE_BATCH))
    await page.keyboard.press("Tab")
    await page.get_by_role("dialog").get_by_role("button", name="Change the rate").click()
    await expect(card.get_by_text("40 per second")).to_be_visible()
    changed = await _page(stage, "fast")
    assert (changed.send_mode, changed.token_generation) == (SendMode.SEND_MODE_BATCH, 1)

    await page.get_by_role("button", name="Register a page").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Page id").fill("a page")
    await dialog.get_by_label("Name (for display)").fill("The new shop")
    await dialog.get_by_label("Page token").fill("token-of-new")
    await dialog.get_by_role("button", name="Register").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("page_id: may hold only letters")
    await dialog.get_by_label("Page id").fill("new")
    await dialog.get_by_role("button", name="Register").click()
    await expect(page.get_by_role("region", name="The new shop")).to_be_visible()
    assert (await _page(stage, "new")).messages_per_second == 10


async def test_a_page_is_shared_by_name_and_given_to_another_owner(stage: Stage, visit: Visit) -> None:
    await stage.put_page("lent")
    page, card = visit.page, visit.page.get_by_role("region", name="Page lent")

    await visit.open("/pages")
    await expect(card.get_by_text("Every caller, for sending")).to_be_visible()
    await card.get_by_role("button", name="Share").click()
    await page.get_by_label("Shared with").fill("shop " + "a" * 129)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("shared_with[0]")
    assert await visit.accessibility_faults() == []
    await page.get_by_label("Shared with").fill("shop  crm")
    await page.keyboard.press("Enter")
    await expect(card.get_by_text("crm, shop")).to_be_visible()

    await card.get_by_role("button", name="Share").click()
    await page.get_by_label("Owner").fill("crm")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog")).to_be_hidden()
    await expect(card).to_be_hidden()
    assert [found async for found in stage.client.list_pages() if found.id == "lent"] == []


async def test_the_pages_are_accessible_in_the_light_in_the_dark_and_on_a_phone(stage: Stage, visit: Visit) -> None:
    for page_id, name in (("a-club", "The club"), ("a-paper", "The paper"), ("a-shop", "The shop")):
        request = PutPageRequest(page_id=page_id, name=name, access_token=f"token-of-{page_id}")
        await stage.client.put_page(request)
    await stage.client.hold_page("a-paper", "Until the new text is ready")
    await visit.open("/pages")
    await expect(visit.page.get_by_text("Until the new text is ready")).to_be_visible()
    await check_appearance(visit, "pages")
