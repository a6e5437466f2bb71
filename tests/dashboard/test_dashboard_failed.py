"""The page View failed & retry, in a real browser, against the real server."""

import csv
import io

import pytest
from playwright.async_api import expect

from redrive.v1.resend_pb2 import ResendRequest
from tests.dashboard.stage import Stage, Visit, people
from tests.waiting import eventually

_SLOW_DOWN = {"kind": "error", "code": 613, "subcode": 2018338}  # an error of one recipient

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_history_leads_to_failures_and_a_resend_that_sends_once(stage: Stage, visit: Visit) -> None:
    everyone = people(40, "way")
    await stage.put_page("way")
    await stage.sandbox.control.order(
        {"effect": _SLOW_DOWN, "recipients": [one.id for one in everyone[:3]], "page": "way", "times": 1},
        {"preset": "unknown_recipient", "recipients": [one.id for one in everyone[10:15]], "page": "way"},
    )
    message = await stage.sent("way", "From history to done", everyone)
    assert message.counts.failed == 8
    page = visit.page

    await visit.open("/")
    await page.get_by_role("link", name="From history to done").click()
    await page.get_by_role("link", name="View failed & retry (8)").click()
    await expect(page.get_by_role("button", name="Retry all (3)")).to_be_enabled()
    await page.get_by_role("button", name="Rate limit").click()
    await expect(page.locator("tbody tr:visible")).to_have_count(3)
    await page.get_by_role("button", name="Retry 1 type (3)").click()
    await expect(page.get_by_role("dialog")).to_contain_text("3 recipients get the message again, in 1 batch.")
    await page.get_by_role("button", name="Resend to 3").dblclick()

    await expect(page.get_by_text("Resending to 3 recipients, in 1 batch.")).to_be_visible()
    await eventually(lambda: _counts(stage, message.id), lambda counts: counts == (35, 5))
    await expect(page.get_by_text("5 failed and 0 unconfirmed of 40")).to_be_visible()
    assert [batch.number async for batch in stage.client.list_batches(message.id)] == [1, 2]
    assert (await stage.sandbox.control.summary()).repeat_count == 0


async def test_expired_token_is_replaced_before_the_resend(stage: Stage, visit: Visit) -> None:
    everyone = people(30, "tok")
    await stage.put_page("tok", token="old-token")
    await stage.sandbox.control.order(
        {"preset": "expired_token", "token": "old-token", "recipients": [one.id for one in everyone[-5:]]}
    )
    message = await stage.sent("tok", "The token expires", everyone)
    assert message.counts.failed == 5
    page = visit.page

    await visit.open(f"/messages/{message.id}/failed")
    await page.get_by_role("button", name="Replace the token, then resend these 5").click()
    await page.get_by_label("New page token").fill("left behind")
    await page.keyboard.press("Escape")
    await expect(page.locator("input[type=password]")).to_have_value("")
    await page.get_by_role("button", name="Replace the token, then resend these 5").click()
    await page.get_by_label("New page token").fill("two words")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("Correct this")
    await page.get_by_label("New page token").fill("new-token")
    await page.get_by_role("button", name="Replace the token", exact=True).click()
    await page.get_by_role("button", name="Resend to 5").click()

    await expect(page.get_by_text("No failed recipients.")).to_be_visible()
    await eventually(lambda: _counts(stage, message.id), lambda counts: counts == (30, 0))


async def test_recipients_are_selected_one_by_one_by_page_or_all(stage: Stage, visit: Visit) -> None:
    everyone = people(60, "tick")
    await stage.put_page("tick")
    await stage.sandbox.control.order({"preset": "unknown_recipient", "page": "tick"})
    message = await stage.sent("tick", "All unknown", everyone)
    page = visit.page

    await visit.open(f"/messages/{message.id}/failed")
    await expect(page.get_by_role("button", name="Retry all (0)")).to_be_disabled()
    await expect(page.locator("tbody tr:visible")).to_have_count(50)
    await page.get_by_label("tick-00001").check()
    await page.get_by_label("tick-00002").check()
    await expect(page.get_by_role("button", name="Retry selected (2)")).to_be_enabled()
    await page.get_by_label("All on this page").check()
    await expect(page.get_by_role("button", name="Retry selected (50)")).to_be_enabled()
    await page.get_by_label("tick-00002").uncheck()
    await expect(page.get_by_role("button", name="Retry selected (49)")).to_be_enabled()
    await page.get_by_role("button", name="Select all 60 that match").click()
    await page.get_by_role("button", name="Retry selected (60)").click()
    await expect(page.get_by_role("dialog")).to_contain_text("60 recipients get the message again")
    await page.get_by_role("button", name="Back", exact=True).click()
    await page.get_by_role("button", name="Next").click()
    await expect(page.get_by_text("51 to 60 of 60")).to_be_visible()
    await expect(page.get_by_label("tick-00055")).to_be_checked()


