"""An open stream of recipients is abandoned whenever its call fails or is cancelled."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from domain.commands import Recipient
from domain.errors import InvalidRequest, PageNotRegistered, Unavailable, Violation
from server.api.servicers.send_streams import open_stream
from server.commands.send import SendAnswer
from tests.builders import send_message
from tests.waiting import eventually


class Stream:
    """Records why it was abandoned; can be slow or fail."""

    def __init__(self) -> None:
        self.causes: list[str] = []
        self.giving_up = asyncio.Event()
        self.may_give_up = asyncio.Event()
        self.may_give_up.set()
        self.error: Exception | None = None

    async def add(self, recipients: Sequence[Recipient]) -> None:
        raise NotImplementedError

    async def submit(self) -> SendAnswer:
        raise NotImplementedError

    async def abandon(self, cause: str) -> None:
        self.giving_up.set()
        await self.may_give_up.wait()
        if self.error is not None:
            raise self.error
        self.causes.append(cause)


class Opening:
    """Opens one stream when allowed."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.asked = asyncio.Event()
        self.may_open = asyncio.Event()
        self.error: Exception | None = None

    async def open(self, command: object) -> Stream:
        self.asked.set()
        await self.may_open.wait()
        if self.error is not None:
            raise self.error
        return self.stream


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.fixture
def opening(stream: Stream) -> Opening:
    return Opening(stream)


def calling(opening: Any, work: Callable[[], Awaitable[object]]) -> asyncio.Task[None]:
    """Return a call that opens a stream and runs the work."""

    async def call() -> None:
        async with open_stream(opening, send_message()):
            await work()

    return asyncio.create_task(call())


async def nothing() -> None:
    """Finish without an error."""


async def refuse() -> None:
    raise InvalidRequest([Violation("recipients[0].id", "is required")])


async def test_a_finished_stream_is_not_abandoned(opening: Opening, stream: Stream) -> None:
    opening.may_open.set()

    await calling(opening, nothing)

    assert stream.causes == []


async def test_an_error_abandons_the_stream_and_is_raised(opening: Opening, stream: Stream) -> None:
    opening.may_open.set()

    with pytest.raises(InvalidRequest):
        await calling(opening, refuse)

    assert stream.causes == ["INVALID_REQUEST"]


async def test_a_stream_that_cannot_be_opened_is_not_abandoned(opening: Opening, stream: Stream) -> None:
    opening.may_open.set()
    opening.error = PageNotRegistered("1001")

    with pytest.raises(PageNotRegistered):
        await calling(opening, nothing)

    assert stream.causes == []


async def test_a_call_cancelled_while_the_stream_opens_abandons_it_afterwards(opening: Opening, stream: Stream) -> None:
    call = calling(opening, nothing)
    await opening.asked.wait()
    call.cancel()
    opening.may_open.set()

    with pytest.raises(asyncio.CancelledError):
        await call

    assert stream.causes == ["CancelledError"]


async def test_a_second_cancel_does_not_prevent_the_abandoning(opening: Opening, stream: Stream) -> None:
    opening.may_open.set()
    stream.may_give_up.clear()
    working = asyncio.Event()

    async def work() -> None:
        working.set()
        await asyncio.Event().wait()

    call = calling(opening, work)
    await working.wait()
    call.cancel()
    await stream.giving_up.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert stream.causes == []

    stream.may_give_up.set()

    async def causes() -> list[str]:
        return stream.causes

    assert await eventually(causes) == ["CancelledError"]


async def test_an_unavailable_log_does_not_hide_the_cause(opening: Opening, stream: Stream) -> None:
    opening.may_open.set()
    stream.error = Unavailable("away", timedelta(seconds=1))

    with capture_logs() as logs, pytest.raises(InvalidRequest):
        await calling(opening, refuse)

    [line] = logs
    assert (line["event"], line["cause"]) == ("stream_not_abandoned", "INVALID_REQUEST")
