"""A page-wide or content fault stops sending early, for any wording of the error, and no pending delivery is lost."""

from typing import Any

import pytest

from domain.commands import ReleasePage
from domain.delivery import DeliveryStatus
from domain.fault import ErrorType
from domain.page_events import SendMode
from projections import pages
from projections.message_rows import MessageRow
from projections.pages import PageRow
from server.commands.pages import PageHoldService
from server.crypto.vault import Vault
from server.sandbox.control import SandboxControl
from tests.builders import OWNER, PAGE, crowd, wall_clock
from tests.server.sending.service_process import KEY, ServiceProcess
from tests.waiting import eventually

UNPACED = 100_000.0
WASTED_AT_MOST = 125  # 25 refusals that make a fault certain, plus 100 deliveries in flight

NO_PAGE_TOKEN = {"code": 190, "message": "This method must be called with a Page Access Token"}
PAGE_GONE = {
    "code": 100,
    "subcode": 33,
    "type": "GraphMethodException",
    "message": f"Unsupported post request. Object with ID '{PAGE}' does not exist, cannot be loaded due to missing"
    " permissions, or does not support this operation",
}
PAGE_CLOSED_IN_GERMAN = {"code": 100, "message": f"Objekt mit der ID {PAGE} kann nicht geladen werden"}
RESTRICTED = {"code": 200, "message": "(#200) This Page is restricted from sending messages for 24 hours"}
PAGE_GONE_IN_GERMAN = {
    "code": 100,
    "subcode": 33,
    "type": "GraphMethodException",
    "message": f"Nicht unterstützte Anfrage. Ein Objekt mit der ID „{PAGE}“ ist nicht vorhanden",
}
PAGE_WIDE = {
    "a user's token that may read the page": NO_PAGE_TOKEN,
    "a missing permission": {"code": 190, "message": "pages_messaging must be granted before impersonating a page"},
    "the page is gone": PAGE_GONE,
    "the page is gone, in German": PAGE_GONE_IN_GERMAN,
    "the page cannot be loaded, in German, without a subcode": PAGE_CLOSED_IN_GERMAN,
    "a restriction for 24 hours": RESTRICTED,
    "an alias of the page": {"code": 803, "message": f"(#803) Some of the aliases do not exist: {PAGE}"},
    "an unauthorized address": {"code": 5, "message": "Unauthorized source IP address"},
    "an unknown app": {"code": 101, "message": "Error validating application"},
    "a deprecated version": {"code": 2635, "message": "(#2635) You are calling a deprecated version"},
    "an unlisted code": {"code": 98765, "message": "Something new"},
    "an unlisted subcode": {"code": 10, "subcode": 7654321, "message": "Something new about everyone"},
    "a code without subcode, in Portuguese": {"code": 10, "message": "Essa mensagem foi enviada fora do período"},
    "a block for policy": {"code": 368, "message": "(#368) Temporarily blocked for policies violations"},
}
CONTENT = {
    "an image that cannot be fetched": {"code": 100, "subcode": 2018008, "message": "Failed to fetch the file"},
    "a broken attachment": {"code": 100, "subcode": 2018047, "message": "(#100) Upload attachment failure."},
    "a bad parameter": {"code": 100, "message": "(#100) Param template[elements] must be an array"},
    "an unlisted subcode of a bad parameter": {"code": 100, "subcode": 1893029, "message": "Missing parameter"},
    "an invalid link": {"code": -1, "subcode": 4279047, "message": "Fatal"},
}


def error(fields: dict[str, Any], **order: Any) -> dict[str, Any]:
    return {"effect": {"kind": "error", **fields}, **order}


async def page(service: ServiceProcess) -> PageRow:
    row = await service.log.read(lambda sql: pages.find(sql, PAGE))
    assert row is not None
    return row


async def halted(service: ServiceProcess, message_id: str) -> tuple[PageRow, MessageRow]:
    """Return page and message once one of them is held or stopped and no delivery is in flight."""

    async def read() -> tuple[PageRow, MessageRow]:
        return await page(service), await service.row(message_id)

    def is_halted(found: tuple[PageRow, MessageRow]) -> bool:
        held, row = found
        is_quiet = not row.counts[DeliveryStatus.SENDING] and row.batches_completed < row.batches_total
        return (held.is_held or row.paused) and is_quiet

    return await eventually(read, is_halted)


async def release(service: ServiceProcess) -> None:
    await PageHoldService(service.log, Vault(KEY), wall_clock).release(ReleasePage(owner=OWNER, page_id=PAGE))


