"""ListEvents: events of the message's page."""

import json
from pathlib import Path
from typing import Any

import grpc
import pytest

from domain.message_events import MessageCompleted
from domain.page import Page, fold
from domain.streams import message_stream, page_stream
from redrive.v1.delivery_service_pb2 import ListEventsRequest, LogEvent, ResendRequest
from redrive.v1.page_service_pb2 import HoldPageRequest, ReleasePageRequest
from server.auth.caller import Scope
from server.messenger.channel import TokenUnchecked
from server.queries import message_events
from tests.builders import (
    FAILED,
    MESSAGE,
    NOW,
    OWNER,
    PAGE,
    TOKEN,
    message_staged,
    message_submitted,
    page_held,
)
from tests.server.api.edge import Edge
from tests.server.api.known_callers import Callers, guarded_edge, token_metadata
from tests.server.api.refusals import refusal_of
from tests.server.api.requests import put, send_request


async def events(edge: Edge, message_id: str, **fields: Any) -> list[LogEvent]:
    """Return all events, read in pages."""
    found: list[LogEvent] = []
    token = ""
    while True:
        request = ListEventsRequest(message_id=message_id, page_token=token, **fields)
        answer = await edge.delivery.ListEvents(request)
        found += answer.events
        token = answer.next_page_token
        if not token:
            return found


async def own(edge: Edge, message_id: str) -> list[str]:
    """Return the names of the events without batches."""
    return [event.name for event in await events(edge, message_id, without_batches=True)]


async def sent(edge: Edge) -> str:
    return (await edge.delivery.Send(send_request())).message.id


async def page_of(edge: Edge) -> Page:
    return fold(PAGE, await edge.log.load(page_stream(PAGE)))


async def complete(edge: Edge, message_id: str, version: int = 1) -> None:
    await edge.commit(message_stream(message_id), version, MessageCompleted(message_id=message_id, time=NOW))


async def hold(edge: Edge, reason: str = "a wrong link") -> None:
    await edge.pages.HoldPage(HoldPageRequest(page_id=PAGE, reason=reason))


async def release(edge: Edge) -> None:
    await edge.pages.ReleasePage(ReleasePageRequest(page_id=PAGE))


async def hold_for_fault(edge: Edge) -> None:
    await edge.commit(page_stream(PAGE), (await page_of(edge)).version, page_held())


async def create_history(edge: Edge) -> str:
    """Create a message whose page has every kind of page event, and resend it after its end; return its id."""
    message_id = await sent(edge)
    await hold(edge)
    await release(edge)
    await edge.deliver(message_id, {"ann": FAILED})
    await hold_for_fault(edge)
    await complete(edge, message_id)
    await edge.pages.PutPage(put(access_token="EAAG-another"))
    await edge.delivery.Resend(ResendRequest(message_id=message_id))
    return message_id


async def test_page_events_are_listed_with_the_others_in_log_order(edge: Edge) -> None:
    found = await events(edge, await create_history(edge))

    assert [(event.batch_number, event.version, event.name) for event in found] == [
        (0, 1, "MessageSubmitted"),
        (1, 1, "BatchCreated"),
        (0, 2, "PageHeld"),
        (0, 3, "PageReleased"),
        (1, 2, "BatchStarted"),
        (1, 3, "DeliveriesDispatched"),
        (1, 4, "OutcomesRecorded"),
        (1, 5, "BatchCompleted"),
        (0, 4, "PageHeld"),
        (0, 2, "MessageCompleted"),
        (0, 5, "PageTokenReplaced"),
        (0, 6, "PageReleased"),
        (0, 3, "RetryRequested"),
        (2, 1, "BatchCreated"),
    ]
    positions = [event.position for event in found]
    assert positions == sorted(set(positions))


async def test_page_events_have_summaries(edge: Edge) -> None:
    found = await events(edge, await create_history(edge), without_batches=True)

    assert [event.summary for event in found if event.name.startswith("Page")] == [
        f"The page was put on hold by {OWNER}: a wrong link",
        f"The page was released by {OWNER}",
        "The page was put on hold: expired",
        f"The page's token was replaced by {OWNER}",
        "The page goes on with its new token",
    ]
    assert json.loads(found[1].details) == {
        "page_id": PAGE,
        "requested_by": OWNER,
        "hold": {"reason": "a wrong link", "held_by": OWNER, "fault": None},
    }


async def test_a_hold_without_a_reason_has_no_colon(edge: Edge) -> None:
    message_id = await sent(edge)
    await hold(edge, "")

    assert (await events(edge, message_id))[-1].summary == f"The page was put on hold by {OWNER}"


@pytest.mark.parametrize("without_batches", [False, True])
@pytest.mark.parametrize("page_size", [1, 2, 3])
async def test_each_event_is_listed_once_for_every_page_size(
    edge: Edge, page_size: int, *, without_batches: bool
) -> None:
    message_id = await create_history(edge)
    whole = await events(edge, message_id, without_batches=without_batches)

    assert await events(edge, message_id, page_size=page_size, without_batches=without_batches) == whole
    assert len(whole) == (8 if without_batches else 14)


async def test_an_event_between_two_pages_is_listed_on_the_second(edge: Edge) -> None:
    message_id = await sent(edge)
    first = await edge.delivery.ListEvents(ListEventsRequest(message_id=message_id, page_size=1))
    await hold(edge)

    request = ListEventsRequest(message_id=message_id, page_token=first.next_page_token)
    assert [event.name for event in (await edge.delivery.ListEvents(request)).events] == ["BatchCreated", "PageHeld"]


