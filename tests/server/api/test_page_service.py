"""PageService."""

import grpc
from structlog.testing import capture_logs

from redrive.v1.page_pb2 import SendMode
from redrive.v1.page_service_pb2 import ListPagesRequest
from server.messenger.channel import TokenRejected, TokenUnchecked
from tests.builders import DEAD_TOKEN, PAGE, TOKEN
from tests.server.api.edge import Edge
from tests.server.api.refusals import refusal_of
from tests.server.api.requests import put


async def test_a_page_is_answered_without_its_secrets(edge: Edge) -> None:
    request = put(
        page_id="2002", name="Shop", messages_per_second=20, send_mode=SendMode.SEND_MODE_BATCH, app_secret="s"
    )

    answer = await edge.pages.PutPage(request)

    page = answer.page
    assert (page.id, page.name, page.messages_per_second) == ("2002", "Shop", 20)
    assert page.send_mode == SendMode.SEND_MODE_BATCH
    assert (page.token_generation, page.token_verified) == (1, True)
    assert page.create_time.seconds > 0
    assert list(answer.warnings) == []
    assert TOKEN not in str(answer)


async def test_a_page_has_defaults_for_unset_fields(edge: Edge) -> None:
    page = (await edge.pages.PutPage(put(page_id="2002"))).page

    assert (page.messages_per_second, page.send_mode) == (10.0, SendMode.SEND_MODE_SINGLE)


async def test_a_very_high_pace_gives_a_warning(edge: Edge) -> None:
    edge.channel.token_check = TokenUnchecked("no answer")

    answer = await edge.pages.PutPage(put(page_id="2002", messages_per_second=301))

    assert len(answer.warnings) == 2
    assert not answer.page.token_verified


async def test_a_token_that_the_platform_refuses_is_a_failed_precondition(edge: Edge) -> None:
    edge.channel.token_check = TokenRejected(DEAD_TOKEN)

    refusal = await refusal_of(edge.pages.PutPage(put(page_id="2002")))

    assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refusal.info.reason == "TOKEN_REFUSED"
    assert refusal.precondition.violations[0].subject == "pages/2002"


async def test_a_new_page_needs_a_token(edge: Edge) -> None:
    refusal = await refusal_of(edge.pages.PutPage(put(page_id="2002", access_token="")))

    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(refusal.violations) == ["access_token"]


async def test_a_wrong_field_is_named_and_no_secret_is_answered_or_logged(edge: Edge) -> None:
    with capture_logs() as logs:
        refusal = await refusal_of(edge.pages.PutPage(put(page_id="a/b", access_token=f"{TOKEN} {TOKEN}")))

    assert list(refusal.violations) == ["page_id", "access_token"]
    assert TOKEN not in f"{refusal} {logs}"


async def test_a_repeated_request_gets_the_first_answer(edge: Edge) -> None:
    request = put(page_id="2002", request_id="r-1", messages_per_second=400)

    first = await edge.pages.PutPage(request)

    assert await edge.pages.PutPage(request) == first
    assert first.warnings


async def test_pages_are_listed_by_id_in_pages(edge: Edge) -> None:
    for page_id in ("3003", "2002"):
        await edge.pages.PutPage(put(page_id=page_id))

    first = await edge.pages.ListPages(ListPagesRequest(page_size=2))
    second = await edge.pages.ListPages(ListPagesRequest(page_size=2, page_token=first.next_page_token))

    assert [page.id for page in [*first.pages, *second.pages]] == [PAGE, "2002", "3003"]
    assert second.next_page_token == ""


async def test_a_page_token_of_another_list_is_an_invalid_argument(edge: Edge) -> None:
    refusal = await refusal_of(edge.pages.ListPages(ListPagesRequest(page_token="foreign")))

    assert list(refusal.violations) == ["page_token"]
