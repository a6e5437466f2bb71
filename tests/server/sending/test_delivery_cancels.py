"""Cancelling during a send: no further delivery leaves, and the counts add up."""

import time

import pytest

from domain.batch_events import DeliveriesDispatched
from domain.message_events import MessageCancelled
from domain.page_events import SendMode
from domain.streams import message_stream
from server.sandbox.control import SandboxControl
from tests.builders import OWNER, PAGE, cancel_message, crowd, wall_clock
from tests.server.sending.service_process import ServiceProcess


async def after_cancel(service: ServiceProcess, message_id: str) -> None:
    """Check that each recipient was sent the message or is cancelled, and that the log has every arrival."""
    row = await service.done(message_id)
    counts = await service.counts(message_id)
    assert row.status == "CANCELLED"
    assert counts.keys() == {"SENT", "CANCELLED"}
    assert sum(counts.values()) == row.total
    assert len(await service.accepted()) == counts["SENT"]
    assert set((await service.accepted()).values()) == {1}


@pytest.mark.parametrize("send_mode", SendMode)
async def test_a_cancel_stops_a_send_in_progress(
    service: ServiceProcess, control: SandboxControl, send_mode: SendMode
) -> None:
    await service.put_page(access_token="", pace=100.0, send_mode=send_mode)
    await control.order({"effect": {"kind": "delay", "seconds": 0.2}})
    message_id = await service.send(crowd(350))
    await service.arrived(20)

    before = time.monotonic()
    await service.cancels.cancel(cancel_message(message_id))
    await service.done(message_id)

    assert time.monotonic() - before < 1.5  # the duration of a request, plus a margin for a busy machine
    await after_cancel(service, message_id)


async def test_a_cancel_does_not_wait_for_the_pace(service: ServiceProcess) -> None:
    """The next message would leave after ten seconds."""
    await service.put_page(access_token="", pace=0.1)
    message_id = await service.send(crowd(5))
    await service.arrived(1)

    await service.cancels.cancel(cancel_message(message_id))

    await service.done(message_id, within=5.0)
    await after_cancel(service, message_id)


async def test_a_cancel_of_one_message_does_not_affect_others(service: ServiceProcess) -> None:
    await service.put_page(access_token="", pace=200.0)
    stopped, goes_on = await service.send(crowd(150, "a")), await service.send(crowd(30, "b"))
    await service.arrived(10)

    await service.cancels.cancel(cancel_message(stopped))

    assert (await service.done(goes_on)).status == "SENT"
    assert (await service.done(stopped)).status == "CANCELLED"


async def test_an_interrupted_cancel_is_completed_after_a_restart(idle: ServiceProcess) -> None:
    message_id = await idle.send(crowd(250))
    cancelled = MessageCancelled(message_id=message_id, requested_by=OWNER, time=wall_clock())
    await idle.append(message_stream(message_id), 1, cancelled)

    await idle.start()

    assert (await idle.done(message_id)).status == "CANCELLED"
    assert await idle.counts(message_id) == {"CANCELLED": 250}
    assert await idle.events(message_id, DeliveriesDispatched, 1) == []
    assert await idle.arrivals() == []


async def test_a_cancelled_message_is_completed_after_a_restart(idle: ServiceProcess) -> None:
    await idle.put_page("2002")
    message_id = await idle.send(crowd(1), page_id=PAGE)
    await idle.cancels.cancel(cancel_message(message_id))
    assert not (await idle.row(message_id)).completed

    await idle.start()

    assert (await idle.done(message_id)).status == "CANCELLED"
