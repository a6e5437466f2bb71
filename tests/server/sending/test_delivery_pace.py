"""The pace of deliveries, and what changes it during a send."""

import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from domain.batch_events import DeliveriesDispatched
from domain.fault import ErrorType, FaultScope, RetryRule
from domain.outcome import Failed
from domain.page_events import SendMode
from server.background.timer_report import TimerStatus
from server.cluster.page_leases import PagePause, set_retry_after
from server.messenger.channel import Channel, OutgoingMessage, PageCredentials, RateAdvice, SendResult
from server.sandbox.control import SandboxControl
from server.sandbox.record import Arrival
from server.sandbox.runner import Sandbox
from tests.builders import PAGE, auto, cron, crowd, fault, people
from tests.server.sending.service_process import ServiceProcess, open_service


def seconds(arrivals: Sequence[Arrival]) -> float:
    """Return the seconds from the first to the last arrival."""
    return arrivals[-1].time - arrivals[0].time


@pytest.mark.parametrize("send_mode", SendMode)
async def test_a_page_keeps_its_pace(service: ServiceProcess, send_mode: SendMode) -> None:
    """60 messages at 40 per second take 1 second: five may leave at once, or the last ten together in batches."""
    await service.put_page(access_token="", pace=40.0, send_mode=send_mode)

    await service.done(await service.send(crowd(60)))

    assert 0.9 < seconds(await service.arrivals()) < 6.0  # more on a busy machine


async def test_two_messages_share_their_pages_pace(service: ServiceProcess) -> None:
    await service.put_page(access_token="", pace=40.0)
    ids = [await service.send(crowd(25, name)) for name in "ab"]

    for message_id in ids:
        await service.done(message_id)

    assert seconds(await service.arrivals()) > 0.9  # 50 at 40 per second, with a burst of a tenth of a second


async def test_a_new_pace_applies_during_a_send(service: ServiceProcess) -> None:
    await service.put_page(access_token="", pace=2.0)
    message_id = await service.send(crowd(60))  # would take half a minute
    await service.arrived(1)

    await service.put_page(access_token="", pace=1_000.0)

    await service.done(message_id, within=5.0)


async def test_a_new_token_is_used_during_a_send(service: ServiceProcess) -> None:
    await service.put_page(access_token="", pace=40.0)
    message_id = await service.send(crowd(60))
    before = await service.arrived(10)

    await service.put_page(access_token="renewed", pace=40.0)
    arrived_until_then = len(await service.arrivals())

    assert (await service.done(message_id)).status == "SENT"
    tokens = [arrival.token for arrival in await service.arrivals()]
    assert set(tokens[arrived_until_then + 2 :]) == {tokens[-1]}
    assert tokens[-1] != before[0].token
    generations = [event.token_generation for event in await service.events(message_id, DeliveriesDispatched, 1)]
    assert generations == sorted(generations)
    assert set(generations) == {1, 2}


async def test_after_a_new_token_a_resend_reaches_recipients_that_failed_with_the_old_one(
    service: ServiceProcess, control: SandboxControl
) -> None:
    await control.order({"preset": "expired_token"})
    message_id = await service.send(people("ann", "bob"), retry_policy=auto())
    failed = await service.done(message_id)

    await service.put_page(access_token="renewed")
    await service.resend(message_id)

    assert (failed.status, failed.retry_count) == ("FAILED", 0)  # no further attempts with an expired token
    assert (await service.done(message_id)).status == "SENT"


# Pauses by the platform

LIMITED = SendResult(
    outcome=Failed(fault(ErrorType.RATE_LIMIT, RetryRule.AUTOMATIC, scope=FaultScope.PAGE)),
    advice=RateAdvice(retry_after=timedelta(seconds=0.8)),
)


class LimitingChannel:
    """A channel whose first message is refused with a short Retry-After."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.send_batch, self.check_token = channel.send_batch, channel.check_token
        self.is_page_token = channel.is_page_token
        self._refused = False

    async def send(self, credentials: PageCredentials, message: OutgoingMessage) -> SendResult:
        if self._refused:
            return await self._channel.send(credentials, message)
        self._refused = True
        return LIMITED


@pytest.fixture
async def limited(idle: ServiceProcess) -> ServiceProcess:
    idle.dispatcher._channel = LimitingChannel(idle.dispatcher._channel)
    await idle.put_page(access_token="", pace=10.0)
    await idle.start()
    return idle


async def test_nothing_leaves_while_the_platform_asks_for_a_pause(limited: ServiceProcess) -> None:
    message_id = await limited.send(crowd(5), retry_policy=auto())
    await limited.done(message_id)

    refused = (await limited.attempts(message_id))["u00000"][0]
    assert refused.failed_time is not None
    heard = refused.failed_time / 1_000_000
    assert [arrival for arrival in await limited.arrivals() if heard + 0.1 < arrival.time < heard + 0.75] == []
    assert len([arrival for arrival in await limited.arrivals() if arrival.time > heard + 0.75]) >= 3


async def test_a_pause_loses_no_recipient(limited: ServiceProcess) -> None:
    message_id = await limited.send(crowd(5), retry_policy=auto())

    row = await limited.done(message_id)

    assert (row.status, row.retry_count) == ("SENT", 1)
    assert await limited.accepted() == {who.id: 1 for who in crowd(5)}


async def test_the_timer_waits_while_the_platform_asks_for_a_pause(limited: ServiceProcess) -> None:
    message_id = await limited.send(people("ann"), retry_policy=cron())
    await limited.done(message_id)

    (result,) = await limited.timer.run_now()

    assert (result.message_id, result.status) == (message_id, TimerStatus.RETRY_AFTER)
    assert (await limited.row(message_id)).retry_count == 0


async def test_a_pause_survives_a_restart(database: Path, sandbox: Sandbox) -> None:
    async with open_service(database, sandbox) as first:
        await first.put_page()
        await first.ownership.start()
        await first.ownership.acquire_page(PAGE)
        await first.log.write(lambda sql: set_retry_after(sql, PAGE, PagePause(seconds=1.0, reason="Retry-After: 1")))
        heard = time.time()

    async with open_service(database, sandbox, worker="worker-2") as second:
        await second.start()
        await second.done(await second.send(crowd(1)))

        (arrival,) = await second.arrivals()
        assert arrival.time - heard > 0.9
