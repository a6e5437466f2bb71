"""Automatic retries that a canary suspended: the dashboard shows it, and Resume ends it."""

import pytest
from playwright.async_api import expect

from redrive.v1.content_pb2 import Content
from redrive.v1.delivery_service_pb2 import SendRequest
from redrive.v1.message_pb2 import RetryPolicy, RetryType
from redrive.v1.resend_pb2 import Canary, ResendRequest
from tests.dashboard.stage import Stage, Visit, people
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_suspended_retries_are_explained_and_resumed(stage: Stage, visit: Visit) -> None:
    await stage.put_page("suspended")
    recipients = people(4, "suspended")
    await stage.sandbox.control.order({"preset": "temporary", "recipients": ["suspended-*"], "times": 2})
    policy = RetryPolicy(type=RetryType.RETRY_TYPE_CRON)
    content = Content(text="Hello {{name}}")
    request = SendRequest(page_id="suspended", content=content, recipients=recipients, retry_policy=policy)
    message = (await stage.client.send(request)).message
    await eventually(lambda: stage.client.get_message(message.id), lambda found: found.HasField("end_time"))
    await stage.client.resend(ResendRequest(message_id=message.id, canary=Canary(recipients=1)))
    await eventually(lambda: stage.client.get_message(message.id), lambda found: found.automatic_rounds_suspended)
    page = visit.page

    await visit.open(f"/messages/{message.id}")
    note = page.get_by_text("Automatic retries are suspended: a canary failed")
    await expect(note).to_be_visible()
    await expect(page.get_by_role("button", name="Cancel", exact=True)).to_be_visible()
    await page.get_by_role("button", name="Resume", exact=True).click()

    await expect(note).to_be_hidden()
    assert not (await stage.client.get_message(message.id)).automatic_rounds_suspended
