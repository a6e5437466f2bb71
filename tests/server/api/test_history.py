"""GetMessage and ListFailed with an as_of_time: what was, answered from the log."""

import asyncio
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from domain.message_events import MessageCancelled, MessageCompleted, MessageEvent
from domain.streams import batch_stream, message_stream, page_stream
from projections.recorded import Recorded
from redrive.v1.delivery_service_pb2 import (
    GetMessageRequest,
    ListFailedRequest,
    ListFailedResponse,
)
from redrive.v1.message_pb2 import Counts, Message, MessageStatus
from server.auth.caller import Scope
from server.queries import history
from server.queries.history import Replay
from tests.builders import (
    FAILED,
    FAILED_FOR_TOKEN,
    MESSAGE,
    NOW,
    OWNER,
    UNCONFIRMED,
    after,
    batch_created,
    batch_recipients,
    message_abandoned,
    message_staged,
    message_submitted,
    page_token_replaced,
    retry_requested,
    wall_clock,
)
from tests.server.api.edge import Edge
from tests.server.api.known_callers import Callers, bearing, guarded_edge
from tests.server.api.refusals import refusal_of
from tests.waiting import eventually


def stamp(time: datetime) -> Timestamp:
    written = Timestamp()
    written.FromDatetime(time)
    return written


async def message_at(edge: Edge, seconds: float, message_id: str = MESSAGE) -> Message:
    request = GetMessageRequest(message_id=message_id, as_of_time=stamp(after(seconds)))
    return (await edge.delivery.GetMessage(request)).message


async def failed_at(edge: Edge, seconds: float, **fields: Any) -> ListFailedResponse:
    request = ListFailedRequest(message_id=MESSAGE, as_of_time=stamp(after(seconds)), **fields)
    return await edge.delivery.ListFailed(request)


def people(answer: ListFailedResponse) -> list[str]:
    return [failed.recipient_id for failed in answer.failed_recipients]


class Story:
    """A message whose events come at the times that the test says, in seconds after NOW."""

    def __init__(self, edge: Edge) -> None:
        self.edge = edge
        self.version = 0

    async def then(self, *events: MessageEvent) -> None:
        await self.edge.commit(message_stream(MESSAGE), self.version, *events)
        self.version += len(events)

    async def batch(self, number: int, people: Sequence[str], seconds: float, *, attempt: int = 1) -> None:
        recipients = batch_recipients(*people, attempt=attempt)
        created = batch_created(*recipients, batch_number=number, round=number - 1, time=after(seconds))
        await self.edge.commit(batch_stream(MESSAGE, 0, number), 0, created)

    async def tell(self) -> None:
        """Ann is reached by the second attempt; Bob not at all; of Cid nobody knows."""
        await self.then(message_submitted(3, time=after(10)))
        await self.batch(1, ["ann", "bob", "cid"], 10)
        await self.edge.deliver(MESSAGE, {"ann": FAILED, "bob": FAILED_FOR_TOKEN, "cid": UNCONFIRMED}, now=after(20))
        await self.then(MessageCompleted(message_id=MESSAGE, time=after(30)))
        await self.then(retry_requested(time=after(40)))
        await self.batch(2, ["ann"], 40, attempt=2)
        await self.edge.deliver(MESSAGE, {}, batch_number=2, now=after(50))
        await self.then(MessageCompleted(message_id=MESSAGE, time=after(60)))
        await self.edge.commit(page_stream("1001"), 1, page_token_replaced(2, time=after(70)))


@pytest.fixture
async def told(edge: Edge) -> Edge:
    await Story(edge).tell()
    return edge


