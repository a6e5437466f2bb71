"""A fault that hits everybody stops early, however the platform words it, and nothing that is pending is lost."""

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
from tests.server.sending.works import KEY, Works
from tests.waiting import eventually

UNPACED = 100_000.0
WASTED_AT_MOST = 125  # 25 refusals that make a fault certain, and 100 deliveries that were in flight by then

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
    "an unlisted subcode": {"code": 10, "subcode": 7654321, "message": "Something new about everybody"},
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


async def page(works: Works) -> PageRow:
    row = await works.log.read(lambda sql: pages.find(sql, PAGE))
    assert row is not None
    return row


async def halted(works: Works, message_id: str) -> tuple[PageRow, MessageRow]:
    """The page and the message, once one of them is held back and nothing is in flight."""

    async def look() -> tuple[PageRow, MessageRow]:
        return await page(works), await works.row(message_id)

    def is_halted(found: tuple[PageRow, MessageRow]) -> bool:
        held, row = found
        is_quiet = not row.counts[DeliveryStatus.SENDING] and row.batches_completed < row.batches_total
        return (held.is_held or row.paused) and is_quiet

    return await eventually(look, is_halted)


async def release(works: Works) -> None:
    await PageHoldService(works.log, Vault(KEY), wall_clock).release(ReleasePage(owner=OWNER, page_id=PAGE))


@pytest.mark.parametrize("mode", SendMode)
@pytest.mark.parametrize("fields", PAGE_WIDE.values(), ids=PAGE_WIDE.keys())
async def test_a_fault_of_the_page_holds_it_and_a_release_lets_the_rest_go_on(
    works: Works, control: SandboxControl, fields: dict[str, Any], mode: SendMode
) -> None:
    await works.put_page(pace=UNPACED, send_mode=mode)
    await control.order(error(fields))

    message_id = await works.send(crowd(600))
    held, row = await halted(works, message_id)
    counts = await works.counts(message_id)

    assert held.hold is not None
    assert (held.hold.error_code, row.stop) == (fields["code"], None)
    assert counts["FAILED"] <= WASTED_AT_MOST
    assert counts["FAILED"] + counts["PENDING"] == 600
    await control.clear_faults()
    await release(works)
    row = await works.done(message_id)
    assert await works.counts(message_id) == {"SENT": counts["PENDING"], "FAILED": counts["FAILED"]}


@pytest.mark.parametrize("mode", SendMode)
async def test_a_fault_in_the_midst_of_successes_and_dead_recipients_holds_the_page(
    works: Works, control: SandboxControl, mode: SendMode
) -> None:
    await works.put_page(pace=UNPACED, send_mode=mode)
    everybody = crowd(600)
    dead = [one.id for one in everybody[10::5]]
    await control.order({"preset": "unavailable_recipient", "recipients": dead})
    others = [one.id for one in everybody[10:] if one.id not in set(dead)]
    await control.order(error(NO_PAGE_TOKEN, recipients=others))

    message_id = await works.send(everybody)
    held, _ = await halted(works, message_id)
    counts = await works.counts(message_id)

    assert held.hold is not None
    assert counts["FAILED"] <= WASTED_AT_MOST * 5 // 4 + 5
    assert counts["SENT"] == 10


async def test_a_missing_page_is_retried_after_another_token(works: Works, control: SandboxControl) -> None:
    """And its recipients are not called invalid: they are alive."""
    await works.put_page(pace=UNPACED)
    await control.order(error(PAGE_GONE))
    message_id = await works.send(crowd(300))
    held, _ = await halted(works, message_id)
    assert held.hold is not None
    assert held.hold.error_type is ErrorType.PERMISSION
    await control.clear_faults()

    await works.put_page(pace=UNPACED, access_token="page-token-EAAG-another-one")
    await works.done(message_id)
    await works.resend(message_id)

    assert (await eventually(lambda: works.row(message_id), lambda row: row.status == "SENT")).total == 300
    assert set((await works.accepted()).values()) == {1}


async def test_the_same_token_again_neither_releases_the_page_nor_forgets_its_refusals(
    works: Works, control: SandboxControl
) -> None:
    """A caller may register its page before each send."""
    await works.put_page(pace=UNPACED)
    await control.order(error(PAGE_GONE))

    ids = []
    for number in range(30):
        await works.put_page(pace=UNPACED)
        ids.append(await works.send(crowd(5, prefix=f"m{number:02}-")))

    await eventually(lambda: page(works), lambda row: row.is_held)
    await works.put_page(pace=UNPACED)
    held = await page(works)
    counts = [await works.counts(message_id) for message_id in ids]
    assert (held.is_held, held.token_generation) == (True, 1)
    assert sum(one.get("FAILED", 0) for one in counts) <= WASTED_AT_MOST


@pytest.mark.parametrize("mode", SendMode)
@pytest.mark.parametrize("fields", CONTENT.values(), ids=CONTENT.keys())
async def test_a_fault_of_the_content_stops_the_message_and_not_the_page(
    works: Works, control: SandboxControl, fields: dict[str, Any], mode: SendMode
) -> None:
    await works.put_page(pace=UNPACED, send_mode=mode)
    everybody = crowd(600)
    await control.order(error(fields, recipients=[one.id for one in everybody]))

    message_id = await works.send(everybody)
    held, row = await halted(works, message_id)
    other = await works.send(crowd(10, prefix="other"))

    assert not held.is_held
    assert row.stop is not None
    assert row.status == "PAUSED"
    assert row.stop.attempts <= WASTED_AT_MOST
    assert row.counts[DeliveryStatus.PENDING] >= 600 - WASTED_AT_MOST
    assert (await works.done(other)).status == "SENT"


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
async def test_errors_of_recipients_without_a_subcode_hold_nothing(
    works: Works, control: SandboxControl, fields: dict[str, Any]
) -> None:
    await works.put_page(pace=UNPACED)
    everybody = crowd(200)
    await control.order(error(fields, recipients=[one.id for one in everybody[:60]]))

    row = await works.done(await works.send(everybody))

    assert (row.counts[DeliveryStatus.FAILED], row.counts[DeliveryStatus.SENT]) == (60, 140)
    assert not (await page(works)).is_held