async def test_two_filters_clicked_at_once_both_apply(stage: Stage, visit: Visit) -> None:
    everyone = people(40, "quick")
    await stage.put_page("quick")
    await stage.sandbox.control.order(
        {"preset": "unknown_recipient", "recipients": [one.id for one in everyone[:3]], "page": "quick"},
        {"preset": "temporary", "recipients": [one.id for one in everyone[10:15]], "page": "quick"},
        {"preset": "outside_window", "recipients": [one.id for one in everyone[20:22]], "page": "quick"},
    )
    message = await stage.sent("quick", "Quick fingers", everyone)
    page = visit.page

    await visit.open(f"/messages/{message.id}/failed")
    await expect(page.locator("tbody tr:visible")).to_have_count(10)
    await page.evaluate(_NOTE_ROWS)
    await expect(page.locator("tbody tr:visible")).to_have_count(8)
    await stage.client.resend(ResendRequest(message_id=message.id))  # the list is read repeatedly
    await expect(page.get_by_text("2 of 4")).to_have_count(5)

    assert await page.evaluate("window.rowsSeen") == [8]


_NOTE_ROWS = """() => {
  const shown = () => document.querySelectorAll("tbody tr:not([hidden])").length;
  window.rowsSeen = [];
  new MutationObserver(() => {
    if (window.rowsSeen.length || shown() === 8) window.rowsSeen = [...new Set([...window.rowsSeen, shown()])];
  }).observe(document.querySelector("tbody"), { attributes: true, childList: true, subtree: true });
  for (const name of ["Unknown recipient", "Network"])
    [...document.querySelectorAll("button.chip")].find((chip) => chip.textContent.includes(name)).click();
}"""


async def test_emptied_page_of_the_list_leads_back_to_the_first(stage: Stage, visit: Visit) -> None:
    everyone = people(60, "last")
    await stage.put_page("last")
    await stage.sandbox.control.order({"preset": "temporary", "page": "last", "times": 1})
    message = await stage.sent("last", "The last page", everyone)
    assert message.counts.failed == 60
    page = visit.page

    await visit.open(f"/messages/{message.id}/failed")
    await page.get_by_role("button", name="Next").click()
    await expect(page.get_by_text("51 to 60 of 60")).to_be_visible()
    await stage.client.resend(ResendRequest(message_id=message.id, recipient_ids=[one.id for one in everyone[50:]]))

    await expect(page.get_by_text("1 to 50 of 50")).to_be_visible()
    await expect(page.locator("tbody tr:visible")).to_have_count(50)


async def test_preview_shows_skipped_recipients_and_offers_the_unconfirmed(stage: Stage, visit: Visit) -> None:
    everyone = people(20, "why")
    await stage.put_page("why")
    await stage.sandbox.control.order(
        {"preset": "garbage", "recipients": [one.id for one in everyone[:2]], "page": "why", "times": 1},
        {"preset": "outside_window", "recipients": [one.id for one in everyone[2:5]], "page": "why"},
        {"preset": "temporary", "recipients": [one.id for one in everyone[5:9]], "page": "why", "times": 1},
    )
    message = await stage.sent("why", "Some may have got it", everyone)
    page = visit.page

    await visit.open(f"/messages/{message.id}/failed")
    await expect(page.get_by_text("2 recipients may have the message: the outcome is unknown.")).to_be_visible()
    await page.get_by_role("button", name="Retry all (4)").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("2 unconfirmed")
    await expect(dialog).to_contain_text("3 permanent error")
    await visit.picture("preview")
    await dialog.get_by_text("More options").click()
    await dialog.get_by_label("Canary").fill("2")
    await dialog.get_by_role("checkbox").check()
    await expect(page.get_by_role("button", name="Resend to 6")).to_be_visible()
    await expect(dialog.get_by_label("Canary")).to_have_value("2")  # the typed limit is kept
    assert await visit.accessibility_faults() == []
    await page.keyboard.press("Escape")
    assert await _counts(stage, message.id) == (11, 9)


async def test_the_export_is_a_csv_file_of_the_filtered_failures(stage: Stage, visit: Visit) -> None:
    everyone = people(12, "csv")
    await stage.put_page("csv")
    await stage.sandbox.control.order(
        {"preset": "unknown_recipient", "recipients": [one.id for one in everyone[:3]], "page": "csv"},
        {"preset": "temporary", "recipients": [one.id for one in everyone[3:5]], "page": "csv"},
    )
    message = await stage.sent("csv", "To a file", everyone)

    await visit.open(f"/messages/{message.id}/failed")
    await visit.page.get_by_role("button", name="Unknown recipient").click()
    await expect(visit.page.locator("tbody tr:visible")).to_have_count(3)
    async with visit.page.expect_download() as download:
        await visit.page.get_by_role("link", name="Export as CSV").click()
    file = await download.value
    rows = list(csv.DictReader(io.StringIO((await file.path()).read_text())))

    assert file.suggested_filename == f"failed-{message.id}.csv"
    assert [row["recipient_id"] for row in rows] == [one.id for one in everyone[:3]]


async def _counts(stage: Stage, message_id: str) -> tuple[int, int]:
    counts = (await stage.client.get_message(message_id)).counts
    return counts.sent, counts.failed + counts.unconfirmed
