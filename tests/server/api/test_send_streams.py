"""SendStream: any number of recipients; all are accepted, or none."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import grpc
import grpc.aio
import pytest
from structlog.testing import capture_logs

from domain.message import SubmissionState
from redrive.v1.content_pb2 import Recipient
from redrive.v1.delivery_service_pb2 import (
    ListMessagesRequest,
    Recipients,
    SendStreamRequest,
)
from redrive.v1.delivery_service_pb2 import SendStreamResponse as Answer
from server.commands.lookup import load_message
from tests.builders import OWNER
from tests.keyed_ids import message_id_for
from tests.server.api.edge import Edge
from tests.server.api.refusals import Refusal, refusal_of
from tests.server.api.requests import send_request, stream_header
from tests.waiting import eventually

TABLES = ("messages", "batches", "deliveries", "recipients")


def header(**fields: Any) -> SendStreamRequest:
    return SendStreamRequest(header=stream_header(**fields))


def part(*recipients: Recipient) -> SendStreamRequest:
    return SendStreamRequest(recipients=Recipients(recipients=recipients))


def people(count: int, first: int = 0) -> SendStreamRequest:
    return part(*(Recipient(id=f"u{number:06}", name=f"N {number}") for number in range(first, first + count)))


async def sent(edge: Edge, parts: Iterable[SendStreamRequest]) -> Answer:
    return await edge.delivery.SendStream(iter(parts))


async def refused(edge: Edge, *parts: SendStreamRequest) -> Refusal:
    return await refusal_of(sent(edge, parts))


async def states_of(edge: Edge, count: int) -> list[SubmissionState]:
    """Return the states of the messages of the requests r-0, r-1, ..."""
    return [
        (await load_message(edge.log, message_id_for(OWNER, f"r-{number}"))).submission_state for number in range(count)
    ]


async def rows_left(edge: Edge) -> int:
    return sum([await edge.rows(table) for table in TABLES])


async def test_a_stream_makes_one_message_of_all_its_parts(edge: Edge) -> None:
    answer = await sent(edge, [header(title="Spring sale"), people(150), people(151, first=100)])

    assert answer.duplicates_dropped == 50
    assert answer.message.title == "Spring sale"
    assert answer.message.counts.total == answer.message.counts.pending == 251
    assert answer.message.batches_total == 3


async def test_a_hundred_thousand_recipients_are_accepted(edge: Edge) -> None:
    def parts() -> Iterator[SendStreamRequest]:
        yield header()
        for first in range(0, 100_000, 10_000):
            yield people(10_000, first)

    answer = await sent(edge, parts())

    assert answer.message.counts.total == 100_000
    assert answer.message.batches_total == 1_000


@pytest.mark.parametrize(
    ("parts", "field", "text"),
    [
        ([], "header", "is required in the first part"),
        ([people(1)], "header", "is required in the first part"),
        ([SendStreamRequest()], "header", "is required in the first part"),
        ([header(), people(1), header()], "header", "must be set only in the first part: the others hold recipients"),
        ([header()], "recipients", "must have at least 1 entry"),
        ([header(), people(1), SendStreamRequest()], "recipients", "must have at least 1 entry"),
        ([header(), people(10_001)], "recipients", "must have at most 10,000 entries, has 10,001"),
        (
            [SendStreamRequest(header=send_request("ann"))],
            "recipients",
            "must be empty in a header: the parts after it hold the recipients",
        ),
        ([header(title="t" * 201), people(1)], "title", "must have at most 200 characters, has 201"),
        ([header(text=""), people(1)], "content.text", "is required without an attachment"),
        (
            [header(), people(1_000), people(500, first=1_000), part(Recipient(id="ann"), Recipient())],
            "recipients[1501].id",
            "is required",
        ),
        (
            [header(text="{{city}}"), part(*[Recipient(id="ann", variables={"city": "Rome"})] * 3), people(1)],
            "recipients[3].variables",
            "lacks {{city}}, which the text asks for",
        ),
    ],
)
async def test_an_invalid_part_refuses_the_whole_stream(
    edge: Edge, parts: list[SendStreamRequest], field: str, text: str
) -> None:
    refusal = await refused(edge, *parts)

    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.violations == {field: text}
    assert await rows_left(edge) == 0


async def test_an_unregistered_page_is_refused_before_the_recipients_are_sent(edge: Edge) -> None:
    async def parts() -> AsyncIterator[SendStreamRequest]:
        yield header(page_id="2002")
        await asyncio.Event().wait()

    refusal = await refusal_of(edge.delivery.SendStream(parts()))

    assert refusal.info.reason == "PAGE_NOT_REGISTERED"


async def test_a_dry_run_reads_all_parts_and_stores_nothing(edge: Edge) -> None:
    answer = await sent(edge, [header(validate_only=True), people(1_500)])

    assert answer.message.id == ""
    assert answer.message.counts.total == 1_500
    assert await rows_left(edge) == 0


async def test_a_repeated_stream_gets_the_first_answer_for_any_split(edge: Edge) -> None:
    first = await sent(edge, [header(request_id="r-1"), people(1_500)])

    assert await sent(edge, [header(request_id="r-1"), people(700), people(800, first=700)]) == first
    assert await edge.rows("messages") == 1


async def test_send_and_send_stream_recognise_each_others_requests(edge: Edge) -> None:
    whole = await edge.delivery.Send(send_request("ann", "bob", request_id="r-1"))
    recipients = part(*send_request("ann", "bob").recipients)

    streamed = await sent(edge, [header(request_id="r-1"), recipients])
    refusal = await refused(edge, header(request_id="r-1"), people(1))

    assert streamed.message == whole.message
    assert refusal.code is grpc.StatusCode.ALREADY_EXISTS


class HalfSent:
    """A stream whose caller has sent some recipients and has not ended it."""

    def __init__(self, edge: Edge, request_id: str = "") -> None:
        self._call = edge.delivery.SendStream()
        self._edge = edge
        self._request_id = request_id

    async def write(self) -> None:
        await self._call.write(header(request_id=self._request_id))
        await self._call.write(people(1_000))

    async def begin(self) -> None:
        """Write, and wait until the recipients are staged."""
        await self.write()
        await eventually(lambda: self._edge.rows("recipients"), lambda rows: rows == 1_000)

    def cancel(self) -> None:
        self._call.cancel()


async def test_an_open_stream_shows_nothing(edge: Edge) -> None:
    stream = HalfSent(edge)
    await stream.begin()

    assert not (await edge.delivery.ListMessages(ListMessagesRequest())).messages
    stream.cancel()
    await eventually(lambda: rows_left(edge), lambda rows: rows == 0)


async def test_an_interrupted_stream_stores_nothing_and_can_be_sent_again(edge: Edge) -> None:
    stream = HalfSent(edge, "r-1")
    await stream.begin()

    stream.cancel()

    await eventually(lambda: rows_left(edge), lambda rows: rows == 0)
    again = await sent(edge, [header(request_id="r-1"), people(1_200)])
    assert again.message.id == message_id_for(OWNER, "r-1")
    assert again.message.counts.total == 1_200


async def test_two_concurrent_streams_of_one_request_are_aborted(edge: Edge) -> None:
    stream = HalfSent(edge, "r-1")
    await stream.begin()

    refusal = await refused(edge, header(request_id="r-1"), people(1))

    assert refusal.code is grpc.StatusCode.ABORTED
    assert refusal.info.reason == "STREAM_IN_PROGRESS"
    stream.cancel()


async def test_a_stream_cancelled_at_any_moment_is_never_submitted(edge: Edge) -> None:
    """To grpc.aio a cancelled call looks like the end of its stream; without a check many would be submitted."""
    for attempt in range(40):
        stream = HalfSent(edge, f"r-{attempt}")  # with a complete append, so that only the submit is missing
        await (stream.begin() if attempt % 2 else stream.write())
        stream.cancel()
        await eventually(lambda: rows_left(edge), lambda rows: rows == 0)

    states = await states_of(edge, 40)
    assert set(states) <= {SubmissionState.UNKNOWN, SubmissionState.ABANDONED}
    assert states.count(SubmissionState.ABANDONED) >= 20


async def test_a_call_that_is_cancelled_while_its_stream_opens_abandons_it(edge: Edge) -> None:
    with capture_logs() as logs:
        for attempt in range(20):
            call = edge.delivery.SendStream()
            await call.write(header(request_id=f"r-{attempt}"))
            call.cancel()
        await eventually(lambda: edge.rows("messages"), lambda _: len(logs) >= 20)

    assert {line["code"] for line in logs} == {"CANCELLED"}
    assert set(await states_of(edge, 20)) <= {SubmissionState.UNKNOWN, SubmissionState.ABANDONED}
    assert await rows_left(edge) == 0
