"""From a message to its recipients: everyone once, and what became of each is known."""

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
from tests.server.sending.works import KEY, Works, open_works


@pytest.mark.parametrize("send_mode", SendMode)
async def test_everyone_is_written_to_once(works: Works, send_mode: SendMode) -> None:
    await works.put_page(access_token="", send_mode=send_mode)
    message_id = await works.send(crowd(250))

    row = await works.done(message_id)

    assert (row.status, await works.counts(message_id)) == ("SENT", {"SENT": 250})
    assert row.batches_completed == row.batches_total == 3
    assert await works.accepted() == {who.id: 1 for who in crowd(250)}


async def test_a_delivery_is_known_on_both_sides(works: Works) -> None:
    message_id = await works.send(crowd(120))
    await works.done(message_id)

    arrived = {arrival.metadata: (arrival.recipient, arrival.message_id) for arrival in await works.arrivals()}

    kept = {
        Vault(KEY).ids.delivery(message_id, row.batch_number, row.position): (recipient, row.provider_message_id)
        for recipient, (row,) in (await works.attempts(message_id)).items()
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


async def test_every_fault_is_recorded_for_what_it_is(works: Works, control: SandboxControl) -> None:
    await control.order(*({**order, "recipients": [who]} for who, (order, *_) in FAULTS.items()))
    message_id = await works.send(people(*FAULTS, "fine"))

    row = await works.done(message_id)

    attempts = {who: one for who, (one,) in (await works.attempts(message_id)).items()}
    recorded = {who: (one.status, one.error_type, one.error_code) for who, one in attempts.items()}
    assert recorded == {**{who: tuple(rest) for who, (_, *rest) in FAULTS.items()}, "fine": ("SENT", None, 0)}
    assert row.status == "PARTIALLY_SENT"
    assert await works.counts(message_id) == {"SENT": 2, "FAILED": 6, "UNCONFIRMED": 3}


async def test_a_platform_that_is_out_of_reach_has_accepted_nothing(database: Path, sandbox: Sandbox) -> None:
    async with open_works(database, sandbox, graph_url="http://127.0.0.1:9/v25.0") as works:
        await works.put_page()
        await works.start()
        message_id = await works.send(people("ann", "bob"))

        row = await works.done(message_id)

        assert (row.status, await works.counts(message_id)) == ("FAILED", {"FAILED": 2})


async def test_an_unconfirmed_batch_of_the_platform_is_unconfirmed_for_each(
    works: Works, control: SandboxControl
) -> None:
    """A Graph batch is one request: when it breaks off, nobody knows about any of its messages."""
    await works.put_page(access_token="", send_mode=SendMode.BATCH)
    await control.order({"preset": "network", "recipients": ["u00060"]})
    message_id = await works.send(crowd(100))

    await works.done(message_id)

    assert await works.counts(message_id) == {"SENT": 50, "UNCONFIRMED": 50}


async def test_one_page_does_not_wait_for_another(works: Works) -> None:
    await works.put_page("2002", pace=0.1)
    slow = await works.send(people("ann", "bob"), page_id="2002")

    quick = await works.done(await works.send(crowd(50)))

    assert quick.status == "SENT"
    assert (await works.row(slow)).open_deliveries > 0


async def test_messages_of_one_page_are_sent_in_the_order_in_which_they_came(works: Works) -> None:
    await works.put_page(access_token="", pace=100.0)
    first, second = await works.send(crowd(20, "first")), await works.send(crowd(5, "second"))

    await works.done(first)
    await works.done(second)

    arrived = [arrival.recipient for arrival in await works.arrivals()]
    assert set(arrived[:20]) == {who.id for who in crowd(20, "first")}


async def test_outcomes_are_recorded_many_at_a_time(works: Works) -> None:
    message_id = await works.send(crowd(100))
    await works.done(message_id)

    recorded = await works.events(message_id, OutcomesRecorded, 1)

    assert sum(len(event.outcomes) for event in recorded) == 100
    assert len(recorded) < 100


async def test_a_slow_answer_holds_up_nobody_else(works: Works, control: SandboxControl) -> None:
    await control.order({"effect": {"kind": "delay", "seconds": 1.5}, "recipients": ["u00000", "u00150"]})
    message_id = await works.send(crowd(350))

    await works.arrived(350, within=1.4)

    assert (await works.done(message_id)).status == "SENT"


async def test_a_batch_that_cannot_be_opened_holds_up_nobody_else(idle: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    """And it does not keep the process busy: it is left for a while."""
    broken, whole = await idle.send(crowd(2)), await idle.send(crowd(2))
    await idle.beside("DELETE FROM message_keys WHERE message_id = :id", id=broken)
    await idle.put_page("2002", pace=40.0)
    reads, read = [0], idle.log.read

    async def counted(query: Callable[[Sql], object]) -> object:
        reads[0] += 1
        return await read(query)

    monkeypatch.setattr(idle.log, "read", counted)
    await idle.start()

    assert (await idle.done(whole)).status == "SENT"
    reads[0] = 0
    await idle.done(await idle.send(crowd(50), page_id="2002"))  # takes a second
    assert await idle.counts(broken) == {"PENDING": 2}
    assert reads[0] < 500
