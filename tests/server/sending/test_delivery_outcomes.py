"""From a message to its recipients: each is sent to once, and each outcome is recorded."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from domain.batch_events import OutcomesRecorded
from domain.page_events import SendMode
from projections.sql import Sql
from server.crypto.vault import Vault
from server.sandbox.control import SandboxControl
from server.sandbox.runner import Sandbox
from tests.builders import crowd, people
from tests.server.sending.service_process import KEY, ServiceProcess, open_service


@pytest.mark.parametrize("send_mode", SendMode)
async def test_every_recipient_is_sent_to_once(service: ServiceProcess, send_mode: SendMode) -> None:
    await service.put_page(access_token="", send_mode=send_mode)
    message_id = await service.send(crowd(250))

    row = await service.done(message_id)

    assert (row.status, await service.counts(message_id)) == ("SENT", {"SENT": 250})
    assert row.batches_completed == row.batches_total == 3
    assert await service.accepted() == {who.id: 1 for who in crowd(250)}


async def test_a_delivery_has_the_same_id_on_both_sides(service: ServiceProcess) -> None:
    message_id = await service.send(crowd(120))
    await service.done(message_id)

    arrived = {arrival.metadata: (arrival.recipient, arrival.message_id) for arrival in await service.arrivals()}

    kept = {
        Vault(KEY).ids.delivery(message_id, row.batch_number, row.position): (recipient, row.provider_message_id)
        for recipient, (row,) in (await service.attempts(message_id)).items()
    }
    assert kept == arrived
    assert len(kept) == 120


FAULTS: dict[str, tuple[dict[str, Any], str, str | None, int]] = {
    "no such person": ({"preset": "unknown_recipient"}, "FAILED", "INVALID_RECIPIENT", 100),
    "outside the window": ({"preset": "outside_window"}, "FAILED", "PERMISSION", 10),
    "limited": ({"effect": {"kind": "error", "code": 4, "subcode": 2018354}}, "FAILED", "RATE_LIMIT", 4),
    "dead token": ({"effect": {"kind": "error", "code": 190, "subcode": 460}}, "FAILED", "ACCESS_TOKEN", 190),
    "temporary": ({"preset": "temporary"}, "FAILED", "NETWORK", 2),
    "bad content": ({"preset": "bad_content"}, "FAILED", "OTHER", 100),
    "connection broke": ({"preset": "network"}, "UNCONFIRMED", "NETWORK", 0),
    "gateway": ({"preset": "server_error"}, "UNCONFIRMED", "NETWORK", 0),
    "garbage": ({"preset": "garbage"}, "UNCONFIRMED", "NETWORK", 0),
    "sent anyway": ({"preset": "sent_anyway"}, "SENT", None, 0),
}


async def test_every_fault_is_recorded_with_its_type(service: ServiceProcess, control: SandboxControl) -> None:
    await control.order(*({**order, "recipients": [who]} for who, (order, *_) in FAULTS.items()))
    message_id = await service.send(people(*FAULTS, "fine"))

    row = await service.done(message_id)

    attempts = {who: one for who, (one,) in (await service.attempts(message_id)).items()}
    recorded = {who: (one.status, one.error_type, one.error_code) for who, one in attempts.items()}
    assert recorded == {**{who: tuple(rest) for who, (_, *rest) in FAULTS.items()}, "fine": ("SENT", None, 0)}
    assert row.status == "PARTIALLY_SENT"
    assert await service.counts(message_id) == {"SENT": 2, "FAILED": 6, "UNCONFIRMED": 3}


async def test_an_unreachable_platform_has_accepted_nothing(database: Path, sandbox: Sandbox) -> None:
    async with open_service(database, sandbox, graph_url="http://127.0.0.1:9/v25.0") as service:
        await service.put_page()
        await service.start()
        message_id = await service.send(people("ann", "bob"))

        row = await service.done(message_id)

        assert (row.status, await service.counts(message_id)) == ("FAILED", {"FAILED": 2})


async def test_a_graph_batch_without_an_answer_is_unconfirmed_for_each_message(
    service: ServiceProcess, control: SandboxControl
) -> None:
    """A Graph batch is one request: when it breaks, the outcome of all its messages is unknown."""
    await service.put_page(access_token="", send_mode=SendMode.BATCH)
    await control.order({"preset": "network", "recipients": ["u00060"]})
    message_id = await service.send(crowd(100))

    await service.done(message_id)

    assert await service.counts(message_id) == {"SENT": 50, "UNCONFIRMED": 50}


async def test_pages_do_not_wait_for_each_other(service: ServiceProcess) -> None:
    await service.put_page("2002", pace=0.1)
    slow = await service.send(people("ann", "bob"), page_id="2002")

    quick = await service.done(await service.send(crowd(50)))

    assert quick.status == "SENT"
    assert (await service.row(slow)).open_deliveries > 0


async def test_messages_of_one_page_are_sent_in_order_of_arrival(service: ServiceProcess) -> None:
    await service.put_page(access_token="", pace=100.0)
    first, second = await service.send(crowd(20, "first")), await service.send(crowd(5, "second"))

    await service.done(first)
    await service.done(second)

    arrived = [arrival.recipient for arrival in await service.arrivals()]
    assert set(arrived[:20]) == {who.id for who in crowd(20, "first")}


async def test_outcomes_are_recorded_in_chunks(service: ServiceProcess) -> None:
    message_id = await service.send(crowd(100))
    await service.done(message_id)

    recorded = await service.events(message_id, OutcomesRecorded, 1)

    assert sum(len(event.outcomes) for event in recorded) == 100
    assert len(recorded) < 100


async def test_a_slow_answer_delays_no_other_delivery(service: ServiceProcess, control: SandboxControl) -> None:
    await control.order({"effect": {"kind": "delay", "seconds": 1.5}, "recipients": ["u00000", "u00150"]})
    message_id = await service.send(crowd(350))

    await service.arrived(350, within=1.4)

    assert (await service.done(message_id)).status == "SENT"


async def test_a_batch_that_cannot_be_decrypted_delays_no_other_batch(
    idle: ServiceProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It also does not keep the process busy: the batch is not retried for a while."""
    broken, whole = await idle.send(crowd(2)), await idle.send(crowd(2))
    await idle.write_tables("DELETE FROM message_keys WHERE message_id = :id", id=broken)
    await idle.put_page("2002", pace=40.0)
    reads, read = [0], idle.log.read

    async def counted(query: Callable[[Sql], object]) -> object:
        reads[0] += 1
        return await read(query)

    monkeypatch.setattr(idle.log, "read", counted)
    await idle.start()

    assert (await idle.done(whole)).status == "SENT"
    reads[0] = 0
    await idle.done(await idle.send(crowd(50), page_id="2002"))  # takes one second
    assert await idle.counts(broken) == {"PENDING": 2}
    assert reads[0] < 500
