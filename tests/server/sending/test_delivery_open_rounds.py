"""Rounds that are answered before they are all planned, as they leave: the round closer and the sweep plan the rest."""

from pathlib import Path

import pytest

from domain.delivery import DeliveryStatus
from domain.message_events import MessageCompleted, RetryRequested
from server.sandbox.control import SandboxControl
from server.sandbox.runner import Sandbox
from tests.builders import FAILED, NEVER_STOPPED, crowd, delivered, pause_message
from tests.server.sending.histories import batch_of, write
from tests.server.sending.works import Works, open_works
from tests.waiting import eventually

HICCUP = {"preset": "temporary", "times": 1}


@pytest.fixture(autouse=True)
def _small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices of 100 recipients in place of 10,000, and an answer after the first."""
    monkeypatch.setattr("server.commands.resend_planning.PLAN_SLICE", 100)
    monkeypatch.setattr("server.commands.resend.PLAN_SECONDS", 0.0)
    monkeypatch.setattr("server.commands.open_rounds.PLAN_SECONDS", 0.0)


async def all_failed(works: Works, control: SandboxControl) -> str:
    await control.order(HICCUP)
    message_id = await works.send(crowd(450), stop_policy=NEVER_STOPPED)
    await works.done(message_id)
    return message_id


async def test_everybody_is_sent_to_before_the_message_is_done(works: Works, control: SandboxControl) -> None:
    message_id = await all_failed(works, control)

    await works.resend(message_id)

    row = await works.done(message_id)
    assert (row.status, row.round, row.canary_round) == ("SENT", 1, 0)
    assert set((await works.accepted()).values()) == {1}
    assert [one.recipients for one in await works.events(message_id, RetryRequested)] == [100, 100, 100, 100, 50]
    assert len(await works.events(message_id, MessageCompleted)) == 2


async def test_the_rest_is_planned_while_nothing_may_leave(works: Works, control: SandboxControl) -> None:
    """No batch comes to its end then: the sweep finds the round."""
    message_id = await all_failed(works, control)
    await works.resend(message_id, messages_per_second=0.5)

    await works.pauses.pause(pause_message(message_id))

    row = await eventually(lambda: works.row(message_id), lambda row: not row.canary_round, within=20.0)
    assert row.status == "PAUSED"
    assert row.counts[DeliveryStatus.FAILED] == 0


async def test_the_next_process_plans_what_a_killed_one_did_not(database: Path, sandbox: Sandbox) -> None:
    async with open_works(database, sandbox) as killed:
        await killed.put_page()
        message_id = await killed.send(crowd(450))
        for number in range(1, 6):
            batch = await batch_of(killed, message_id, number)
            await write(killed, batch, *delivered(batch, {who.id: FAILED for who in crowd(450)}))
        await killed.resend(message_id)
        assert (await killed.row(message_id)).counts[DeliveryStatus.PENDING] == 100

    async with open_works(database, sandbox, worker="worker-2") as works:
        await works.start()

        assert (await works.done(message_id)).status == "SENT"
        assert len(await works.accepted()) == 450
        assert set((await works.accepted()).values()) == {1}
