"""A pause that the platform asks for: it is shown with its reason, and a person can end it."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from domain.commands import ReleasePage
from domain.fault import ErrorType
from domain.page_events import PageReleased, SendMode
from domain.streams import page_stream
from projections import pages
from projections.page_pauses import PauseRow
from projections.pages import PageRow
from projections.sql import Micros
from server.background.timer_report import TimerStatus
from server.commands.pages import PageHoldService
from server.crypto.vault import Vault
from server.sandbox.control import SandboxControl
from server.sandbox.runner import Sandbox
from tests.builders import OWNER, PAGE, auto, cron, crowd, each, people, wall_clock
from tests.server.sending.works import KEY, Works, open_works
from tests.waiting import eventually

USAGE = "X-Business-Use-Case-Usage"
MINUTE = 60_000_000  # microseconds


def usage(**minutes: Sequence[object]) -> dict[str, object]:
    """An order of the header: per object a product and its minutes to regain access."""
    objects = {
        name.removeprefix("page"): [{"type": kind, "call_count": 1, "estimated_time_to_regain_access": wait}]
        for name, (kind, wait) in minutes.items()
    }
    return {"effect": {"kind": "headers", "headers": {USAGE: json.dumps(objects)}}}


async def release(works: Works, request_id: str = "") -> PageRow:
    service = PageHoldService(works.log, Vault(KEY), wall_clock)
    return await service.release(ReleasePage(owner=OWNER, page_id=PAGE, request_id=request_id))


async def page(works: Works) -> PageRow:
    row = await works.log.read(lambda sql: pages.find(sql, PAGE))
    assert row is not None
    return row


async def paused(works: Works) -> PauseRow:
    row = await eventually(lambda: page(works), lambda row: row.pause is not None)
    assert row.pause is not None
    return row.pause


async def clock(works: Works) -> Micros:
    return await works.log.read(lambda sql: sql.clock())


@pytest.mark.parametrize("mode", SendMode)
@pytest.mark.parametrize("kind", ["ads_management", "instagram", "something_new"])
async def test_a_limit_of_another_product_pauses_nothing(
    works: Works, control: SandboxControl, mode: SendMode, kind: str
) -> None:
    await works.put_page(send_mode=mode)
    await control.order(usage(page777=(kind, 30)))

    row = await works.done(await works.send(crowd(60)))

    assert (row.status, row.page_pause, (await page(works)).pause) == ("SENT", None, None)


@pytest.mark.parametrize("mode", SendMode)
async def test_of_several_objects_only_the_page_itself_pauses_it(
    works: Works, control: SandboxControl, mode: SendMode
) -> None:
    await works.put_page(send_mode=mode)
    await control.order(usage(**{f"page{PAGE}": ("messenger", 0), "page888": ("messenger", 30)}))

    assert (await works.done(await works.send(crowd(60)))).status == "SENT"


@pytest.mark.parametrize("mode", SendMode)
async def test_a_pause_says_why_and_until_when_and_a_release_ends_it(
    works: Works, control: SandboxControl, mode: SendMode
) -> None:
    await works.put_page(pace=50.0, send_mode=mode)
    await control.order(usage(page777=("ads_management", 90), page888=("messenger", 30)))
    message_id = await works.send(crowd(200))

    pause = await paused(works)
    shown = (await works.row(message_id)).page_pause
    arrived = await works.arrivals()
    await control.clear_faults()
    assert pause.reason == f"{USAGE}, messenger of 888: access again in 30 minutes"
    assert (pause.error_code, pause.error_type) == (0, None)
    assert 29 * MINUTE < pause.until - await clock(works) <= 30 * MINUTE
    assert shown == pause
    assert len(arrived) <= 100

    released = await release(works)

    assert released.pause is None
    assert (await works.done(message_id)).status == "SENT"
    assert set((await works.accepted()).values()) == {1}
    [event] = [event for event in await works.log.load(page_stream(PAGE)) if isinstance(event, PageReleased)]
    assert (event.released_by, event.ended_pause) == (OWNER, pause.reason)


async def test_after_a_release_another_answer_that_asks_for_a_pause_pauses_again(
    works: Works, control: SandboxControl
) -> None:
    await works.put_page(pace=50.0)
    await control.order(usage(page888=("messenger", 30)))
    await works.send(crowd(200))
    first = await paused(works)
    arrived = len(await works.arrivals())

    await release(works)
    second = await paused(works)

    assert second.time > first.time
    assert len(await works.arrived(arrived + 1)) < 200


async def test_the_platforms_error_and_its_wait_are_the_reason(works: Works, control: SandboxControl) -> None:
    await control.order({"effect": {"kind": "rate_limit", "seconds": 900, "code": 80006}})
    await works.send(people("ann"))

    pause = await paused(works)

    assert (pause.error_code, pause.error_type) == (80006, ErrorType.RATE_LIMIT)
    assert "too many calls to this Messenger account" in pause.reason
    assert "Retry-After: 900" in pause.reason


async def test_a_page_that_waits_by_itself_because_everything_is_refused_says_so_too(
    works: Works, control: SandboxControl
) -> None:
    await control.order({"effect": {"kind": "error", "code": 613}})
    message_id = await works.send(crowd(300), retry_policy=cron())

    pause = await paused(works)

    assert (pause.error_code, pause.error_type) == (613, ErrorType.RATE_LIMIT)
    assert pause.reason == "(#613) Calls to this API have exceeded the rate limit."
    assert 0 < pause.until - pause.time <= MINUTE
    await control.clear_faults()
    await release(works)
    await works.done(message_id)
    [result] = await works.timer.run_now()
    assert result.status is TimerStatus.STARTED


async def test_a_page_that_stands_idle_sends_at_once_after_the_release(works: Works, control: SandboxControl) -> None:
    """The process remembers a page's pace beyond its work."""
    await control.order({"effect": {"kind": "headers", "headers": {"Retry-After": "3600"}}})
    await works.done(await works.send(people("ann")))
    await paused(works)
    await control.clear_faults()

    await release(works)

    assert (await works.done(await works.send(people("bob")))).status == "SENT"


