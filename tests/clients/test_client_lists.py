"""Lists of many pages."""

from typing import TYPE_CHECKING

import grpc
import pytest

from redrive import Client, RedriveError
from redrive.v1.delivery_pb2 import FailedRecipient
from redrive.v1.delivery_service_pb2 import ListFailedRequest, ListFailedResponse
from redrive.v1.error_pb2 import ErrorType, ErrorTypeCount

if TYPE_CHECKING:
    from tests.clients.conftest import ScriptedServer

NETWORK = ErrorType.ERROR_TYPE_NETWORK


def page_of_failed(request: ListFailedRequest) -> ListFailedResponse:
    """Return one of three pages with two recipients each."""
    number = int(request.page_token or "0")
    return ListFailedResponse(
        failed_recipients=[FailedRecipient(recipient_id=f"{number}-{place}") for place in range(2)],
        retryable_count=6,
        error_type_counts=[ErrorTypeCount(error_type=NETWORK, count=6)],
        next_page_token=str(number + 1) if number < 2 else "",
    )


async def test_iterating_goes_over_all_pages(server: "ScriptedServer", client: Client) -> None:
    server.answer("ListFailed", page_of_failed)

    ids = [failed.recipient_id async for failed in client.list_failed("m1")]

    assert ids == ["0-0", "0-1", "1-0", "1-1", "2-0", "2-1"]


async def test_every_page_is_asked_for_with_the_same_filter(server: "ScriptedServer", client: Client) -> None:
    server.answer("ListFailed", page_of_failed)

    answers = [
        answer
        async for answer in client.list_failed("m1", error_types=[NETWORK], retryable_only=True, page_size=2).pages()
    ]

    assert len(answers) == 3
    assert server.asked("ListFailed") == [
        ListFailedRequest(message_id="m1", error_types=[NETWORK], retryable_only=True, page_size=2, page_token=token)
        for token in ("", "1", "2")
    ]


async def test_one_page_comes_with_its_counts(server: "ScriptedServer", client: Client) -> None:
    server.answer("ListFailed", page_of_failed)
    failed = client.list_failed("m1")

    first = await failed.page()
    last = await failed.page("2")

    assert first.error_type_counts == [ErrorTypeCount(error_type=NETWORK, count=6)]
    assert [recipient.recipient_id for recipient in last.failed_recipients] == ["2-0", "2-1"]
    assert len(server.requests) == 2


async def test_a_list_can_be_iterated_twice(server: "ScriptedServer", client: Client) -> None:
    server.answer("ListFailed", page_of_failed)
    failed = client.list_failed("m1")

    assert [item async for item in failed] == [item async for item in failed]


async def test_error_on_a_later_page_is_raised_there(server: "ScriptedServer", client: Client) -> None:
    server.answer("ListFailed", page_of_failed)
    server.refuse("ListFailed", grpc.StatusCode.INTERNAL)
    failed = aiter(client.list_failed("m1"))

    seen = [(await anext(failed)).recipient_id for _ in range(2)]
    with pytest.raises(RedriveError):
        await anext(failed)

    assert seen == ["0-0", "0-1"]