@pytest.mark.parametrize(
    ("seconds", "status", "counts"),
    [
        (10, MessageStatus.MESSAGE_STATUS_PENDING, Counts(total=3, pending=3)),
        (19.9, MessageStatus.MESSAGE_STATUS_PENDING, Counts(total=3, pending=3)),
        (20, MessageStatus.MESSAGE_STATUS_SENDING, Counts(total=3, failed=2, unconfirmed=1)),
        (30, MessageStatus.MESSAGE_STATUS_FAILED, Counts(total=3, failed=2, unconfirmed=1)),
        (45, MessageStatus.MESSAGE_STATUS_SENDING, Counts(total=3, pending=1, failed=1, unconfirmed=1)),
        (59, MessageStatus.MESSAGE_STATUS_SENDING, Counts(total=3, sent=1, failed=1, unconfirmed=1)),
        (60, MessageStatus.MESSAGE_STATUS_PARTIALLY_SENT, Counts(total=3, sent=1, failed=1, unconfirmed=1)),
        (1_000, MessageStatus.MESSAGE_STATUS_PARTIALLY_SENT, Counts(total=3, sent=1, failed=1, unconfirmed=1)),
    ],
)
async def test_a_message_is_shown_as_it_was(
    told: Edge, seconds: float, status: MessageStatus.ValueType, counts: Counts
) -> None:
    message = await message_at(told, seconds)

    assert (message.status, message.counts) == (status, counts)


async def test_all_else_of_a_message_is_as_it_was_too(told: Edge) -> None:
    first, second = await message_at(told, 35), await message_at(told, 65)

    assert (first.title, first.owner, first.create_time) == ("Spring sale", OWNER, stamp(after(10)))
    assert (first.batches_total, first.batches_completed) == (1, 1)
    assert (first.update_time, first.end_time) == (stamp(after(30)), stamp(after(30)))
    assert (second.batches_total, second.batches_completed, second.end_time) == (2, 2, stamp(after(60)))


async def test_the_past_of_now_is_what_is(told: Edge) -> None:
    is_now = (await told.delivery.GetMessage(GetMessageRequest(message_id=MESSAGE))).message
    was_just_now = await message_at(told, (wall_clock() - NOW).total_seconds())

    is_now.ClearField("sequence")  # of the past it is of no use
    assert was_just_now == is_now


async def test_those_are_listed_who_had_failed(told: Edge) -> None:
    assert people(await failed_at(told, 15)) == []
    assert people(await failed_at(told, 25)) == ["ann", "bob", "cid"]
    assert people(await failed_at(told, 45)) == ["bob", "cid"]


async def test_who_was_retryable_is_judged_by_what_was_known_then(told: Edge) -> None:
    """Bob failed for the page's token, which was replaced later."""
    before, later = await failed_at(told, 65), await failed_at(told, 75)

    assert (before.retryable_count, later.retryable_count) == (0, 1)
    assert [failed.retryable for failed in later.failed_recipients] == [True, False]
    assert not any(failed.HasField("next_retry_time") for failed in later.failed_recipients)


