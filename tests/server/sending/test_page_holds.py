"""A fault of the whole page puts it on hold: what is pending stays pending, and burns no attempts."""

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
from tests.server.sending.works import KEY, Works
from tests.waiting import eventually

UNPACED = 100_000.0


def holds_of(works: Works) -> PageHoldService:
    return PageHoldService(works.log, Vault(KEY), wall_clock)


async def page(works: Works) -> PageRow:
    row = await works.log.read(lambda sql: pages.find(sql, PAGE))
    assert row is not None
    return row


async def held(works: Works) -> PageRow:
    """The page, once it is on hold and nothing is on its way."""
    return await eventually(lambda: page(works), lambda row: row.is_held)


async def settled(works: Works, message_id: str) -> dict[str, int]:
    """The counts, once nothing is sending."""
    return await eventually(lambda: works.counts(message_id), lambda counts: "SENDING" not in counts)


@pytest.mark.parametrize("mode", SendMode)
async def test_a_dead_token_burns_at_most_one_batch(works: Works, control: SandboxControl, mode: SendMode) -> None:
    await works.put_page(pace=UNPACED, send_mode=mode)
    await control.order({"preset": "expired_token"})

    message_id = await works.send(crowd(1_000))
    row = await held(works)
    counts = await settled(works, message_id)

    assert row.hold is not None
    assert (row.hold.error_code, row.hold.held_by) == (190, "")
    assert counts["FAILED"] <= BATCH_SIZE
    assert counts["FAILED"] + counts["PENDING"] == 1_000
    assert len(await works.arrivals()) == counts["FAILED"]


async def test_another_token_lets_the_page_go_on_and_what_failed_can_be_retried_at_once(
    works: Works, control: SandboxControl
) -> None:
    await works.put_page(pace=UNPACED)
    await control.order({"preset": "expired_token"})
    message_id = await works.send(crowd(300))
    await held(works)
    await settled(works, message_id)

    await works.put_page(pace=UNPACED, access_token="page-token-EAAG-another-one")
    row = await works.done(message_id)
    await works.resend(message_id)
    row = await eventually(lambda: works.row(message_id), lambda row: row.status == "SENT")

    assert row.page_hold is None
    assert set((await works.accepted()).values()) == {1}


async def test_a_released_page_goes_on_and_what_failed_can_be_retried_at_once(
    works: Works, control: SandboxControl
) -> None:
    """The platform blocked the page, and blocks it no more."""
    await works.put_page(pace=UNPACED)
    await control.order({"preset": "policy_block"})
    message_id = await works.send(crowd(300))
    await held(works)
    failed = (await settled(works, message_id))["FAILED"]
    await control.clear_faults()

    await holds_of(works).release(ReleasePage(owner=OWNER, page_id=PAGE))
    await works.done(message_id)
    assert await works.counts(message_id) == {"SENT": 300 - failed, "FAILED": failed}
    await works.resend(message_id)

    row = await eventually(lambda: works.row(message_id), lambda row: row.status == "SENT")
    assert row.counts[DeliveryStatus.FAILED] == 0


async def test_a_page_is_held_and_released_by_hand(works: Works, control: SandboxControl) -> None:
    await works.put_page(pace=50.0)
    message_id = await works.send(crowd(200))
    await works.arrived(5)

    await holds_of(works).hold(HoldPage(owner=OWNER, page_id=PAGE, reason="a wrong link"))
    counts = await settled(works, message_id)
    arrived = len(await works.arrivals())
    row = await works.row(message_id)
    assert row.page_hold is not None
    assert Vault(KEY).labels.hold_reasons.open(row.page_hold.reason, PAGE) == "a wrong link"
    assert row.page_hold.held_by == OWNER
    assert (counts["SENT"], counts["PENDING"]) == (arrived, 200 - arrived)

    await works.put_page(pace=UNPACED)  # settings end no hold
    await works.put_page(pace=UNPACED, access_token="page-token-EAAG-another-one")
    assert (await page(works)).is_held
    await holds_of(works).release(ReleasePage(owner=OWNER, page_id=PAGE))
    assert (await works.done(message_id)).status == "SENT"
    assert set((await works.accepted()).values()) == {1}


async def test_a_held_page_keeps_no_other_page_from_sending(works: Works) -> None:
    await works.put_page("other", pace=UNPACED)
    await holds_of(works).hold(HoldPage(owner=OWNER, page_id=PAGE))
    waiting = await works.send(crowd(10))
    other = await works.send(crowd(10), page_id="other")

    assert (await works.done(other)).status == "SENT"
    assert await works.counts(waiting) == {"PENDING": 10}


async def test_a_recipient_who_gets_the_error_of_a_whole_page_holds_nothing(
    works: Works, control: SandboxControl
) -> None:
    await works.put_page(pace=UNPACED)
    people = crowd(60)
    await control.order({"preset": "permission", "recipients": [person.id for person in people[::6]]})

    row = await works.done(await works.send(people))

    assert row.counts[DeliveryStatus.FAILED] == 10
    assert not (await page(works)).is_held


async def test_the_timer_leaves_messages_of_a_held_page_alone(works: Works, control: SandboxControl) -> None:
    await control.order({"preset": "temporary", "times": 1})
    message_id = await works.send(crowd(3), retry_policy=cron())
    await works.done(message_id)
    await holds_of(works).hold(HoldPage(owner=OWNER, page_id=PAGE))

    held_back = await works.timer.run_now()
    await holds_of(works).release(ReleasePage(owner=OWNER, page_id=PAGE))
    taken = await works.timer.run_now()

    assert [len(results) for results in (held_back, taken)] == [0, 1]


async def test_recipients_who_get_a_tokens_error_while_the_token_is_good_hold_nothing(
    works: Works, control: SandboxControl
) -> None:
    """The platform is asked about the token, and says that it is good."""
    await works.put_page(pace=UNPACED)
    people = crowd(200)
    await control.order({"preset": "revoked_token", "recipients": [person.id for person in people[:20]]})

    row = await works.done(await works.send(people))

    assert (row.counts[DeliveryStatus.FAILED], row.counts[DeliveryStatus.SENT]) == (20, 180)
    assert not (await page(works)).is_held
