"""The page Compose, in a real browser, against the real server."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Browser, FilePayload, Page, expect

from redrive.v1.content_pb2 import Content, Recipient
from redrive.v1.delivery_service_pb2 import SendRequest
from redrive.v1.message_pb2 import Message, RetryType
from tests.dashboard.appearance import check_appearance
from tests.dashboard.stage import Stage, Visit, visiting
from tests.waiting import eventually

_SLOW_DOWN = {"kind": "error", "code": 613, "subcode": 2018338}  # an error of one recipient

pytestmark = pytest.mark.asyncio(loop_scope="session")


def _csv(text: str) -> FilePayload:
    return {"name": "people.csv", "mimeType": "text/csv", "buffer": text.encode()}


def _people(count: int, prefix: str) -> str:
    return "id,name,city\n" + "".join(f"{prefix}-{number},Person {number},City {number}\n" for number in range(count))


async def _compose(page: Page, page_id: str, title: str, people: str) -> None:
    """Fill in the required inputs."""
    await page.get_by_role("combobox", name="Page", exact=True).select_option(page_id)
    await page.get_by_label("Title (for display)").fill(title)
    await page.get_by_label("Choose a CSV file").set_input_files(_csv(people))
    await page.get_by_role("textbox", name="Text", exact=True).fill("Hello {{name}}, see you in {{city}}!")
    await expect(page.get_by_text(re.compile("people.csv: |people.csv cannot"))).to_be_visible()


async def _message(stage: Stage, title: str) -> Message:
    """Return the one message with this title."""
    (found,) = [message async for message in stage.client.list_messages() if message.title == title]
    return found


async def test_message_is_sent_from_a_file_and_resent_until_done(stage: Stage, visit: Visit) -> None:
    await stage.put_page("trip", rate=100)
    await stage.sandbox.control.order(
        {"effect": _SLOW_DOWN, "recipients": ["trip-1", "trip-2", "trip-3"], "page": "trip", "times": 1},
        {"preset": "temporary", "recipients": ["trip-10", "trip-11"], "page": "trip", "times": 1},
    )
    page = visit.page

    await visit.open("/compose")
    await _compose(page, "trip", "The whole way", _people(60, "trip"))
    await expect(page.get_by_text("people.csv: 60 recipients.")).to_be_visible()
    await expect(page.get_by_text("Hello Person 0, see you in City 0!")).to_be_visible()
    await page.get_by_role("button", name="Next").click()
    await expect(page.get_by_text("Person 1 (trip-1): 2 of 60")).to_be_visible()
    await expect(page.get_by_text("Hello Person 1, see you in City 1!")).to_be_visible()
    await page.get_by_role("button", name="Send …").click()
    await expect(page.get_by_role("dialog")).to_contain_text("Hello Person 0, see you in City 0!")
    await page.get_by_role("button", name="Send to 60 recipients").dblclick()

    await expect(page.get_by_role("heading", name="The whole way")).to_be_visible()
    await expect(page.get_by_text("Partly sent").first).to_be_visible()
    await page.get_by_role("link", name="View failed & retry (5)").click()
    await page.get_by_role("button", name="Rate limit").click()
    await page.get_by_role("button", name="Retry 1 type (3)").click()
    await page.get_by_role("button", name="Resend to 3").click()
    await expect(page.get_by_text("2 failed and 0 unconfirmed of 60")).to_be_visible()
    await page.get_by_role("button", name="Retry all (2)").click()
    await page.get_by_role("button", name="Resend to 2").click()
    await expect(page.get_by_text("No failed recipients.")).to_be_visible()

    await page.get_by_role("link", name="Back to the message").click()
    await expect(page.get_by_role("progressbar").first).to_have_attribute("aria-valuetext", "60 of 60 sent")

    message = await _message(stage, "The whole way")
    assert (message.counts.sent, message.counts.total) == (60, 60)
    assert not [url for url in visit.requests if "whole" in url or "people" in url or "Person" in url]
    assert (await stage.sandbox.control.summary()).repeat_count == 0


async def test_problems_of_a_file_are_shown_by_line(stage: Stage, visit: Visit) -> None:
    await stage.put_page("line")
    page = visit.page

    await visit.open("/compose")
    await _compose(page, "line", "Never sent", "id,name,city\n1,Ada,Rome\n,Bob,Paris\n4 4,Cy,Oslo\n")
    await expect(
        page.get_by_text("people.csv cannot be sent: correct the problems, and choose it again.")
    ).to_be_visible()
    problems = page.get_by_role("table", name="Problems").locator("tbody tr")
    assert await problems.all_inner_texts() == ["3\tid: is empty", "4\tid: holds U+0020 SPACE"]
    await page.get_by_role("button", name="Send …").click()
    await expect(page.get_by_role("alert")).to_contain_text("Choose the recipients: a CSV file without problems.")
    assert await visit.accessibility_faults() == []

    file = f"id,name,city\n1,Ada,\n2,Bob,{'x' * 1_000}\n1,Ada,Rome\n"
    await page.get_by_label("Choose a CSV file").set_input_files(_csv(file))
    duplicates = page.get_by_role("table", name="Skipped").locator("tbody tr")
    await expect(duplicates).to_have_text(["41 is already in line 2"])
    await page.get_by_role("textbox", name="Text").fill("{{name}}: {{city}} {{city}} {{day}}")
    await expect(page.get_by_text("The text uses {{day}}, but the file has no column day.")).to_be_visible()
    await page.get_by_role("textbox", name="Text").fill("{{name}}: {{city}} {{city}}")
    await expect(page.get_by_role("table", name="Too long").locator("tbody tr")).to_contain_text(["has 2,006"])
    await expect(page.get_by_role("table", name="Empty cells without a default").locator("tbody tr")).to_have_text(
        ["2city is empty"]
    )
    await expect(page.get_by_text("One cell is empty without a default")).to_be_visible()
    await page.get_by_role("button", name="Show the longest").click()
    await expect(page.get_by_text("2,006 of 2,000 characters")).to_be_visible()
    await page.get_by_role("textbox", name="Text").fill("{{name}} of {{city|nowhere}}")
    await expect(page.get_by_role("table", name="Empty cells with a default").locator("tbody tr")).to_have_text(
        ["2city is empty"]
    )
    await expect(page.get_by_role("region", name="Preview")).to_contain_text("Ada of nowhere")


async def test_a_dry_run_sends_nothing_and_a_reload_loses_nothing(stage: Stage, visit: Visit) -> None:
    await stage.put_page("dry")
    page = visit.page

    await visit.open("/compose")
    await _compose(page, "dry", "Only tried", _people(10_500, "dry"))
    await expect(page.get_by_text("people.csv: 10,500 recipients.")).to_be_visible()
    await page.get_by_role("combobox", name="Retry type").select_option(str(RetryType.RETRY_TYPE_CRON))
    await page.get_by_role("combobox", name="Schedule").select_option("backoff")
    await page.get_by_label("Maximum retries").fill("5")
    day = datetime.now(UTC).date() + timedelta(days=3)
    await page.get_by_label("Send at").fill(f"{day}T03:04")
    await page.get_by_role("button", name="Dry run").click()
    await expect(
        page.get_by_text("The dry run passed: the message would go to 10,500 recipients. Nothing was sent.")
    ).to_be_visible()
    assert [message async for message in stage.client.list_messages(page_id="dry")] == []

    await page.reload()
    await page.wait_for_function("window.did_handshake === true")
    await expect(page.get_by_role("textbox", name="Text")).to_have_value("Hello {{name}}, see you in {{city}}!")
    await expect(page.get_by_role("combobox", name="Page", exact=True)).to_have_value("dry")
    await expect(page.get_by_label("Maximum retries")).to_have_value("5")
    await expect(page.get_by_label("Send at")).to_have_value(f"{day}T03:04")
    await expect(page.get_by_text("people.csv: 10,500 recipients.")).to_be_visible()
    await page.get_by_role("button", name="Send …").click()
    await page.get_by_role("button", name="Send to 10,500 recipients").dblclick()
    await expect(page.get_by_role("heading", name="Only tried")).to_be_visible()
    await page.go_back()
    await expect(page.get_by_text("This message was sent.")).to_be_visible()

    message = await _message(stage, "Only tried")
    assert message.counts.pending == 10_500
    the_day_before = day - timedelta(days=1)  # the viewer is in Ho Chi Minh City, 7 hours ahead
    assert message.schedule_time.ToJsonString() == f"{the_day_before}T20:04:00Z"
    assert message.retry_policy.type == RetryType.RETRY_TYPE_CRON
    assert message.retry_policy.max_retry_attempts == 5
    assert message.retry_policy.backoff.initial_interval.seconds == 900


async def test_two_tabs_send_one_composition_once(stage: Stage, visit: Visit) -> None:
    await stage.put_page("twin")
    page = visit.page

    await visit.open("/compose")
    await _compose(page, "twin", "Sent once", _people(3, "twin"))
    await expect(page.get_by_text("people.csv: 3 recipients.")).to_be_visible()
    other = await visit.tab()
    await other.goto(page.url)
    for tab in (page, other):
        await tab.get_by_role("button", name="Send …").click()
    for tab in (page, other):
        await tab.get_by_role("button", name="Send to 3 recipients").click()
        await expect(tab.get_by_role("heading", name="Sent once")).to_be_visible()

    message = await _message(stage, "Sent once")
    await eventually(lambda: stage.client.get_message(message.id), lambda seen: seen.counts.sent == 3)
    assert (await stage.client.get_message(message.id)).batches_total == 1


async def test_server_error_keeps_the_input(stage: Stage, visit: Visit) -> None:
    await stage.put_page("keep")
    page = visit.page

    await visit.open("/compose")
    await _compose(page, "keep", "Kept", _people(2, "keep"))
    await page.get_by_role("textbox", name="Text").fill("Hello {{ first name }}")
    await page.get_by_role("button", name="Send …").click()
    await page.get_by_role("button", name="Send to 2 recipients").click()
    await expect(page.get_by_role("alert")).to_contain_text("content.text: has {{ }} around text that is not a name")
    await expect(page.get_by_text("Your input is kept.")).to_be_visible()
    await expect(page.get_by_label("Title (for display)")).to_have_value("Kept")
    await page.get_by_role("textbox", name="Text").fill("Hello {{name}}")
    await page.get_by_role("button", name="Send …").click()
    await page.get_by_role("button", name="Send to 2 recipients").click()
    await expect(page.get_by_role("heading", name="Kept")).to_be_visible()


async def test_changed_composition_is_not_sent_twice(stage: Stage, visit: Visit) -> None:
    await stage.put_page("again")
    page = visit.page

    await visit.open("/compose")
    await _compose(page, "again", "Again", _people(2, "again"))
    (composition_id,) = re.findall(r"composition=(.*)", page.url)
    ada = Recipient(id="again-ada")
    await stage.client.send(
        SendRequest(request_id=composition_id, page_id="again", content=Content(text="Hello"), recipients=[ada])
    )
    await page.get_by_role("button", name="Send …").click()
    await page.get_by_role("button", name="Send to 2 recipients").click()
    await expect(page.get_by_role("alert")).to_contain_text("This message was sent before, with other input.")
    assert [message.counts.total async for message in stage.client.list_messages(page_id="again")] == [1]


async def test_compose_is_accessible_in_the_light_in_the_dark_and_on_a_phone(stage: Stage, visit: Visit) -> None:
    people = "id,name,city\n4711,Ada Lovelace,London\n4712,Alan Turing,Wilmslow\n4711,Ada Lovelace,London\n"
    await stage.put_page("fair")
    await visit.open("/compose")
    await _compose(visit.page, "fair", "We open again", people)
    await visit.page.get_by_role("combobox", name="Retry type").select_option(str(RetryType.RETRY_TYPE_AUTO))
    await expect(visit.page.get_by_text("Hello Ada Lovelace, see you in London!")).to_be_visible()
    await check_appearance(visit, "compose")


async def test_skipped_local_time_is_shown_with_its_moment(browser: Browser, stage: Stage) -> None:
    async with visiting(browser, stage.url, time_zone="Europe/Berlin") as visit:
        await visit.open("/compose")
        await expect(visit.page.get_by_text("Time zone: Europe/Berlin.")).to_be_visible()

        await visit.page.get_by_label("Send at").fill("2027-03-28T02:30")
        skipped = "The clock skips this time. It is taken as 28 Mar 2027, 03:30:00"
        await expect(visit.page.get_by_text(skipped)).to_be_visible()
        await visit.page.get_by_label("Send at").fill("2027-10-31T02:30")
        await expect(visit.page.get_by_text("This time occurs twice. The first is taken")).to_be_visible()
        await visit.page.reload()
        await expect(visit.page.get_by_text("Central European Summer Time (Europe/Berlin)")).to_be_visible()


async def test_passed_time_is_shown_before_sending(stage: Stage, visit: Visit) -> None:
    await stage.put_page("late")
    page = visit.page
    passed = datetime.now(UTC) + timedelta(hours=7) - timedelta(minutes=90)  # in the viewer's time zone

    await visit.open("/compose")
    await _compose(page, "late", "Too late", _people(2, "late"))
    await page.get_by_label("Send at").fill(f"{passed:%Y-%m-%dT%H:%M}")
    await page.get_by_role("button", name="Dry run").click()
    await expect(page.get_by_text("The time to send passed 1 h 30 min ago. Nothing was sent.")).to_be_visible()
    await page.get_by_role("button", name="Send …").click()
    await expect(page.get_by_role("dialog")).to_contain_text("passed 1 h 30 min ago. It is sent at once.")
    await page.get_by_role("button", name="Send to 2 recipients").click()
    await expect(page.get_by_role("heading", name="Too late")).to_be_visible()
