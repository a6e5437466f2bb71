"""Nothing that was planned for a person leaves once they are erased; the others get theirs, and the books balance."""

import pytest

from domain.commands import ErasePerson, HoldPage, ReleasePage
from domain.fault import ErrorType
from domain.page_events import SendMode
from domain.recipient import Recipient
from server.commands.pages import PageHoldService
from server.crypto.vault import Vault
from server.eventstore.rebuild import differences
from server.sandbox.control import SandboxControl
from tests.builders import OWNER, PAGE, wall_clock
from tests.server.sending.works import FAST, KEY, Works

TEXT = "{{name}} of {{city}}"
HICCUP = {"preset": "temporary", "times": 1}


def everybody(*ids: str) -> list[Recipient]:
    return [Recipient(id=id_, name=id_.title(), variables={"city": "Hue"}) for id_ in ids]


async def erase(works: Works, recipient_id: str) -> None:
    await works.erasures.erase(ErasePerson(owner=OWNER, recipient_id=recipient_id))


async def reached(works: Works, message_id: str) -> list[str]:
    """For whom something of a message arrived, in order."""
    return [arrival.recipient for arrival in await works.arrivals() if arrival.metadata.startswith(message_id)]


@pytest.mark.parametrize("mode", SendMode)
async def test_what_waits_for_an_erased_person_fails_for_good_and_never_leaves(works: Works, mode: SendMode) -> None:
    await works.put_page(pace=FAST, send_mode=mode)
    holds = PageHoldService(works.log, Vault(KEY), wall_clock)
    await holds.hold(HoldPage(owner=OWNER, page_id=PAGE))
    filled_in = await works.send(everybody("ann", "bob", "cy"), text=TEXT)
    plain = await works.send([Recipient(id="ann"), Recipient(id="bob")], text="Dear all")

    await erase(works, "ann")
    since = await works.send(everybody("ann"), text=TEXT)
    await holds.release(ReleasePage(owner=OWNER, page_id=PAGE))

    for message_id in (filled_in, plain, since):
        await works.done(message_id)
    assert [await works.counts(one) for one in (filled_in, plain, since)] == [
        {"SENT": 2, "FAILED": 1},
        {"SENT": 1, "FAILED": 1},
        {"SENT": 1},
    ]
    assert sorted(await reached(works, filled_in)) == ["bob", "cy"]
    assert (await reached(works, plain), await reached(works, since)) == (["bob"], ["ann"])
    (attempt,) = (await works.attempts(filled_in))["ann"]
    assert attempt.error_type == ErrorType.INVALID_RECIPIENT
    assert "erased" in attempt.error_message
    assert differences(works.store) == {}


async def test_who_is_erased_while_a_batch_is_on_its_way_gets_nothing_more(works: Works) -> None:
    """The letters are written already, and wait for their turn: the last one for several."""
    await works.put_page(pace=40.0)
    ids = [f"{number:02}" for number in range(40)]
    message_id = await works.send(everybody(*ids), text=TEXT)
    await works.arrived(1)

    await erase(works, ids[-1])

    await works.done(message_id)
    assert await works.counts(message_id) == {"SENT": 39, "FAILED": 1}
    assert sorted(await reached(works, message_id)) == ids[:-1]


async def test_a_resend_to_an_erased_person_fails_the_same_way(works: Works, control: SandboxControl) -> None:
    await control.order({**HICCUP, "recipients": ["ann", "bob"]})
    message_id = await works.send(everybody("ann", "bob"), text=TEXT)
    await works.done(message_id)

    await erase(works, "ann")
    await works.resend(message_id)
    await works.done(message_id)

    assert await works.counts(message_id) == {"SENT": 1, "FAILED": 1}
    await works.resend(message_id)  # a permanent failure is not taken
    await works.resend(message_id, recipient_ids=("ann",))  # unless somebody insists
    await works.done(message_id)
    assert await reached(works, message_id) == ["ann", "bob", "bob"]
    errors = [attempt.error_type for attempt in (await works.attempts(message_id))["ann"]]
    assert errors == [ErrorType.NETWORK, ErrorType.INVALID_RECIPIENT, ErrorType.INVALID_RECIPIENT]
