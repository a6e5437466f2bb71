"""The page Reports, in a real browser: errors of the sandbox with their percentages."""

import csv
import io

import pytest
from playwright.async_api import expect

from redrive.v1.delivery_service_pb2 import ResendRequest
from redrive.v1.message_pb2 import Message
from tests.dashboard.appearance import check_appearance
from tests.dashboard.stage import Stage, Visit, people

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def _message(stage: Stage) -> Message:
    """Return a message with 100 recipients, 12 unknown and 8 sent by the first retry, which several tests share."""
    async for known in stage.client.list_messages(page_id="rep"):
        return known
    everyone = people(100, "rep")
    names = [one.id for one in everyone]
    await stage.put_page("rep")
    await stage.sandbox.control.order(
        {"preset": "unknown_recipient", "recipients": names[:12], "page": "rep"},
        {"preset": "temporary", "recipients": names[12:20], "page": "rep", "times": 1},
    )
    message = await stage.sent("rep", "The report's own", everyone)
    await stage.client.resend(ResendRequest(message_id=message.id))
    async for _ in stage.client.watch_progress(message.id):
        pass
    return message


async def test_report_shows_errors_with_percentages_and_results_by_attempt(stage: Stage, visit: Visit) -> None:
    message = await _message(stage)
    page = visit.page

    await visit.open("/reports?page=rep")
    short = page.get_by_role("region", name="Summary")
    await expect(short).to_contain_text("Sent at the first attempt80 %80 of 100 recipients")
    await expect(short).to_contain_text("Sent in the end88 %88 of 100 recipients")
    await expect(short).to_contain_text("Successful retries100 %8 of 8 retries")
    errors = page.get_by_role("table", name="Most common errors").locator("tbody tr")
    await expect(errors).to_contain_text(["Unknown recipient", "Network"])
    await expect(errors).to_contain_text(["1260.0 %", "840.0 %"])
    attempts = page.get_by_role("table", name="Results by attempt").locator("tbody tr")
    await expect(attempts).to_have_text(["First attempt1008020080 %", "Retry 18800100 %"])
    messages = page.get_by_role("table", name="Messages").locator("tbody tr")
    await expect(messages).to_contain_text(["12 recipients, all: Unknown recipient"])
    await page.get_by_text("As a table").click()
    await expect(page.get_by_role("table", name="Outcomes by hour").locator("tbody tr").first).to_be_visible()

    await page.get_by_role("combobox", name="Message").select_option(message.id)
    await expect(page.get_by_role("link", name="Export")).to_have_attribute(
        "href", f"/reports/attempts.csv?message={message.id}"
    )
    async with page.expect_download() as saved:
        await page.get_by_role("link", name="Export").click()
    path = await (await saved.value).path()
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    assert len(rows) == 108


async def test_time_range_filters_the_report_in_the_viewers_time_zone(stage: Stage, visit: Visit) -> None:
    message = await _message(stage)
    page = visit.page

    await visit.open(f"/reports?message={message.id}")
    await expect(page.get_by_role("combobox", name="Page", exact=True)).to_have_value("rep")
    await expect(page.get_by_text("80 of 100 recipients")).to_be_visible()
    await page.get_by_role("combobox", name="Time").select_option("between")
    await page.get_by_label("Until").fill("2020-01-01T00:00")
    await expect(page.get_by_text("No attempt failed.")).to_be_visible()
    await page.get_by_label("From").fill("2020-01-02T00:00")
    await expect(page.get_by_role("alert")).to_contain_text("The report ends before it begins.")
    await page.get_by_role("combobox", name="Time").select_option("24")
    await expect(page.get_by_text("80 of 100 recipients")).to_be_visible()


async def test_the_reports_are_accessible_in_the_light_in_the_dark_and_on_a_phone(stage: Stage, visit: Visit) -> None:
    await _message(stage)
    await visit.open("/reports?page=rep")
    await expect(visit.page.get_by_text("88 of 100 recipients")).to_be_visible()
    await check_appearance(visit, "reports")
