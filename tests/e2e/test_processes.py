"""Several processes on one PostgreSQL: they share the pages, and survive the loss of one process."""

import asyncio
import json
import time

from redrive import Client
from redrive.v1.batch_pb2 import Batch, BatchStatus
from redrive.v1.content_pb2 import Content
from redrive.v1.delivery_service_pb2 import SendRequest
from redrive.v1.message_pb2 import Message, MessageStatus
from redrive.v1.page_service_pb2 import PutPageRequest
from tests.e2e.campaign import assert_balanced, assert_no_duplicates, recipients, watch_until_done
from tests.e2e.processes import SandboxProcess, ServerProcess, client_of
from tests.waiting import eventually

PAGES = ("2001", "2002", "2003", "2004")


async def _send_on_every_page(client: Client, *, people: int, rate: float) -> list[Message]:
    messages = []
    for page in PAGES:
        await client.put_page(PutPageRequest(page_id=page, access_token="EAAG", messages_per_second=rate))
        request = SendRequest(page_id=page, content=Content(text="Hi {{name}}"), recipients=recipients(people, page))
        messages.append((await client.send(request)).message)
    return messages


async def _workers(client: Client, messages: list[Message]) -> set[str]:
    return {b.worker for m in messages async for b in client.list_batches(m.id) if b.worker}


async def _started(client: Client, messages: list[Message]) -> list[Batch]:
    started = [BatchStatus.BATCH_STATUS_STARTED]
    return [batch for m in messages async for batch in client.list_batches(m.id, statuses=started)]


async def test_two_processes_share_the_pages_and_each_answers_every_call(
    two_servers: tuple[ServerProcess, ServerProcess], sandbox: SandboxProcess
) -> None:
    async with client_of(two_servers[0]) as one, client_of(two_servers[1]) as other:
        messages = await _send_on_every_page(one, people=300, rate=60)

        await eventually(lambda: _workers(other, messages), lambda found: len(found) == 2)
        ends = await asyncio.gather(*(watch_until_done(other, message.id) for message in messages))

        assert [end.counts.sent for end in ends] == [300] * 4
        assert (await sandbox.control.summary()).received == 1_200
        await assert_no_duplicates(sandbox)


async def test_a_pause_requested_from_one_process_stops_deliveries_of_both(
    two_servers: tuple[ServerProcess, ServerProcess], sandbox: SandboxProcess
) -> None:
    async with client_of(two_servers[0]) as one, client_of(two_servers[1]) as other:
        messages = await _send_on_every_page(one, people=300, rate=60)
        await eventually(lambda: _workers(other, messages), lambda found: len(found) == 2)

        await asyncio.gather(*(other.pause_message(message.id) for message in messages))
        await eventually(lambda: _started(one, messages), lambda batches: not batches)

        paused = [await one.get_message(message.id) for message in messages]
        assert {message.status for message in paused} == {MessageStatus.MESSAGE_STATUS_PAUSED}
        assert all(message.counts.pending > 0 for message in paused)
        assert (await sandbox.control.summary()).received == sum(message.counts.sent for message in paused)

        await asyncio.gather(*(one.resume_message(message.id) for message in messages))
        ends = await asyncio.gather(*(watch_until_done(other, message.id) for message in messages))
        assert [end.counts.sent for end in ends] == [300] * 4
        await assert_no_duplicates(sandbox)


