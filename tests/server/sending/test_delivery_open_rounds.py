"""Rounds whose answer comes before all batches are planned: the round finalizer and the reconciler plan the rest."""

from pathlib import Path

import pytest

from domain.delivery import DeliveryStatus
from domain.message_events import MessageCompleted, RetryRequested
from server.sandbox.control import SandboxControl
from server.sandbox.runner import Sandbox
from tests.builders import FAILED, NEVER_STOPPED, crowd, delivered, pause_message
from tests.server.sending.earlier_events import append_events, batch_of
from tests.server.sending.service_process import ServiceProcess, open_service
from tests.waiting import eventually

FAIL_ONCE = {"preset": "temporary", "times": 1}


@pytest.fixture(autouse=True)
def _small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use slices of 100 recipients instead of 10,000, and answer after the first."""
    monkeypatch.setattr("server.commands.resend_planning.PLAN_SLICE", 100)
    monkeypatch.setattr("server.commands.resend.PLAN_SECONDS", 0.0)
    monkeypatch.setattr("server.commands.open_rounds.PLAN_SECONDS", 0.0)


async def all_failed(service: ServiceProcess, control: SandboxControl) -> str:
    await control.order(FAIL_ONCE)
    message_id = await service.send(crowd(450), stop_policy=NEVER_STOPPED)
    await service.done(message_id)
    return message_id


async def test_every_recipient_is_sent_to_before_the_message_is_done(
    service: ServiceProcess, control: SandboxControl
) -> None:
    message_id = await all_failed(service, control)

    await service.resend(message_id)

    row = await service.done(message_id)
    assert (row.status, row.round, row.canary_round) == ("SENT", 1, 0)
    assert set((await service.accepted()).values()) == {1}
    assert [one.recipients for one in await service.events(message_id, RetryRequested)] == [100, 100, 100, 100, 50]
    assert len(await service.events(message_id, MessageCompleted)) == 2


async def test_the_rest_is_planned_while_deliveries_may_not_leave(
    service: ServiceProcess, control: SandboxControl
) -> None:
    """No batch ends during that time; the reconciler finds the round."""
    message_id = await all_failed(service, control)
    await service.resend(message_id, messages_per_second=0.5)

    await service.pauses.pause(pause_message(message_id))

    row = await eventually(lambda: service.row(message_id), lambda row: not row.canary_round, within=20.0)
    assert row.status == "PAUSED"
    assert row.counts[DeliveryStatus.FAILED] == 0


async def test_the_next_process_plans_the_rest_of_a_killed_one(database: Path, sandbox: Sandbox) -> None:
    async with open_service(database, sandbox) as killed:
        await killed.put_page()
        message_id = await killed.send(crowd(450))
        for number in range(1, 6):
            batch = await batch_of(killed, message_id, number)
            await append_events(killed, batch, *delivered(batch, {who.id: FAILED for who in crowd(450)}))
        await killed.resend(message_id)
        assert (await killed.row(message_id)).counts[DeliveryStatus.PENDING] == 100

    async with open_service(database, sandbox, worker="worker-2") as service:
        await service.start()

        assert (await service.done(message_id)).status == "SENT"
        assert len(await service.accepted()) == 450
        assert set((await service.accepted()).values()) == {1}
