"""Retries of each type: automatic, by the timer, by an outside scheduler."""

import asyncio
from pathlib import Path

from redrive import Client
from redrive.v1.message_pb2 import Message, MessageStatus, OnUnconfirmed, RetryType
from redrive.v1.retry_service_pb2 import ScheduledRetryStatus
from tests.e2e.campaign import (
    assert_no_duplicates,
    put_page,
    recipients,
    send_and_wait,
    send_request,
    watch_until_done,
)
from tests.e2e.processes import SandboxProcess, client_of, running_server
from tests.waiting import eventually


async def test_auto_resends_until_no_retryable_recipient_is_left(client: Client, sandbox: SandboxProcess) -> None:
    await put_page(client)
    await sandbox.control.order(
        {"preset": "unknown_recipient", "recipients": ["u0"]},
        {"preset": "temporary", "recipients": ["u1?"], "times": 1},
        {"preset": "temporary", "recipients": ["u2?"], "times": 2},
    )

    message = await send_and_wait(client, send_request(recipients(500), retry=RetryType.RETRY_TYPE_AUTO))

    assert (message.counts.sent, message.counts.failed) == (499, 1)
    assert message.retry_count == 2
    await assert_no_duplicates(sandbox)


async def test_auto_stops_when_the_attempts_are_used_up(client: Client, sandbox: SandboxProcess) -> None:
    await put_page(client)
    await sandbox.control.order({"preset": "temporary", "recipients": ["u7"]})

    message = await send_and_wait(client, send_request(recipients(20), retry=RetryType.RETRY_TYPE_AUTO, max_retries=2))

    [failed] = [one async for one in client.list_failed(message.id)]
    assert (failed.attempt_count, failed.retryable, message.retry_count) == (3, False, 2)
    assert len((await sandbox.control.received("u7")).arrivals) == 3


async def test_an_unconfirmed_delivery_is_held_unless_the_message_asks_for_a_resend(
    client: Client, sandbox: SandboxProcess
) -> None:
    await put_page(client)
    await sandbox.control.order({"preset": "network", "recipients": ["*7"], "times": 1})

    held = await send_and_wait(client, send_request(recipients(10, "a"), retry=RetryType.RETRY_TYPE_AUTO))
    resent = await send_and_wait(
        client,
        send_request(
            recipients(10, "b"),
            retry=RetryType.RETRY_TYPE_AUTO,
            on_unconfirmed=OnUnconfirmed.ON_UNCONFIRMED_RESEND,
        ),
    )

    assert (held.counts.sent, held.counts.unconfirmed) == (9, 1)
    assert (resent.counts.sent, resent.counts.unconfirmed) == (10, 0)


async def test_concurrent_outside_schedulers_start_one_round(client: Client, sandbox: SandboxProcess) -> None:
    await put_page(client)
    await sandbox.control.order({"preset": "temporary", "recipients": ["u?"], "times": 1})
    waiting = await send_and_wait(client, send_request(recipients(100), retry=RetryType.RETRY_TYPE_CRON))
    assert waiting.status == MessageStatus.MESSAGE_STATUS_PARTIALLY_SENT
    [failed, *_] = [one async for one in client.list_failed(waiting.id)]
    assert failed.HasField("next_retry_time")

    answers = await asyncio.gather(*(client.run_scheduled_retries() for _ in range(4)))

    assert sorted(answer.processed for answer in answers) == [0, 0, 0, 1]
    [result] = [r for answer in answers for r in answer.results if r.recipients_count]
    assert result.status == ScheduledRetryStatus.SCHEDULED_RETRY_STATUS_STARTED
    assert (result.recipients_count, result.batches_created, result.retry_attempt) == (10, 1, 1)
    await watch_until_done(client, waiting.id)
    assert (await client.get_message(waiting.id)).counts.sent == 100
    await assert_no_duplicates(sandbox)


async def test_the_timer_retries_without_a_call(tmp_path: Path, sandbox: SandboxProcess) -> None:
    await sandbox.control.order({"preset": "temporary", "recipients": ["u1"], "times": 2})
    settings = {"REDRIVE_RETRY_INTERVAL": "0.5"}
    async with running_server(tmp_path, sandbox.graph_url, settings) as server, client_of(server) as client:
        await put_page(client)
        sent = await client.send(send_request(recipients(5), retry=RetryType.RETRY_TYPE_CRON))

        message = await _all_sent(client, sent.message.id)

        assert message.retry_count == 2
        schedule = await client.get_retry_schedule()
        assert schedule.interval.ToTimedelta().total_seconds() == 0.5
        assert schedule.HasField("last_run_time")


async def _all_sent(client: Client, message_id: str) -> Message:
    return await eventually(
        lambda: client.get_message(message_id),
        lambda message: message.counts.sent == message.counts.total,
        within=20.0,
    )