async def test_who_had_failed_comes_page_by_page_from_one_moment(told: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await failed_at(told, 25, page_size=2)
    monkeypatch.setattr(told.log, "recorded_in", None)  # what was made for the first page is of use still
    second = await failed_at(told, 25, page_size=2, page_token=first.next_page_token)

    assert (people(first), people(second)) == (["ann", "bob"], ["cid"])
    refusal = await refusal_of(failed_at(told, 26, page_size=2, page_token=first.next_page_token))
    assert list(refusal.violations) == ["page_token"]


async def test_what_was_made_is_forgotten_after_a_while(told: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "KEPT_SECONDS", 0.0)
    forgotten: list[Replay] = []
    let_go = history._let_go

    def watched(replay: Replay) -> None:
        forgotten.append(replay)
        let_go(replay)

    monkeypatch.setattr(history, "_let_go", watched)

    first, again = await message_at(told, 25), await message_at(told, 25)

    assert first == again
    await eventually(lambda: asyncio.sleep(0, result=forgotten), lambda gone: len(gone) == 2)


@pytest.mark.parametrize("seconds", [-100, 9.9])
async def test_before_it_was_accepted_there_was_no_message(told: Edge, seconds: float) -> None:
    for asked in (message_at(told, seconds), failed_at(told, seconds)):
        refusal = await refusal_of(asked)
        assert refusal.code is grpc.StatusCode.NOT_FOUND
        assert refusal.info.reason == "MESSAGE_NOT_FOUND"


async def test_the_future_is_an_invalid_argument(told: Edge) -> None:
    ahead = (wall_clock() - NOW + timedelta(minutes=5)).total_seconds()
    for asked in (message_at(told, ahead), failed_at(told, ahead)):
        refusal = await refusal_of(asked)
        assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
        assert refusal.violations == {"as_of_time": "must not be in the future"}


async def test_nobody_sees_anybody_elses_past(edge: Edge) -> None:
    await edge.submit_as("somebody else", "m-theirs")

    for message_id in ("m-theirs", "m-unknown"):
        refusal = await refusal_of(message_at(edge, 100, message_id))
        assert refusal.code is grpc.StatusCode.NOT_FOUND


async def test_a_stream_of_recipients_was_no_message_before_it_was_whole(edge: Edge) -> None:
    """It broke off, was begun again, and its batches came before the message itself."""
    staged, again = message_staged(time=after(1)), message_staged(time=after(3))
    await edge.commit(message_stream(MESSAGE), 0, staged, message_abandoned(time=after(2)), again)
    created = batch_created("ann", "bob", stage=3, time=after(4))
    await edge.commit(batch_stream(MESSAGE, 3, 1), 0, created)
    await edge.commit(message_stream(MESSAGE), 3, message_submitted(2, stage=3, time=after(5)))

    refusal = await refusal_of(message_at(edge, 4.5))
    assert refusal.code is grpc.StatusCode.NOT_FOUND
    assert (await message_at(edge, 5)).counts == Counts(total=2, pending=2)


async def test_a_cancel_is_seen_from_its_time_on(edge: Edge) -> None:
    story = Story(edge)
    await story.then(message_submitted(1, time=after(0)))
    await story.batch(1, ["ann"], 0)
    await edge.deliver(MESSAGE, {"ann": FAILED}, now=after(5))
    await story.then(MessageCancelled(message_id=MESSAGE, requested_by=OWNER, time=after(10)))

    assert (await failed_at(edge, 9)).retryable_count == 1
    assert (await failed_at(edge, 10)).retryable_count == 0
    assert (await message_at(edge, 10)).status == MessageStatus.MESSAGE_STATUS_CANCELLED


async def test_the_past_of_one_owner_does_not_wait_for_anothers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    callers = Callers(tmp_path)
    blocked, end = threading.Event(), threading.Event()
    apply = Replay.apply

    def held_up(replay: Replay, recorded: Sequence[Recorded]) -> None:
        if replay._message_id == "m-heavy":
            blocked.set()
            end.wait()
        apply(replay, recorded)

    monkeypatch.setattr(Replay, "apply", held_up)
    async with guarded_edge(callers) as edge:
        for owner in ("heavy", "her"):
            await edge.submit_as(owner, f"m-{owner}")
        tokens = {owner: bearing(callers.token(owner, Scope.READ)) for owner in ("heavy", "her")}
        past = {
            owner: GetMessageRequest(message_id=f"m-{owner}", as_of_time=stamp(after(1))) for owner in ("heavy", "her")
        }
        heavy = [edge.delivery.GetMessage(past["heavy"], metadata=tokens["heavy"]) for _ in range(8)]
        try:
            await eventually(lambda: asyncio.sleep(0, blocked.is_set()))
            async with asyncio.timeout(5):
                hers = await edge.delivery.GetMessage(past["her"], metadata=tokens["her"])
        finally:
            end.set()
        waited = await asyncio.gather(*heavy)

    assert hers.message.id == "m-her"
    assert {answer.message.id for answer in waited} == {"m-heavy"}


async def test_no_more_of_the_past_is_kept_than_for_a_few_owners(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each may take 32 MiB of memory, and a file."""
    alive = 0

    class Counted(Replay):
        def __init__(self, message_id: str) -> None:
            nonlocal alive
            alive += 1
            super().__init__(message_id)

        def close(self) -> None:
            nonlocal alive
            alive -= 1
            super().close()

    monkeypatch.setattr(history, "Replay", Counted)
    callers = Callers(tmp_path)
    async with guarded_edge(callers) as edge:
        asked = []
        for number in range(3 * history.AT_ONCE):
            owner = f"owner-{number}"
            await edge.submit_as(owner, f"m-{number}")
            request = GetMessageRequest(message_id=f"m-{number}", as_of_time=stamp(after(1)))
            asked.append(edge.delivery.GetMessage(request, metadata=bearing(callers.token(owner, Scope.READ))))
        answers = await asyncio.gather(*asked)
        await eventually(lambda: asyncio.sleep(0, alive), lambda count: count <= history.AT_ONCE)

    assert [answer.message.id for answer in answers] == [f"m-{number}" for number in range(3 * history.AT_ONCE)]
