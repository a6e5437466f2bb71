"""Deliveries to an erased recipient fail without a request; others are sent, and the counts add up."""

import pytest

from domain.commands import ErasePerson, HoldPage, Recipient, ReleasePage
from domain.fault import ErrorType
from domain.page_events import SendMode
from server.commands.pages import PageHoldService
from server.crypto.vault import Vault
from server.eventstore.rebuild import differences
from server.sandbox.control import SandboxControl
from tests.builders import OWNER, PAGE, wall_clock
from tests.server.sending.service_process import FAST, KEY, ServiceProcess

TEXT = "{{name}} of {{city}}"
FAIL_ONCE = {"preset": "temporary", "times": 1}


def recipients_with_variables(*ids: str) -> list[Recipient]:
    return [Recipient(id=id_, name=id_.title(), variables={"city": "Hue"}) for id_ in ids]


async def erase(service: ServiceProcess, recipient_id: str) -> None:
    await service.erasures.erase(ErasePerson(owner=OWNER, recipient_id=recipient_id))


async def reached(service: ServiceProcess, message_id: str) -> list[str]:
    """Return the recipients that a message reached, in order."""
    return [arrival.recipient for arrival in await service.arrivals() if arrival.metadata.startswith(message_id)]


@pytest.mark.parametrize("mode", SendMode)
async def test_a_pending_delivery_to_an_erased_recipient_fails_without_a_request(
    service: ServiceProcess, mode: SendMode
) -> None:
    await service.put_page(pace=FAST, send_mode=mode)
    holds = PageHoldService(service.log, Vault(KEY), wall_clock)
    await holds.hold(HoldPage(owner=OWNER, page_id=PAGE))
    filled_in = await service.send(recipients_with_variables("ann", "bob", "cy"), text=TEXT)
    plain = await service.send([Recipient(id="ann"), Recipient(id="bob")], text="Dear all")

    await erase(service, "ann")
    since = await service.send(recipients_with_variables("ann"), text=TEXT)
    await holds.release(ReleasePage(owner=OWNER, page_id=PAGE))

    for message_id in (filled_in, plain, since):
        await service.done(message_id)
    assert [await service.counts(one) for one in (filled_in, plain, since)] == [
        {"SENT": 2, "FAILED": 1},
        {"SENT": 1, "FAILED": 1},
        {"SENT": 1},
    ]
    assert sorted(await reached(service, filled_in)) == ["bob", "cy"]
    assert (await reached(service, plain), await reached(service, since)) == (["bob"], ["ann"])
    (attempt,) = (await service.attempts(filled_in))["ann"]
    assert attempt.error_type == ErrorType.INVALID_RECIPIENT
    assert "erased" in attempt.error_message
    assert differences(service.store) == {}


async def test_a_recipient_erased_while_its_batch_is_sent_gets_nothing_more(service: ServiceProcess) -> None:
    """The messages are rendered already and wait for the pace."""
    await service.put_page(pace=40.0)
    ids = [f"{number:02}" for number in range(40)]
    message_id = await service.send(recipients_with_variables(*ids), text=TEXT)
    await service.arrived(1)

    await erase(service, ids[-1])

    await service.done(message_id)
    assert await service.counts(message_id) == {"SENT": 39, "FAILED": 1}
    assert sorted(await reached(service, message_id)) == ids[:-1]


async def test_a_resend_to_an_erased_recipient_fails_the_same_way(
    service: ServiceProcess, control: SandboxControl
) -> None:
    await control.order({**FAIL_ONCE, "recipients": ["ann", "bob"]})
    message_id = await service.send(recipients_with_variables("ann", "bob"), text=TEXT)
    await service.done(message_id)

    await erase(service, "ann")
    await service.resend(message_id)
    await service.done(message_id)

    assert await service.counts(message_id) == {"SENT": 1, "FAILED": 1}
    await service.resend(message_id)  # a plain resend skips permanent failures
    await service.resend(message_id, recipient_ids=("ann",))  # a named resend includes them
    await service.done(message_id)
    assert await reached(service, message_id) == ["ann", "bob", "bob"]
    errors = [attempt.error_type for attempt in (await service.attempts(message_id))["ann"]]
    assert errors == [ErrorType.NETWORK, ErrorType.INVALID_RECIPIENT, ErrorType.INVALID_RECIPIENT]
