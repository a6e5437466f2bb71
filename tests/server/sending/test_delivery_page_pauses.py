"""Pauses that the platform asks for: shown with their reason, and released by a person."""

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
from tests.server.sending.service_process import KEY, ServiceProcess, open_service
from tests.waiting import eventually

USAGE = "X-Business-Use-Case-Usage"
MINUTE = 60_000_000  # microseconds


def usage(**minutes: Sequence[object]) -> dict[str, object]:
    """Return a fault order with the usage header: for each object a product and its minutes to regain access."""
    objects = {
        name.removeprefix("page"): [{"type": kind, "call_count": 1, "estimated_time_to_regain_access": wait}]
        for name, (kind, wait) in minutes.items()
    }
    return {"effect": {"kind": "headers", "headers": {USAGE: json.dumps(objects)}}}


async def release(service: ServiceProcess, request_id: str = "") -> PageRow:
    holds = PageHoldService(service.log, Vault(KEY), wall_clock)
    return await holds.release(ReleasePage(owner=OWNER, page_id=PAGE, request_id=request_id))


async def page(service: ServiceProcess) -> PageRow:
    row = await service.log.read(lambda sql: pages.find(sql, PAGE))
    assert row is not None
    return row


async def paused(service: ServiceProcess) -> PauseRow:
    row = await eventually(lambda: page(service), lambda row: row.pause is not None)
    assert row.pause is not None
    return row.pause


async def clock(service: ServiceProcess) -> Micros:
    return await service.log.read(lambda sql: sql.clock())


@pytest.mark.parametrize("mode", SendMode)
@pytest.mark.parametrize("kind", ["ads_management", "instagram", "something_new"])
async def test_a_limit_of_another_product_pauses_nothing(
    service: ServiceProcess, control: SandboxControl, mode: SendMode, kind: str
) -> None:
    await service.put_page(send_mode=mode)
    await control.order(usage(page777=(kind, 30)))

    row = await service.done(await service.send(crowd(60)))

    assert (row.status, row.page_pause, (await page(service)).pause) == ("SENT", None, None)


@pytest.mark.parametrize("mode", SendMode)
async def test_of_several_objects_only_the_page_pauses_itself(
    service: ServiceProcess, control: SandboxControl, mode: SendMode
) -> None:
    await service.put_page(send_mode=mode)
    await control.order(usage(**{f"page{PAGE}": ("messenger", 0), "page888": ("messenger", 30)}))

    assert (await service.done(await service.send(crowd(60)))).status == "SENT"


@pytest.mark.parametrize("mode", SendMode)
async def test_a_pause_has_a_reason_and_an_end_and_a_release_ends_it(
    service: ServiceProcess, control: SandboxControl, mode: SendMode
) -> None:
    await service.put_page(pace=50.0, send_mode=mode)
    await control.order(usage(page777=("ads_management", 90), page888=("messenger", 30)))
    message_id = await service.send(crowd(200))

    pause = await paused(service)
    shown = (await service.row(message_id)).page_pause
    arrived = await service.arrivals()
    await control.clear_faults()
    assert pause.reason == f"{USAGE}, messenger of 888: access again in 30 minutes"
    assert (pause.error_code, pause.error_type) == (0, None)
    assert 29 * MINUTE < pause.until - await clock(service) <= 30 * MINUTE
    assert shown == pause
    assert len(arrived) <= 100

    released = await release(service)

    assert released.pause is None
    assert (await service.done(message_id)).status == "SENT"
    assert set((await service.accepted()).values()) == {1}
    [event] = [event for event in await service.log.load(page_stream(PAGE)) if isinstance(event, PageReleased)]
    assert (event.released_by, event.ended_pause) == (OWNER, pause.reason)


async def test_after_a_release_another_rate_limited_answer_pauses_the_page_again(
    service: ServiceProcess, control: SandboxControl
) -> None:
    await service.put_page(pace=50.0)
    await control.order(usage(page888=("messenger", 30)))
    await service.send(crowd(200))
    first = await paused(service)
    arrived = len(await service.arrivals())

    await release(service)
    second = await paused(service)

    assert second.time > first.time
    assert len(await service.arrived(arrived + 1)) < 200


async def test_the_platforms_error_and_its_waiting_time_are_the_reason(
    service: ServiceProcess, control: SandboxControl
) -> None:
    await control.order({"effect": {"kind": "rate_limit", "seconds": 900, "code": 80006}})
    await service.send(people("ann"))

    pause = await paused(service)

    assert (pause.error_code, pause.error_type) == (80006, ErrorType.RATE_LIMIT)
    assert "too many calls to this Messenger account" in pause.reason
    assert "Retry-After: 900" in pause.reason


async def test_a_page_that_pauses_itself_after_refusals_shows_the_error(
    service: ServiceProcess, control: SandboxControl
) -> None:
    await control.order({"effect": {"kind": "error", "code": 613}})
    message_id = await service.send(crowd(300), retry_policy=cron())

    pause = await paused(service)

    assert (pause.error_code, pause.error_type) == (613, ErrorType.RATE_LIMIT)
    assert pause.reason == "(#613) Calls to this API have exceeded the rate limit."
    assert 0 < pause.until - pause.time <= MINUTE
    await control.clear_faults()
    await release(service)
    await service.done(message_id)
    [result] = await service.timer.run_now()
    assert result.status is TimerStatus.STARTED


async def test_an_idle_page_sends_at_once_after_the_release(service: ServiceProcess, control: SandboxControl) -> None:
    """The process keeps a page's pace after its work is done."""
    await control.order({"effect": {"kind": "headers", "headers": {"Retry-After": "3600"}}})
    await service.done(await service.send(people("ann")))
    await paused(service)
    await control.clear_faults()

    await release(service)

    assert (await service.done(await service.send(people("bob")))).status == "SENT"


async def test_a_round_that_waits_for_a_pause_starts_after_the_release(
    service: ServiceProcess, control: SandboxControl
) -> None:
    await control.order({"effect": {"kind": "rate_limit", "seconds": 3600}})
    message_id = await service.send(people("ann"), retry_policy=auto(delay=each(1.0)))
    await service.done(message_id)
    await paused(service)
    await control.clear_faults()

    await release(service)

    assert (await eventually(lambda: service.row(message_id), lambda row: row.status == "SENT")).retry_count == 1


async def test_a_pause_and_its_reason_survive_a_restart(
    database: Path, sandbox: Sandbox, control: SandboxControl
) -> None:
    await control.order(usage(page888=("messenger", 30)))
    async with open_service(database, sandbox) as first:
        await first.put_page()
        await first.start()
        await first.send(people("ann"))
        before = await paused(first)
    await control.clear_faults()

    async with open_service(database, sandbox, worker="worker-2") as second:
        await second.start()
        message_id = await second.send(people("bob"))
        assert (await page(second)).pause == before
        assert (await second.row(message_id)).page_pause == before

        await release(second)

        assert (await second.done(message_id)).status == "SENT"


async def test_two_releases_with_one_request_id_end_one_pause(service: ServiceProcess, control: SandboxControl) -> None:
    await service.put_page(pace=50.0)
    await control.order(usage(page888=("messenger", 30)))
    await service.send(crowd(200))
    await paused(service)
    await release(service, "release-1")
    again = await paused(service)

    assert (await release(service, "release-1")).pause == again


async def test_a_release_of_a_sending_page_changes_nothing(service: ServiceProcess) -> None:
    before = await service.log.load(page_stream(PAGE))

    await release(service)

    assert await service.log.load(page_stream(PAGE)) == before
