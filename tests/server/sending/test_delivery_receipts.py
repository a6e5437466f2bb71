"""Receipts during deliveries: a receipt overrides a worker's outcome, and its next step."""

import pytest

from domain.batch_events import DeliveriesReturned, OutcomesRecorded
from domain.commands import RecordReceipts, ReportedReceipt
from domain.outcome import Sent, Unconfirmed
from domain.receipts import ReceiptKind
from server.sandbox.control import SandboxControl
from tests.builders import NOW, OWNER, PAGE, crowd, people
from tests.keyed_ids import IDS
from tests.server.sending.earlier_events import started_by, unconfirmed
from tests.server.sending.service_process import ServiceProcess
from tests.waiting import eventually


async def echo(service: ServiceProcess, message_id: str, *positions: int, batch: int = 1) -> None:
    """Record the platform's echoes of these deliveries."""
    attempts = [one for rows in (await service.attempts(message_id)).values() for one in rows]
    who = {(one.batch_number, one.position): one.recipient_id for one in attempts}
    receipts = tuple(
        ReportedReceipt(
            kind=ReceiptKind.ECHO,
            page_id=PAGE,
            recipient_id=who[batch, position],
            delivery_id=IDS.delivery(message_id, batch, position),
            provider_message_id=f"m_{position}",
            time=NOW,
        )
        for position in positions
    )
    counts = await service.receipts.record(RecordReceipts(owner=OWNER, receipts=receipts))
    assert counts.recorded == len(positions)


async def statuses(service: ServiceProcess, message_id: str) -> dict[str, list[str]]:
    return {who: [one.status for one in attempts] for who, attempts in (await service.attempts(message_id)).items()}


async def test_a_takeover_records_echoed_deliveries_as_sent(idle: ServiceProcess) -> None:
    message_id = await idle.send(crowd(5))
    await started_by(idle, "dead", message_id, dispatched=[0, 3])
    await echo(idle, message_id, 3)

    await idle.start()

    await idle.done(message_id)
    assert await idle.counts(message_id) == {"SENT": 4, "UNCONFIRMED": 1}
    taken_over = (await idle.events(message_id, OutcomesRecorded, 1))[0]
    found = {known.position: type(known.outcome) for known in taken_over.outcomes}
    assert found == {0: Unconfirmed, 3: Sent}, "the log does not record it as unconfirmed (protocol rule 4)"


async def test_a_released_batch_keeps_its_echoes(idle: ServiceProcess) -> None:
    message_id = await idle.send(crowd(5))
    await started_by(idle, "dead", message_id, dispatched=[0, 3])
    await echo(idle, message_id, 3)

    assert await idle.stuck.process(OWNER, message_id) == (1, 1)

    assert await idle.counts(message_id) == {"PENDING": 3, "SENT": 1, "UNCONFIRMED": 1}
    (outcomes,) = await idle.events(message_id, OutcomesRecorded, 1)
    assert [type(known.outcome) for known in outcomes.outcomes] == [Unconfirmed, Sent]


async def test_an_echo_before_the_answer_decides(service: ServiceProcess, control: SandboxControl) -> None:
    """No answer arrives, so the worker's own outcome is unconfirmed."""
    await control.order({"effect": {"kind": "delay", "seconds": 0.5}}, {"effect": {"kind": "reset"}, "accepts": True})
    message_id = await service.send(crowd(3))
    await service.arrived(3)
    await eventually(lambda: service.counts(message_id), lambda counts: counts == {"SENDING": 3})

    await echo(service, message_id, 0, 2)
    assert await service.counts(message_id) == {"SENT": 2, "SENDING": 1}

    assert (await service.done(message_id)).status == "PARTIALLY_SENT"
    assert await service.counts(message_id) == {"SENT": 2, "UNCONFIRMED": 1}


async def test_an_echo_after_completion_makes_the_message_sent(
    service: ServiceProcess, control: SandboxControl
) -> None:
    await control.order({"effect": {"kind": "reset"}, "accepts": True})
    message_id = await service.send(crowd(2))
    assert (await service.done(message_id)).status == "FAILED"

    await echo(service, message_id, 0, 1)

    row = await service.row(message_id)
    assert (row.status, await service.counts(message_id)) == ("SENT", {"SENT": 2})


async def test_a_delivery_with_an_echo_before_its_dispatch_never_leaves(idle: ServiceProcess) -> None:
    """This should not happen, but a receipt overrides every status."""
    message_id = await idle.send(people("ann", "bob", "cid"))
    await echo(idle, message_id, 1)

    await idle.start()

    assert (await idle.done(message_id)).status == "SENT"
    assert await idle.accepted() == {"ann": 1, "cid": 1}
    assert await statuses(idle, message_id) == {"ann": ["SENT"], "bob": ["SENT"], "cid": ["SENT"]}
    assert await idle.events(message_id, DeliveriesReturned, 1)


async def test_a_recipient_reached_by_the_first_attempt_is_not_sent_the_second(idle: ServiceProcess) -> None:
    message_id = await unconfirmed(idle, "ann", "bob")
    await idle.resend(message_id, include_unconfirmed=True)
    await echo(idle, message_id, 0)

    await idle.start()

    assert (await idle.done(message_id)).status == "SENT"
    assert await idle.accepted() == {"bob": 1}
    assert await statuses(idle, message_id) == {"ann": ["SENT", "CANCELLED"], "bob": ["UNCONFIRMED", "SENT"]}


async def test_echoes_of_both_attempts_are_recorded(service: ServiceProcess, control: SandboxControl) -> None:
    await control.order({"effect": {"kind": "reset"}, "accepts": True})
    message_id = await service.send(people("ann"))
    await service.done(message_id)
    await service.resend(message_id, include_unconfirmed=True)
    await service.done(message_id)

    await echo(service, message_id, 0)
    await echo(service, message_id, 0, batch=2)

    assert await statuses(service, message_id) == {"ann": ["SENT", "SENT"]}
    assert await service.counts(message_id) == {"SENT": 1}


@pytest.mark.parametrize("echoed", [(0,), (0, 1, 2)])
async def test_receipts_do_not_conflict_with_a_batch_in_progress(
    service: ServiceProcess, control: SandboxControl, echoed: tuple[int, ...]
) -> None:
    """Receipts have their own stream, so the worker's appends do not conflict."""
    await control.order({"effect": {"kind": "delay", "seconds": 0.3}})
    message_id = await service.send(people("ann", "bob", "cid"))
    await service.arrived(3)

    await echo(service, message_id, *echoed)

    assert (await service.done(message_id)).status == "SENT"
    assert await service.counts(message_id) == {"SENT": 3}
    (batch,) = await service.batches(message_id)
    assert (batch.status, batch.sent, batch.sending) == ("COMPLETED", 3, 0)
