"""Receipts are sent to the server in groups, and each request gets its group's result."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from redrive.v1.receipt_service_pb2 import Receipt, RecordReceiptsResponse
from server.webhooks.feeder import MAX_RECEIPTS, Feeder


class Server:
    """Records calls; refuses a given receipt."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.refused = ""

    async def record(self, receipts: Sequence[Receipt]) -> RecordReceiptsResponse:
        self.calls.append([receipt.recipient_id for receipt in receipts])
        if self.refused in self.calls[-1]:
            raise ConnectionError(self.refused)
        return RecordReceiptsResponse(recorded=len(receipts))


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def feeder(server: Server) -> AsyncIterator[Feeder]:
    feeder = Feeder(server.record)
    task = asyncio.create_task(feeder.run())
    yield feeder
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def receipts(*who: str) -> list[Receipt]:
    return [Receipt(recipient_id=one) for one in who]


async def test_receipts_that_arrive_shortly_after_are_sent_in_the_same_call(feeder: Feeder, server: Server) -> None:
    first = asyncio.create_task(feeder.feed(receipts("ann", "bob")))
    for _ in range(20):
        await asyncio.sleep(0)  # many turns of the loop, without a delay
    second = asyncio.create_task(feeder.feed(receipts("cid")))

    await asyncio.gather(first, second)

    assert server.calls == [["ann", "bob", "cid"]]


async def test_more_receipts_than_a_call_may_have_are_divided(feeder: Feeder, server: Server) -> None:
    await feeder.feed(receipts(*(str(number) for number in range(2 * MAX_RECEIPTS + 1))))

    assert [len(call) for call in server.calls] == [MAX_RECEIPTS, MAX_RECEIPTS, 1]


async def test_all_requests_of_a_failed_call_get_the_error_and_the_next_call_continues(
    feeder: Feeder, server: Server
) -> None:
    server.refused = "bob"
    together = await asyncio.gather(feeder.feed(receipts("ann")), feeder.feed(receipts("bob")), return_exceptions=True)
    await feeder.feed(receipts("cid"))

    assert [str(error) for error in together] == ["bob", "bob"]
    assert server.calls[-1] == ["cid"]


async def test_a_cancelled_request_does_not_affect_the_others(feeder: Feeder, server: Server) -> None:
    gone = asyncio.create_task(feeder.feed(receipts("ann")))
    await asyncio.sleep(0)
    gone.cancel()

    await feeder.feed(receipts("bob"))

    assert server.calls == [["ann", "bob"]]
