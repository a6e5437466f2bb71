"""HoldPage and ReleasePage."""

import grpc
import pytest

from domain.fault import ErrorType as Kind
from domain.fault import Fault, FaultScope, RetryRule
from projections import page_pauses
from projections.sql import Sql
from redrive.v1.delivery_service_pb2 import GetMessageRequest, ListEventsRequest, ListMessagesRequest
from redrive.v1.error_pb2 import ErrorType
from redrive.v1.page_service_pb2 import HoldPageRequest, ListPagesRequest, ReleasePageRequest
from tests.builders import OWNER, PAGE
from tests.server.api.edge import Edge
from tests.server.api.refusals import refusal_of
from tests.server.api.requests import put, send_request


async def test_a_held_page_shows_its_reason_in_every_answer(edge: Edge) -> None:
    await edge.delivery.Send(send_request())
    held = (await edge.pages.HoldPage(HoldPageRequest(page_id=PAGE, reason="a wrong link"))).page

    [listed] = (await edge.pages.ListPages(ListPagesRequest())).pages
    [message] = (await edge.delivery.ListMessages(ListMessagesRequest())).messages
    assert held.hold == listed.hold == message.page_hold
    assert (held.hold.reason, held.hold.held_by, held.hold.error_code) == ("a wrong link", OWNER, 0)
    assert held.hold.hold_time.seconds > 0

    released = (await edge.pages.ReleasePage(ReleasePageRequest(page_id=PAGE))).page
    [message] = (await edge.delivery.ListMessages(ListMessagesRequest())).messages
    assert not released.HasField("hold")
    assert not message.HasField("page_hold")
    assert released.token_generation == held.token_generation, "a hold without a fault needs no new token generation"


async def test_a_second_hold_keeps_the_first_reason_and_a_second_release_changes_nothing(edge: Edge) -> None:
    await edge.pages.HoldPage(HoldPageRequest(page_id=PAGE, reason="first"))
    again = (await edge.pages.HoldPage(HoldPageRequest(page_id=PAGE, reason="second"))).page
    released = [(await edge.pages.ReleasePage(ReleasePageRequest(page_id=PAGE))).page for _ in range(2)]

    assert again.hold.reason == "first"
    assert released[0] == released[1]


async def test_the_same_request_id_holds_once_even_after_a_release(edge: Edge) -> None:
    request = HoldPageRequest(page_id=PAGE, request_id="hold-1")
    await edge.pages.HoldPage(request)
    await edge.pages.ReleasePage(ReleasePageRequest(page_id=PAGE))

    assert not (await edge.pages.HoldPage(request)).page.HasField("hold")
    refusal = await refusal_of(edge.pages.HoldPage(HoldPageRequest(page_id=PAGE, reason="x", request_id="hold-1")))
    assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")


@pytest.mark.parametrize("rpc", ["HoldPage", "ReleasePage"])
async def test_an_unknown_page_is_not_found(edge: Edge, rpc: str) -> None:
    request = HoldPageRequest(page_id="404") if rpc == "HoldPage" else ReleasePageRequest(page_id="404")

    refusal = await refusal_of(getattr(edge.pages, rpc)(request))

    assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.NOT_FOUND, "PAGE_NOT_FOUND")


async def test_a_reason_has_at_most_200_characters(edge: Edge) -> None:
    refusal = await refusal_of(edge.pages.HoldPage(HoldPageRequest(page_id=PAGE, reason="x" * 201)))

    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(refusal.violations) == ["reason"]


async def test_settings_and_tokens_do_not_end_a_manual_hold(edge: Edge) -> None:
    await edge.pages.HoldPage(HoldPageRequest(page_id=PAGE))

    assert (await edge.pages.PutPage(put(page_id=PAGE, access_token="EAAG-another"))).page.HasField("hold")


# Pauses


async def _pause(edge: Edge, minutes: int = 30) -> None:
    fault = Fault(
        code=80006, message="too many calls", type=Kind.RATE_LIMIT, scope=FaultScope.PAGE, retry=RetryRule.AUTOMATIC
    )

    def write(sql: Sql) -> None:
        page_pauses.record(sql, PAGE, "too many calls", fault, until=sql.clock() + minutes * 60_000_000)

    await edge.log.write(write)


async def test_a_paused_page_shows_its_reason_and_end_in_every_answer(edge: Edge) -> None:
    sent = (await edge.delivery.Send(send_request())).message
    await _pause(edge)

    [listed] = (await edge.pages.ListPages(ListPagesRequest())).pages
    [message] = (await edge.delivery.ListMessages(ListMessagesRequest())).messages
    got = (await edge.delivery.GetMessage(GetMessageRequest(message_id=sent.id))).message
    assert listed.pause == message.page_pause == got.page_pause
    assert not listed.HasField("hold")
    assert (listed.pause.reason, listed.pause.error_code) == ("too many calls", 80006)
    assert listed.pause.error_type == ErrorType.ERROR_TYPE_RATE_LIMIT
    assert listed.pause.until_time.seconds - listed.pause.pause_time.seconds in (1799, 1800)


async def test_a_release_ends_a_pause_and_is_listed_as_an_event(edge: Edge) -> None:
    sent = (await edge.delivery.Send(send_request())).message
    await _pause(edge)

    released = (await edge.pages.ReleasePage(ReleasePageRequest(page_id=PAGE))).page

    got = (await edge.delivery.GetMessage(GetMessageRequest(message_id=sent.id))).message
    assert not released.HasField("pause")
    assert not got.HasField("page_pause")
    assert released.token_generation == 1, "a pause needs no new token generation"
    events = (await edge.delivery.ListEvents(ListEventsRequest(message_id=sent.id))).events
    words = f"The page was released by {OWNER}, and its pause ended: too many calls"
    assert words in [event.summary for event in events]


async def test_a_release_ends_a_hold_and_a_pause(edge: Edge) -> None:
    await _pause(edge)
    held = (await edge.pages.HoldPage(HoldPageRequest(page_id=PAGE, reason="a wrong link"))).page

    released = (await edge.pages.ReleasePage(ReleasePageRequest(page_id=PAGE))).page

    assert held.HasField("hold")
    assert held.HasField("pause")
    assert not released.HasField("hold")
    assert not released.HasField("pause")


async def test_a_pause_that_has_ended_is_not_shown(edge: Edge) -> None:
    await _pause(edge, minutes=-1)

    [listed] = (await edge.pages.ListPages(ListPagesRequest())).pages
    assert not listed.HasField("pause")


async def test_past_states_show_no_pause(edge: Edge) -> None:
    sent = (await edge.delivery.Send(send_request())).message
    await _pause(edge)

    request = GetMessageRequest(message_id=sent.id, as_of_time=sent.update_time)

    assert not (await edge.delivery.GetMessage(request)).message.HasField("page_pause")
