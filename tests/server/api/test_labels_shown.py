"""Sealed titles, page names and reasons are shown in every answer, and plain ones of earlier releases too."""

from typing import Any

import pytest

from domain.page_events import Hold, PageHeld
from domain.streams import batch_stream, message_stream, page_stream
from redrive.v1.delivery_service_pb2 import (
    CancelMessageRequest,
    GetMessageRequest,
    ListEventsRequest,
    ListMessagesRequest,
    ListRetriesRequest,
    ResendRequest,
    SendStreamRequest,
)
from redrive.v1.maintenance_service_pb2 import ErasePersonRequest
from redrive.v1.page_service_pb2 import HoldPageRequest, ListPagesRequest, PutPageRequest, ReleasePageRequest
from redrive.v1.report_service_pb2 import GetDeliveryReportRequest, SummarizeFailuresRequest
from redrive.v1.retry_service_pb2 import GetRetryScheduleRequest, RunScheduledRetriesRequest
from server.background.timer_report import TimerResult, TimerStatus
from tests.builders import (
    FAILED,
    NOW,
    OWNER,
    PAGE,
    TOKEN,
    batch_created,
    message_submitted,
    page_settings_changed,
    retry_requested,
)
from tests.server.api.edge import Edge
from tests.server.api.requests import send_request

TITLE, NAME, HOLD_REASON, RESEND_REASON = "Spring sale", "Shop of flowers", "a wrong link", "she called"


async def shown(edge: Edge, message_id: str) -> dict[str, Any]:
    """Return the labels in every answer, by rpc."""
    got = (await edge.delivery.GetMessage(GetMessageRequest(message_id=message_id))).message
    (listed,) = (await edge.delivery.ListMessages(ListMessagesRequest())).messages
    events = (await edge.delivery.ListEvents(ListEventsRequest(message_id=message_id))).events
    (retried,) = (await edge.delivery.ListRetries(ListRetriesRequest(message_id=message_id))).rounds
    (summary,) = (await edge.reports.SummarizeFailures(SummarizeFailuresRequest())).messages
    (reported,) = (await edge.reports.GetDeliveryReport(GetDeliveryReportRequest(page_id=PAGE))).messages
    (page,) = (await edge.pages.ListPages(ListPagesRequest())).pages
    shown_text = " ".join(f"{event.summary} {event.details}" for event in events)
    return {
        "titles": {got.title, listed.title, summary.title, reported.title},
        "holds": {got.page_hold.reason, listed.page_hold.reason, page.hold.reason},
        "others": (page.name, retried.reason),
        "events": [label in shown_text for label in (TITLE, HOLD_REASON, RESEND_REASON)] + ["sealed:" in shown_text],
    }


EXPECTED = {
    "titles": {TITLE},
    "holds": {HOLD_REASON},
    "others": (NAME, RESEND_REASON),
    "events": [True, True, True, False],
}


async def test_sealed_labels_are_shown_in_every_answer(edge: Edge) -> None:
    put = await edge.pages.PutPage(PutPageRequest(page_id=PAGE, name=NAME, access_token=TOKEN))
    sent = await edge.delivery.Send(send_request("ann", "bob", title=TITLE))
    message_id = sent.message.id
    await edge.deliver(message_id, {"ann": FAILED, "bob": FAILED})
    await edge.delivery.Resend(ResendRequest(message_id=message_id, recipient_ids=["ann"], reason=RESEND_REASON))
    held = await edge.pages.HoldPage(HoldPageRequest(page_id=PAGE, reason=HOLD_REASON))

    assert await shown(edge, message_id) == EXPECTED

    assert (put.page.name, sent.message.title, held.page.hold.reason) == (NAME, TITLE, HOLD_REASON)
    past = GetMessageRequest(message_id=message_id)
    past.as_of_time.GetCurrentTime()
    assert (await edge.delivery.GetMessage(past)).message.title == TITLE
    await edge.maintenance.ErasePerson(ErasePersonRequest(recipient_id="bob"))
    assert await shown(edge, message_id) == EXPECTED
    cancelled = await edge.delivery.CancelMessage(CancelMessageRequest(message_id=message_id))
    released = await edge.pages.ReleasePage(ReleasePageRequest(page_id=PAGE))
    assert (cancelled.message.title, released.page.name) == (TITLE, NAME)


@pytest.mark.parametrize("prefix", ["", "sealed:v1:", "sealed:v1:AAAA"])
async def test_plain_labels_of_earlier_releases_are_shown(edge: Edge, prefix: str) -> None:
    """This holds even for a text that starts with the prefix of sealed labels."""
    await edge.commit(page_stream(PAGE), 1, page_settings_changed(name=f"{prefix}{NAME}"))
    await edge.commit(message_stream("m-1"), 0, message_submitted(1, title=f"{prefix}{TITLE}"))
    await edge.commit(batch_stream("m-1", 0, 1), 0, batch_created("ann"))
    await edge.deliver("m-1", {"ann": FAILED})
    asked = retry_requested(round=1, first_batch=2, batches=0, recipients=0, reason=f"{prefix}{RESEND_REASON}")
    await edge.commit(message_stream("m-1"), 1, asked)
    held = PageHeld(page_id=PAGE, hold=Hold(reason=f"{prefix}{HOLD_REASON}", held_by=OWNER), time=NOW)
    await edge.commit(page_stream(PAGE), 2, held)

    found = await shown(edge, "m-1")

    assert (found["titles"], found["holds"]) == ({f"{prefix}{TITLE}"}, {f"{prefix}{HOLD_REASON}"})
    assert found["others"] == (f"{prefix}{NAME}", f"{prefix}{RESEND_REASON}")
    assert found["events"][0]


async def test_a_stream_and_a_dry_run_show_their_title(edge: Edge) -> None:
    header = SendStreamRequest(header=send_request(title=TITLE))
    header.header.ClearField("recipients")
    recipients = SendStreamRequest()
    recipients.recipients.recipients.add(id="ann", name="Ann")

    streamed = await edge.delivery.SendStream(iter([header, recipients]))
    dry = await edge.delivery.Send(send_request("ann", title=TITLE, validate_only=True))

    assert (streamed.message.title, dry.message.title) == (TITLE, TITLE)


async def test_the_runs_of_the_timer_show_titles(edge: Edge) -> None:
    sent = await edge.delivery.Send(send_request("ann", title=TITLE))
    (row,) = await edge.log.read(lambda sql: sql.rows("SELECT message_id, title FROM messages"))
    edge.timer.results = [TimerResult(message_id=row["message_id"], title=row["title"], status=TimerStatus.STARTED)]

    ran = await edge.retries.RunScheduledRetries(RunScheduledRetriesRequest())
    await edge.retries.GetRetrySchedule(GetRetryScheduleRequest())

    assert row["title"] != TITLE
    assert [(one.message_id, one.title) for one in ran.results] == [(sent.message.id, TITLE)]