@pytest.mark.parametrize("mode", SendMode)
@pytest.mark.parametrize("fields", PAGE_WIDE.values(), ids=PAGE_WIDE.keys())
async def test_a_page_fault_holds_the_page_and_a_release_continues_it(
    service: ServiceProcess, control: SandboxControl, fields: dict[str, Any], mode: SendMode
) -> None:
    await service.put_page(pace=UNPACED, send_mode=mode)
    await control.order(error(fields))

    message_id = await service.send(crowd(600))
    held, row = await halted(service, message_id)
    counts = await service.counts(message_id)

    assert held.hold is not None
    assert (held.hold.error_code, row.stop) == (fields["code"], None)
    assert counts["FAILED"] <= WASTED_AT_MOST
    assert counts["FAILED"] + counts["PENDING"] == 600
    await control.clear_faults()
    await release(service)
    row = await service.done(message_id)
    assert await service.counts(message_id) == {"SENT": counts["PENDING"], "FAILED": counts["FAILED"]}


@pytest.mark.parametrize("mode", SendMode)
async def test_a_page_fault_among_successes_and_unreachable_recipients_holds_the_page(
    service: ServiceProcess, control: SandboxControl, mode: SendMode
) -> None:
    await service.put_page(pace=UNPACED, send_mode=mode)
    everyone = crowd(600)
    dead = [one.id for one in everyone[10::5]]
    await control.order({"preset": "unavailable_recipient", "recipients": dead})
    others = [one.id for one in everyone[10:] if one.id not in set(dead)]
    await control.order(error(NO_PAGE_TOKEN, recipients=others))

    message_id = await service.send(everyone)
    held, _ = await halted(service, message_id)
    counts = await service.counts(message_id)

    assert held.hold is not None
    assert counts["FAILED"] <= WASTED_AT_MOST * 5 // 4 + 5
    assert counts["SENT"] == 10


async def test_recipients_of_a_missing_page_are_retried_after_a_new_token(
    service: ServiceProcess, control: SandboxControl
) -> None:
    """They are not classified as invalid recipients."""
    await service.put_page(pace=UNPACED)
    await control.order(error(PAGE_GONE))
    message_id = await service.send(crowd(300))
    held, _ = await halted(service, message_id)
    assert held.hold is not None
    assert held.hold.error_type is ErrorType.PERMISSION
    await control.clear_faults()

    await service.put_page(pace=UNPACED, access_token="page-token-EAAG-another-one")
    await service.done(message_id)
    await service.resend(message_id)

    assert (await eventually(lambda: service.row(message_id), lambda row: row.status == "SENT")).total == 300
    assert set((await service.accepted()).values()) == {1}


async def test_the_same_token_again_neither_releases_the_page_nor_resets_its_count(
    service: ServiceProcess, control: SandboxControl
) -> None:
    """A caller may register its page before each send."""
    await service.put_page(pace=UNPACED)
    await control.order(error(PAGE_GONE))

    ids = []
    for number in range(30):
        await service.put_page(pace=UNPACED)
        ids.append(await service.send(crowd(5, prefix=f"m{number:02}-")))

    await eventually(lambda: page(service), lambda row: row.is_held)
    await service.put_page(pace=UNPACED)
    held = await page(service)
    counts = [await service.counts(message_id) for message_id in ids]
    assert (held.is_held, held.token_generation) == (True, 1)
    assert sum(one.get("FAILED", 0) for one in counts) <= WASTED_AT_MOST


@pytest.mark.parametrize("mode", SendMode)
@pytest.mark.parametrize("fields", CONTENT.values(), ids=CONTENT.keys())
async def test_a_content_fault_stops_the_message_and_not_the_page(
    service: ServiceProcess, control: SandboxControl, fields: dict[str, Any], mode: SendMode
) -> None:
    await service.put_page(pace=UNPACED, send_mode=mode)
    everyone = crowd(600)
    await control.order(error(fields, recipients=[one.id for one in everyone]))

    message_id = await service.send(everyone)
    held, row = await halted(service, message_id)
    other = await service.send(crowd(10, prefix="other"))

    assert not held.is_held
    assert row.stop is not None
    assert row.status == "PAUSED"
    assert row.stop.attempts <= WASTED_AT_MOST
    assert row.counts[DeliveryStatus.PENDING] >= 600 - WASTED_AT_MOST
    assert (await service.done(other)).status == "SENT"


@pytest.mark.parametrize(
    "fields",
    [
        {"code": 10, "message": "(#10) This message is sent outside of allowed window. Learn more"},
        {"code": 10, "message": "This message is sent outside of the allowed window"},
        {"code": 200, "message": "This person isn\u2019t receiving messages from you right now."},
        {"code": 200, "message": "(#551) 用户暂时收不到消息。"},
        {"code": 551, "message": "(#551) This person isn't available right now."},
        {"code": 100, "message": "(#100) No matching user found"},
    ],
)
async def test_errors_of_recipients_without_a_subcode_cause_no_hold(
    service: ServiceProcess, control: SandboxControl, fields: dict[str, Any]
) -> None:
    await service.put_page(pace=UNPACED)
    everyone = crowd(200)
    await control.order(error(fields, recipients=[one.id for one in everyone[:60]]))

    row = await service.done(await service.send(everyone))

    assert (row.counts[DeliveryStatus.FAILED], row.counts[DeliveryStatus.SENT]) == (60, 140)
    assert not (await page(service)).is_held