async def test_a_round_that_waits_for_the_end_of_a_pause_starts_after_the_release(
    works: Works, control: SandboxControl
) -> None:
    await control.order({"effect": {"kind": "rate_limit", "seconds": 3600}})
    message_id = await works.send(people("ann"), retry_policy=auto(delay=each(1.0)))
    await works.done(message_id)
    await paused(works)
    await control.clear_faults()

    await release(works)

    assert (await eventually(lambda: works.row(message_id), lambda row: row.status == "SENT")).retry_count == 1


async def test_a_pause_and_its_reason_outlive_the_process(
    database: Path, sandbox: Sandbox, control: SandboxControl
) -> None:
    await control.order(usage(page888=("messenger", 30)))
    async with open_works(database, sandbox) as first:
        await first.put_page()
        await first.start()
        await first.send(people("ann"))
        before = await paused(first)
    await control.clear_faults()

    async with open_works(database, sandbox, worker="worker-2") as second:
        await second.start()
        message_id = await second.send(people("bob"))
        assert (await page(second)).pause == before
        assert (await second.row(message_id)).page_pause == before

        await release(second)

        assert (await second.done(message_id)).status == "SENT"


async def test_releasing_twice_with_one_request_id_ends_one_pause(works: Works, control: SandboxControl) -> None:
    await works.put_page(pace=50.0)
    await control.order(usage(page888=("messenger", 30)))
    await works.send(crowd(200))
    await paused(works)
    await release(works, "release-1")
    again = await paused(works)

    assert (await release(works, "release-1")).pause == again


async def test_a_release_of_a_page_that_sends_changes_nothing(works: Works) -> None:
    before = await works.log.load(page_stream(PAGE))

    await release(works)

    assert await works.log.load(page_stream(PAGE)) == before
