"""GetMessage and ListFailed with as_of_time: past states from the log."""

import asyncio
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from domain.event import RecordedEvent
from domain.message_events import MessageCancelled, MessageCompleted, MessageEvent
from domain.streams import batch_stream, message_stream, page_stream
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
from tests.server.api.known_callers import Callers, guarded_edge, token_metadata
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


class PastMessage:
    """A message whose events have given times, in seconds after NOW."""

    def __init__(self, edge: Edge) -> None:
        self.edge = edge
        self.version = 0

    async def append(self, *events: MessageEvent) -> None:
        await self.edge.commit(message_stream(MESSAGE), self.version, *events)
        self.version += len(events)

    async def batch(self, number: int, people: Sequence[str], seconds: float, *, attempt: int = 1) -> None:
        recipients = batch_recipients(*people, attempt=attempt)
        created = batch_created(*recipients, batch_number=number, round=number - 1, time=after(seconds))
        await self.edge.commit(batch_stream(MESSAGE, 0, number), 0, created)

    async def write(self) -> None:
        """Ann is reached by the second attempt, Bob is not reached, Cid is unconfirmed."""
        await self.append(message_submitted(3, time=after(10)))
        await self.batch(1, ["ann", "bob", "cid"], 10)
        await self.edge.deliver(MESSAGE, {"ann": FAILED, "bob": FAILED_FOR_TOKEN, "cid": UNCONFIRMED}, now=after(20))
        await self.append(MessageCompleted(message_id=MESSAGE, time=after(30)))
        await self.append(retry_requested(time=after(40)))
        await self.batch(2, ["ann"], 40, attempt=2)
        await self.edge.deliver(MESSAGE, {}, batch_number=2, now=after(50))
        await self.append(MessageCompleted(message_id=MESSAGE, time=after(60)))
        await self.edge.commit(page_stream("1001"), 1, page_token_replaced(2, time=after(70)))


@pytest.fixture
async def history_edge(edge: Edge) -> Edge:
    await PastMessage(edge).write()
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
async def test_a_message_is_shown_in_its_past_state(
    history_edge: Edge, seconds: float, status: MessageStatus.ValueType, counts: Counts
) -> None:
    message = await message_at(history_edge, seconds)

    assert (message.status, message.counts) == (status, counts)


async def test_all_fields_of_a_message_have_their_past_values(history_edge: Edge) -> None:
    first, second = await message_at(history_edge, 35), await message_at(history_edge, 65)

    assert (first.title, first.owner, first.create_time) == ("Spring sale", OWNER, stamp(after(10)))
    assert (first.batches_total, first.batches_completed) == (1, 1)
    assert (first.update_time, first.end_time) == (stamp(after(30)), stamp(after(30)))
    assert (second.batches_total, second.batches_completed, second.end_time) == (2, 2, stamp(after(60)))


async def test_the_state_of_now_equals_the_current_state(history_edge: Edge) -> None:
    is_now = (await history_edge.delivery.GetMessage(GetMessageRequest(message_id=MESSAGE))).message
    was_just_now = await message_at(history_edge, (wall_clock() - NOW).total_seconds())

    is_now.ClearField("sequence")  # past states have no sequence
    assert was_just_now == is_now


async def test_recipients_that_had_failed_then_are_listed(history_edge: Edge) -> None:
    assert people(await failed_at(history_edge, 15)) == []
    assert people(await failed_at(history_edge, 25)) == ["ann", "bob", "cid"]
    assert people(await failed_at(history_edge, 45)) == ["bob", "cid"]


async def test_past_retryability_uses_what_was_known_then(history_edge: Edge) -> None:
    """Bob failed for the page's token, which was replaced later."""
    before, later = await failed_at(history_edge, 65), await failed_at(history_edge, 75)

    assert (before.retryable_count, later.retryable_count) == (0, 1)
    assert [failed.retryable for failed in later.failed_recipients] == [True, False]
    assert not any(failed.HasField("next_retry_time") for failed in later.failed_recipients)


