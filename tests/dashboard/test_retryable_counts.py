"""The counts of retryable recipients in the history."""

from typing import cast

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from redrive import Client, FailedPrecondition, Unavailable
from redrive.dashboard.state.retryable_counts import RetryableCounts
from redrive.v1.delivery_service_pb2 import ListFailedResponse
from redrive.v1.message_pb2 import Counts, Message

AWAY = Unavailable("no route", code=grpc.StatusCode.UNAVAILABLE)
ARCHIVED = FailedPrecondition("archived", code=grpc.StatusCode.FAILED_PRECONDITION, reason="MESSAGE_ARCHIVED")


class Server:
    """Returns the counts that it is given, or raises an error."""

    def __init__(self, **counts: int | Exception) -> None:
        self.counts = counts
        self.asked: list[str] = []

    def list_failed(self, message_id: str, *, page_size: int) -> "_Listing":
        assert page_size == 1
        self.asked.append(message_id)
        return _Listing(self.counts[message_id])


class _Listing:
    def __init__(self, count: int | Exception) -> None:
        self._count = count

    async def page(self) -> ListFailedResponse:
        if isinstance(self._count, Exception):
            raise self._count
        return ListFailedResponse(retryable_count=self._count)


def failed(message_id: str, at: int) -> Message:
    return Message(id=message_id, counts=Counts(total=9, failed=4), update_time=Timestamp(seconds=at))


def counts_of(server: Server) -> RetryableCounts:
    return RetryableCounts(cast("Client", server))


async def test_zero_count_is_read_again_after_its_message_changed() -> None:
    server = Server(m=0)
    counts = counts_of(server)
    await counts.load([failed("m", at=1)], lambda: None)
    counts.set_visible_messages("tab", [failed("m", at=1)])
    await counts.refresh_one()
    assert (counts.known(failed("m", at=1)), server.asked) == (0, ["m"])

    server.counts["m"] = 4  # its page got a new token
    counts.set_visible_messages("tab", [failed("m", at=2)])
    await counts.refresh_one()

    assert counts.known(failed("m", at=2)) == 4


async def test_changed_message_is_read_again() -> None:
    server = Server(m=3, still=1)
    counts = counts_of(server)
    await counts.load([failed("m", at=1), failed("still", at=1)], lambda: None)
    server.counts["m"] = 0  # after a resend
    await counts.load([failed("m", at=2), failed("still", at=1)], lambda: None)

    assert (counts.known(failed("m", at=2)), server.asked) == (0, ["m", "still", "m"])


async def test_unreadable_message_does_not_block_others() -> None:
    server = Server(gone=ARCHIVED, there=3)
    counts = counts_of(server)
    counts.set_visible_messages("tab", [failed("gone", at=1), failed("there", at=1)])

    await counts.refresh_one()
    await counts.refresh_one()

    assert (counts.known(failed("gone", at=1)), counts.known(failed("there", at=1))) == (None, 3)


async def test_unreachable_server_is_asked_again() -> None:
    server = Server(m=AWAY)
    counts = counts_of(server)
    counts.set_visible_messages("tab", [failed("m", at=1)])
    await counts.refresh_one()
    server.counts["m"] = 2
    await counts.refresh_one()

    assert counts.known(failed("m", at=1)) == 2


async def test_message_without_failures_is_not_read() -> None:
    server = Server()
    counts = counts_of(server)
    message = Message(id="m", counts=Counts(total=9, sent=9))
    counts.set_visible_messages("tab", [message])
    await counts.load([message], lambda: None)
    await counts.refresh_one()

    assert (counts.known(message), server.asked) == (0, [])
