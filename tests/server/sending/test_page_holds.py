"""A page-wide fault puts the page on hold: pending deliveries stay pending, and no attempts are used up."""

import pytest

from domain.batch import BATCH_SIZE
from domain.commands import HoldPage, ReleasePage
from domain.delivery import DeliveryStatus
from domain.page_events import SendMode
from projections import pages
from projections.pages import PageRow
from server.commands.pages import PageHoldService
from server.crypto.vault import Vault
from server.sandbox.control import SandboxControl
from tests.builders import OWNER, PAGE, cron, crowd, wall_clock
from tests.server.sending.service_process import KEY, ServiceProcess
from tests.waiting import eventually

UNPACED = 100_000.0


def holds_of(service: ServiceProcess) -> PageHoldService:
    return PageHoldService(service.log, Vault(KEY), wall_clock)


async def page(service: ServiceProcess) -> PageRow:
    row = await service.log.read(lambda sql: pages.find(sql, PAGE))
    assert row is not None
    return row


async def held(service: ServiceProcess) -> PageRow:
    """Return the page when it is on hold and no delivery is in flight."""
    return await eventually(lambda: page(service), lambda row: row.is_held)


async def counts_at_rest(service: ServiceProcess, message_id: str) -> dict[str, int]:
    """Return the counts when no delivery is sending."""
    return await eventually(lambda: service.counts(message_id), lambda counts: "SENDING" not in counts)


@pytest.mark.parametrize("mode", SendMode)
async def test_an_expired_token_fails_at_most_one_batch(
    service: ServiceProcess, control: SandboxControl, mode: SendMode
) -> None:
    await service.put_page(pace=UNPACED, send_mode=mode)
    await control.order({"preset": "expired_token"})

    message_id = await service.send(crowd(1_000))
    row = await held(service)
    counts = await counts_at_rest(service, message_id)

    assert row.hold is not None
    assert (row.hold.error_code, row.hold.held_by) == (190, "")
    assert counts["FAILED"] <= BATCH_SIZE
    assert counts["FAILED"] + counts["PENDING"] == 1_000
    assert len(await service.arrivals()) == counts["FAILED"]


async def test_a_new_token_continues_the_page_and_failures_can_be_resent_at_once(
    service: ServiceProcess, control: SandboxControl
) -> None:
    await service.put_page(pace=UNPACED)
    await control.order({"preset": "expired_token"})
    message_id = await service.send(crowd(300))
    await held(service)
    await counts_at_rest(service, message_id)

    await service.put_page(pace=UNPACED, access_token="page-token-EAAG-another-one")
    row = await service.done(message_id)
    await service.resend(message_id)
    row = await eventually(lambda: service.row(message_id), lambda row: row.status == "SENT")

    assert row.page_hold is None
    assert set((await service.accepted()).values()) == {1}


async def test_a_released_page_continues_and_failures_can_be_resent_at_once(
    service: ServiceProcess, control: SandboxControl
) -> None:
    """The platform blocked the page, and no longer blocks it."""
    await service.put_page(pace=UNPACED)
    await control.order({"preset": "policy_block"})
    message_id = await service.send(crowd(300))
    await held(service)
    failed = (await counts_at_rest(service, message_id))["FAILED"]
    await control.clear_faults()

    await holds_of(service).release(ReleasePage(owner=OWNER, page_id=PAGE))
    await service.done(message_id)
    assert await service.counts(message_id) == {"SENT": 300 - failed, "FAILED": failed}
    await service.resend(message_id)

    row = await eventually(lambda: service.row(message_id), lambda row: row.status == "SENT")
    assert row.counts[DeliveryStatus.FAILED] == 0


async def test_a_page_is_held_and_released_by_calls(service: ServiceProcess, control: SandboxControl) -> None:
    await service.put_page(pace=50.0)
    message_id = await service.send(crowd(200))
    await service.arrived(5)

    await holds_of(service).hold(HoldPage(owner=OWNER, page_id=PAGE, reason="a wrong link"))
    counts = await counts_at_rest(service, message_id)
    arrived = len(await service.arrivals())
    row = await service.row(message_id)
    assert row.page_hold is not None
    assert Vault(KEY).labels.hold_reasons.open(row.page_hold.reason, PAGE) == "a wrong link"
    assert row.page_hold.held_by == OWNER
    assert (counts["SENT"], counts["PENDING"]) == (arrived, 200 - arrived)

    await service.put_page(pace=UNPACED)  # changed settings end no hold
    await service.put_page(pace=UNPACED, access_token="page-token-EAAG-another-one")
    assert (await page(service)).is_held
    await holds_of(service).release(ReleasePage(owner=OWNER, page_id=PAGE))
    assert (await service.done(message_id)).status == "SENT"
    assert set((await service.accepted()).values()) == {1}


async def test_a_held_page_does_not_stop_other_pages(service: ServiceProcess) -> None:
    await service.put_page("other", pace=UNPACED)
    await holds_of(service).hold(HoldPage(owner=OWNER, page_id=PAGE))
    waiting = await service.send(crowd(10))
    other = await service.send(crowd(10), page_id="other")

    assert (await service.done(other)).status == "SENT"
    assert await service.counts(waiting) == {"PENDING": 10}


async def test_recipients_with_a_page_wide_error_cause_no_hold(
    service: ServiceProcess, control: SandboxControl
) -> None:
    await service.put_page(pace=UNPACED)
    people = crowd(60)
    await control.order({"preset": "permission", "recipients": [person.id for person in people[::6]]})

    row = await service.done(await service.send(people))

    assert row.counts[DeliveryStatus.FAILED] == 10
    assert not (await page(service)).is_held


async def test_the_timer_ignores_messages_of_a_held_page(service: ServiceProcess, control: SandboxControl) -> None:
    await control.order({"preset": "temporary", "times": 1})
    message_id = await service.send(crowd(3), retry_policy=cron())
    await service.done(message_id)
    await holds_of(service).hold(HoldPage(owner=OWNER, page_id=PAGE))

    held_back = await service.timer.run_now()
    await holds_of(service).release(ReleasePage(owner=OWNER, page_id=PAGE))
    taken = await service.timer.run_now()

    assert [len(results) for results in (held_back, taken)] == [0, 1]


async def test_recipients_with_a_token_error_cause_no_hold_while_the_token_is_valid(
    service: ServiceProcess, control: SandboxControl
) -> None:
    """A token check shows that the token is valid."""
    await service.put_page(pace=UNPACED)
    people = crowd(200)
    await control.order({"preset": "revoked_token", "recipients": [person.id for person in people[:20]]})

    row = await service.done(await service.send(people))

    assert (row.counts[DeliveryStatus.FAILED], row.counts[DeliveryStatus.SENT]) == (20, 180)
    assert not (await page(service)).is_held
