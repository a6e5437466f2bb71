"""A cancel in the middle of sending: nothing more leaves, and the books balance."""

import time

import pytest

from domain.batch_events import DeliveriesDispatched
from domain.message_events import MessageCancelled
from domain.page_events import SendMode
from domain.streams import message_stream
from server.sandbox.control import SandboxControl
from tests.builders import OWNER, PAGE, cancel_message, crowd, wall_clock
from tests.server.sending.works import Works


async def after_cancel(works: Works, message_id: str) -> None:
    """Everyone was written to, or cancelled; and whoever was written to is known."""
    row = await works.done(message_id)
    counts = await works.counts(message_id)
    assert row.status == "CANCELLED"
    assert counts.keys() == {"SENT", "CANCELLED"}
    assert sum(counts.values()) == row.total
    assert len(await works.accepted()) == counts["SENT"]
    assert set((await works.accepted()).values()) == {1}


@pytest.mark.parametrize("send_mode", SendMode)
async def test_a_cancel_in_mid_send_stops_it(works: Works, control: SandboxControl, send_mode: SendMode) -> None:
    await works.put_page(access_token="", pace=100.0, send_mode=send_mode)
    await control.order({"effect": {"kind": "delay", "seconds": 0.2}})
    message_id = await works.send(crowd(350))
    await works.arrived(20)

    before = time.monotonic()
    await works.cancels.cancel(cancel_message(message_id))
    await works.done(message_id)

    assert time.monotonic() - before < 1.5  # a request's time, and what a busy machine takes
    await after_cancel(works, message_id)


async def test_a_cancel_does_not_wait_for_the_pace(works: Works) -> None:
    """The next message would leave in ten seconds."""
    await works.put_page(access_token="", pace=0.1)
    message_id = await works.send(crowd(5))
    await works.arrived(1)

    await works.cancels.cancel(cancel_message(message_id))

    await works.done(message_id, within=5.0)
    await after_cancel(works, message_id)


async def test_a_cancel_of_one_message_leaves_the_others_alone(works: Works) -> None:
    await works.put_page(access_token="", pace=200.0)
    stopped, goes_on = await works.send(crowd(150, "a")), await works.send(crowd(30, "b"))
    await works.arrived(10)

    await works.cancels.cancel(cancel_message(stopped))

    assert (await works.done(goes_on)).status == "SENT"
    assert (await works.done(stopped)).status == "CANCELLED"


async def test_a_cancel_that_a_crash_cut_short_is_carried_out_after_the_restart(idle: Works) -> None:
    message_id = await idle.send(crowd(250))
    cancelled = MessageCancelled(message_id=message_id, requested_by=OWNER, time=wall_clock())
    await idle.append(message_stream(message_id), 1, cancelled)

    await idle.start()

    assert (await idle.done(message_id)).status == "CANCELLED"
    assert await idle.counts(message_id) == {"CANCELLED": 250}
    assert await idle.events(message_id, DeliveriesDispatched, 1) == []
    assert await idle.arrivals() == []


async def test_a_message_whose_end_a_crash_cut_short_is_completed_after_the_restart(idle: Works) -> None:
    await idle.put_page("2002")
    message_id = await idle.send(crowd(1), page_id=PAGE)
    await idle.cancels.cancel(cancel_message(message_id))
    assert not (await idle.row(message_id)).completed

    await idle.start()

    assert (await idle.done(message_id)).status == "CANCELLED"