async def test_page_events_before_the_message_or_after_its_end_are_not_listed(edge: Edge) -> None:
    await hold(edge, "before")
    await release(edge)
    message_id = await sent(edge)
    await edge.deliver(message_id, {"ann": FAILED})
    await complete(edge, message_id)
    await hold(edge, "after")

    assert await own(edge, message_id) == ["MessageSubmitted", "MessageCompleted"]


async def test_a_resend_extends_the_listed_time(edge: Edge) -> None:
    message_id = await sent(edge)
    await edge.deliver(message_id, {"ann": FAILED})
    await complete(edge, message_id)
    await hold(edge)
    await edge.delivery.Resend(ResendRequest(message_id=message_id))
    await release(edge)
    told_so_far = ["MessageSubmitted", "MessageCompleted", "PageHeld", "RetryRequested", "PageReleased"]
    assert await own(edge, message_id) == told_so_far

    await complete(edge, message_id, version=3)
    await hold(edge)

    assert await own(edge, message_id) == [*told_so_far, "MessageCompleted"]


async def test_page_events_before_a_stream_is_submitted_are_not_listed(edge: Edge) -> None:
    await edge.commit(message_stream(MESSAGE), 0, message_staged())
    await hold(edge)
    await edge.commit(message_stream(MESSAGE), 1, message_submitted(1, batches=0, stage=1))
    await release(edge)

    assert await own(edge, MESSAGE) == ["MessageStaged", "MessageSubmitted", "PageReleased"]


async def test_an_unchanged_pace_is_not_listed_and_hides_nothing(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message_events, "EVENTS_AT_ONCE", 2)
    await edge.pages.PutPage(put())
    message_id = await sent(edge)
    for pace, times in ((10.0, 5), (5.0, 5)):
        for _ in range(times):
            await edge.pages.PutPage(put(access_token="", messages_per_second=pace))
        await hold(edge)
        await release(edge)

    held = ["PageHeld", "PageReleased"]
    assert await own(edge, message_id) == ["MessageSubmitted", *held, "PageSettingsChanged", *held]


async def test_a_changed_pace_is_listed_with_its_caller_and_without_the_pages_name(edge: Edge) -> None:
    await edge.pages.PutPage(put())
    message_id = await sent(edge)
    await edge.pages.PutPage(put(access_token="", messages_per_second=2.5, name="Secret shop"))

    found = (await events(edge, message_id))[-1]

    assert found.summary == f"The page's settings were changed by {OWNER}: name, messages per second to 2.5"
    assert "Secret shop" not in f"{found}"


async def test_a_token_that_could_not_be_tried_is_shown_as_untried(edge: Edge) -> None:
    message_id = await sent(edge)
    edge.channel.token_check = TokenUnchecked("no answer")
    await edge.pages.PutPage(put(access_token="EAAG-another"))

    words = f"The page's token was replaced by {OWNER}; the platform could not be asked about the new one"
    assert (await events(edge, message_id))[-1].summary == words


async def test_events_of_another_page_are_not_listed(edge: Edge) -> None:
    message_id = await sent(edge)
    await edge.pages.PutPage(put(page_id="1002"))
    await edge.pages.HoldPage(HoldPageRequest(page_id="1002"))

    assert await own(edge, message_id) == ["MessageSubmitted"]


async def test_the_events_of_a_single_batch_exclude_the_page(edge: Edge) -> None:
    found = await events(edge, await create_history(edge), batch_number=1)

    assert {event.batch_number for event in found} == {1}


async def test_a_batch_number_and_without_batches_exclude_each_other(edge: Edge) -> None:
    refusal = await refusal_of(events(edge, await sent(edge), batch_number=1, without_batches=True))

    assert refusal.violations == {"batch_number": "must not be given together with without_batches"}


async def test_no_secret_and_no_request_id_of_a_page_change_is_shown(edge: Edge) -> None:
    message_id = await sent(edge)
    await edge.pages.PutPage(put(access_token="EAAG-another", app_secret="an-app-secret", request_id="theirs-1"))
    await edge.pages.HoldPage(HoldPageRequest(page_id=PAGE, request_id="theirs-2"))
    await edge.pages.ReleasePage(ReleasePageRequest(page_id=PAGE, request_id="theirs-3"))

    answer = f"{await events(edge, message_id)}"

    assert "PageTokenReplaced" in answer
    assert not any(word in answer for word in (TOKEN, "EAAG-another", "an-app-secret", "theirs", "payload_hash"))


async def test_two_owners_of_messages_on_one_page_see_their_own_messages_only(tmp_path: Path) -> None:
    callers = Callers(tmp_path)
    mine = token_metadata(callers.token("crm", Scope.READ))
    async with guarded_edge(callers) as edge:
        await edge.submit_as("crm", "m-mine")
        await edge.submit_as("shop", "m-theirs")
        await hold_for_fault(edge)

        found = await edge.delivery.ListEvents(
            ListEventsRequest(message_id="m-mine", without_batches=True), metadata=mine
        )
        refusal = await refusal_of(
            edge.delivery.ListEvents(ListEventsRequest(message_id="m-theirs", without_batches=True), metadata=mine)
        )

    assert [event.name for event in found.events] == ["MessageSubmitted", "PageHeld"]
    assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.NOT_FOUND, "MESSAGE_NOT_FOUND")
    assert "expired" not in refusal.message