async def test_a_pause_by_the_platform_is_shown_and_released_by_any_process(
    two_servers: tuple[ServerProcess, ServerProcess], sandbox: SandboxProcess
) -> None:
    usage = json.dumps({PAGES[0]: [{"type": "messenger", "call_count": 1, "estimated_time_to_regain_access": 30}]})
    headers = {"kind": "headers", "headers": {"X-Business-Use-Case-Usage": usage}}
    await sandbox.control.order({"effect": headers, "page": PAGES[0]})
    async with client_of(two_servers[0]) as one, client_of(two_servers[1]) as other:
        await one.put_page(PutPageRequest(page_id=PAGES[0], access_token="EAAG", messages_per_second=50))
        request = SendRequest(page_id=PAGES[0], content=Content(text="Hi"), recipients=recipients(100))
        message = (await one.send(request)).message
        for client in (one, other):
            async for answer in client.watch_progress(message.id):
                if answer.progress.HasField("page_pause"):
                    break
            assert f"messenger of {PAGES[0]}" in answer.progress.page_pause.reason
            [page] = [page async for page in client.list_pages()]
            assert page.pause == (await client.get_message(message.id)).page_pause == answer.progress.page_pause
        await sandbox.control.clear_faults()
        [worker] = await _workers(one, [message])
        idle = other if f":{two_servers[0].pid}:" in worker else one

        released = await idle.release_page(PAGES[0])

        assert not released.HasField("pause")
        end = await watch_until_done(one, message.id)
        assert end.counts.sent == 100
        await assert_no_duplicates(sandbox)


async def test_a_scheduled_message_is_sent_at_its_time_by_any_process(
    two_servers: tuple[ServerProcess, ServerProcess], sandbox: SandboxProcess
) -> None:
    async with client_of(two_servers[0]) as one, client_of(two_servers[1]) as other:
        await one.put_page(PutPageRequest(page_id=PAGES[0], access_token="EAAG", messages_per_second=1_000))
        request = SendRequest(page_id=PAGES[0], content=Content(text="Hi"), recipients=recipients(20))
        scheduled = time.time() + 2.0
        request.schedule_time.FromNanoseconds(int(scheduled * 1e9))
        message = (await one.send(request)).message

        end = await watch_until_done(other, message.id)

        assert end.counts.sent == 20
        arrivals = (await sandbox.control.received(limit=100)).arrivals
        assert scheduled <= min(arrival.time for arrival in arrivals) < scheduled + 3.0
        await assert_no_duplicates(sandbox)


async def test_a_killed_process_is_replaced_within_ten_seconds(
    two_servers: tuple[ServerProcess, ServerProcess], sandbox: SandboxProcess
) -> None:
    async with client_of(two_servers[1]) as client:
        messages = await _send_on_every_page(client, people=800, rate=40)
        await eventually(lambda: _workers(client, messages), lambda found: len(found) == 2)

        await two_servers[0].kill()
        killed = time.monotonic()
        dead = {worker for worker in await _workers(client, messages) if f":{two_servers[0].pid}:" in worker}

        async def abandoned() -> set[str]:
            started = [
                batch.worker
                for message in messages
                async for batch in client.list_batches(message.id)
                if batch.worker in dead and not batch.HasField("end_time")
            ]
            return set(started)

        await eventually(abandoned, lambda left: not left, within=10)
        assert time.monotonic() - killed < 10
        ends = await asyncio.gather(*(watch_until_done(client, message.id) for message in messages))

        for end in ends:
            assert_balanced(end.counts)
            assert end.counts.sent + end.counts.unconfirmed == 800
        assert sum(end.counts.unconfirmed for end in ends) <= 2 * 10 + 64
        await assert_no_duplicates(sandbox)


async def test_a_watch_shows_changes_of_another_process_within_500_ms(
    two_servers: tuple[ServerProcess, ServerProcess], sandbox: SandboxProcess
) -> None:
    async with client_of(two_servers[0]) as one, client_of(two_servers[1]) as other:
        [message, *_] = await _send_on_every_page(one, people=4, rate=2)
        lags = {}
        for number, client in enumerate((one, other)):
            seen = 0.0
            async for answer in client.watch_progress(message.id):
                if answer.progress.counts.sent >= 2 + number:
                    seen = time.time()
                    break
            [arrival] = (await sandbox.control.received(f"2001{1 + number}")).arrivals
            lags[number] = seen - arrival.time

        assert max(lags.values()) < 0.5