async def test_past_failures_are_listed_in_pages_of_one_time(
    history_edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await failed_at(history_edge, 25, page_size=2)
    monkeypatch.setattr(history_edge.log, "recorded_in", None)  # the state made for the first page is used again
    second = await failed_at(history_edge, 25, page_size=2, page_token=first.next_page_token)

    assert (people(first), people(second)) == (["ann", "bob"], ["cid"])
    refusal = await refusal_of(failed_at(history_edge, 26, page_size=2, page_token=first.next_page_token))
    assert list(refusal.violations) == ["page_token"]


async def test_rebuilt_states_are_discarded_after_a_while(history_edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "KEPT_SECONDS", 0.0)
    forgotten: list[Replay] = []
    let_go = history._close_in_thread

    def watched(replay: Replay) -> None:
        forgotten.append(replay)
        let_go(replay)

    monkeypatch.setattr(history, "_close_in_thread", watched)

    first, again = await message_at(history_edge, 25), await message_at(history_edge, 25)

    assert first == again
    await eventually(lambda: asyncio.sleep(0, result=forgotten), lambda gone: len(gone) == 2)


@pytest.mark.parametrize("seconds", [-100, 9.9])
async def test_a_message_did_not_exist_before_it_was_accepted(history_edge: Edge, seconds: float) -> None:
    for asked in (message_at(history_edge, seconds), failed_at(history_edge, seconds)):
        refusal = await refusal_of(asked)
        assert refusal.code is grpc.StatusCode.NOT_FOUND
        assert refusal.info.reason == "MESSAGE_NOT_FOUND"


async def test_a_future_time_is_an_invalid_argument(history_edge: Edge) -> None:
    ahead = (wall_clock() - NOW + timedelta(minutes=5)).total_seconds()
    for asked in (message_at(history_edge, ahead), failed_at(history_edge, ahead)):
        refusal = await refusal_of(asked)
        assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
        assert refusal.violations == {"as_of_time": "must not be in the future"}


async def test_past_states_of_another_owners_message_are_not_found(edge: Edge) -> None:
    await edge.submit_as("another owner", "m-theirs")

    for message_id in ("m-theirs", "m-unknown"):
        refusal = await refusal_of(message_at(edge, 100, message_id))
        assert refusal.code is grpc.StatusCode.NOT_FOUND


async def test_a_streamed_message_did_not_exist_before_it_was_submitted(edge: Edge) -> None:
    """Its stream was interrupted and repeated, and its batches were created before the message."""
    staged, again = message_staged(time=after(1)), message_staged(time=after(3))
    await edge.commit(message_stream(MESSAGE), 0, staged, message_abandoned(time=after(2)), again)
    created = batch_created("ann", "bob", stage=3, time=after(4))
    await edge.commit(batch_stream(MESSAGE, 3, 1), 0, created)
    await edge.commit(message_stream(MESSAGE), 3, message_submitted(2, stage=3, time=after(5)))

    refusal = await refusal_of(message_at(edge, 4.5))
    assert refusal.code is grpc.StatusCode.NOT_FOUND
    assert (await message_at(edge, 5)).counts == Counts(total=2, pending=2)


async def test_a_cancel_is_shown_from_its_time_on(edge: Edge) -> None:
    story = PastMessage(edge)
    await story.append(message_submitted(1, time=after(0)))
    await story.batch(1, ["ann"], 0)
    await edge.deliver(MESSAGE, {"ann": FAILED}, now=after(5))
    await story.append(MessageCancelled(message_id=MESSAGE, requested_by=OWNER, time=after(10)))

    assert (await failed_at(edge, 9)).retryable_count == 1
    assert (await failed_at(edge, 10)).retryable_count == 0
    assert (await message_at(edge, 10)).status == MessageStatus.MESSAGE_STATUS_CANCELLED


async def test_one_owners_request_for_past_states_does_not_wait_for_anothers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    callers = Callers(tmp_path)
    blocked, end = threading.Event(), threading.Event()
    apply = Replay.apply

    def held_up(replay: Replay, recorded: Sequence[RecordedEvent]) -> None:
        if replay._message_id == "m-heavy":
            blocked.set()
            end.wait()
        apply(replay, recorded)

    monkeypatch.setattr(Replay, "apply", held_up)
    async with guarded_edge(callers) as edge:
        for owner in ("heavy", "light"):
            await edge.submit_as(owner, f"m-{owner}")
        tokens = {owner: token_metadata(callers.token(owner, Scope.READ)) for owner in ("heavy", "light")}
        past = {
            owner: GetMessageRequest(message_id=f"m-{owner}", as_of_time=stamp(after(1)))
            for owner in ("heavy", "light")
        }
        heavy = [edge.delivery.GetMessage(past["heavy"], metadata=tokens["heavy"]) for _ in range(8)]
        try:
            await eventually(lambda: asyncio.sleep(0, blocked.is_set()))
            async with asyncio.timeout(5):
                answered = await edge.delivery.GetMessage(past["light"], metadata=tokens["light"])
        finally:
            end.set()
        waited = await asyncio.gather(*heavy)

    assert answered.message.id == "m-light"
    assert {answer.message.id for answer in waited} == {"m-heavy"}


async def test_past_states_of_few_owners_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each may use 32 MiB of memory, and a file."""
    open_replays = 0

    class Counted(Replay):
        def __init__(self, message_id: str) -> None:
            nonlocal open_replays
            open_replays += 1
            super().__init__(message_id)

        def close(self) -> None:
            nonlocal open_replays
            open_replays -= 1
            super().close()

    monkeypatch.setattr(history, "Replay", Counted)
    callers = Callers(tmp_path)
    async with guarded_edge(callers) as edge:
        asked = []
        for number in range(3 * history.AT_ONCE):
            owner = f"owner-{number}"
            await edge.submit_as(owner, f"m-{number}")
            request = GetMessageRequest(message_id=f"m-{number}", as_of_time=stamp(after(1)))
            asked.append(edge.delivery.GetMessage(request, metadata=token_metadata(callers.token(owner, Scope.READ))))
        answers = await asyncio.gather(*asked)
        await eventually(lambda: asyncio.sleep(0, open_replays), lambda count: count <= history.AT_ONCE)

    assert [answer.message.id for answer in answers] == [f"m-{number}" for number in range(3 * history.AT_ONCE)]
