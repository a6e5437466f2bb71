"""MessageRenderer: what each recipient is told."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from domain.content import Attachment, Content, QuickReply
from domain.fault import Fault
from domain.recipient import Recipient
from server.eventstore.event_store import EventStore
from server.eventstore.sqlite.store import SqliteStore
from server.messenger.channel import OutgoingMessage
from server.sending.rendered_messages import CACHED_MESSAGES, MessageRenderer, people_of
from tests.builders import FAILED, people
from tests.server.commands.desk import Desk


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with EventStore(SqliteStore(tmp_path / "redrive.db")) as log:
        desk = Desk(log)
        await desk.register_page()
        yield desk


@pytest.fixture
def letters(desk: Desk) -> MessageRenderer:
    return MessageRenderer(desk.log, desk.vault)


async def all_of_last_batch(
    desk: Desk, letters: MessageRenderer, message_id: str
) -> Mapping[int, OutgoingMessage | Fault]:
    batch = await desk.batch((await desk.batches(message_id))[-1])
    people = await desk.log.read(lambda sql: people_of(sql, batch, erased_until=0))
    found = await letters.of_batch(batch, people)
    return await found.rendered(range(len(batch.recipients)))


async def of_last_batch(desk: Desk, letters: MessageRenderer, message_id: str) -> Mapping[int, OutgoingMessage]:
    found = await all_of_last_batch(desk, letters, message_id)
    return {position: letter for position, letter in found.items() if isinstance(letter, OutgoingMessage)}


async def texts(desk: Desk, letters: MessageRenderer, text: str, *recipients: Recipient, **fields: Any) -> list[str]:
    message_id = await desk.send(recipients, text=text, **fields)
    return [letter.content.text for letter in (await of_last_batch(desk, letters, message_id)).values()]


async def test_a_text_is_filled_in_for_each_recipient(desk: Desk, letters: MessageRenderer) -> None:
    ann = Recipient(id="1", name="Ann", variables={"city": "Hanoi"})
    bob = Recipient(id="2", name="Bob", variables={"city": "Hue"})

    assert await texts(desk, letters, "{{name}} of {{city}}", ann, bob) == ["Ann of Hanoi", "Bob of Hue"]


async def test_a_text_that_asks_only_for_names_needs_no_variables(desk: Desk, letters: MessageRenderer) -> None:
    assert await texts(desk, letters, "Dear {{name}}", *people("ann", "bob")) == ["Dear Ann", "Dear Bob"]


async def test_a_plain_text_stays_as_it_is(desk: Desk, letters: MessageRenderer) -> None:
    assert await texts(desk, letters, "Dear all", *people("ann")) == ["Dear all"]


async def test_a_variable_called_name_wins_over_the_recipients_name(desk: Desk, letters: MessageRenderer) -> None:
    doctor = Recipient(id="1", name="Ann", variables={"name": "Dr Ann", "city": "Hue"})

    assert await texts(desk, letters, "{{name}} of {{city}}", doctor) == ["Dr Ann of Hue"]


async def test_a_variable_called_name_wins_also_where_the_text_asks_for_nothing_else(
    desk: Desk, letters: MessageRenderer
) -> None:
    """With no name beside it, the text was accepted because the variable is there."""
    doctor = Recipient(id="1", name="", variables={"name": "Dr Ann"})

    assert await texts(desk, letters, "Dear {{name}}", doctor) == ["Dear Dr Ann"]


async def test_all_of_a_content_is_sent(desk: Desk, letters: MessageRenderer) -> None:
    content = Content(
        text="Dear {{name}}",
        attachment=Attachment(type="image", url="https://example.org/a.png", is_reusable=True),
        quick_replies=[QuickReply(title="Yes", payload="yes")],
        messaging_type="MESSAGE_TAG",
        tag="ACCOUNT_UPDATE",
        notification_type="NO_PUSH",
    )
    message_id = await desk.send(people("ann"), content=content)

    (letter,) = (await of_last_batch(desk, letters, message_id)).values()

    sent = letter.content
    assert (sent.text, sent.attachment, list(sent.quick_replies)) == (
        "Dear Ann",
        content.attachment,
        list(content.quick_replies),
    )
    assert (sent.messaging_type, sent.tag, sent.notification_type) == ("MESSAGE_TAG", "ACCOUNT_UPDATE", "NO_PUSH")


async def test_every_letter_is_known_by_its_delivery(desk: Desk, letters: MessageRenderer) -> None:
    message_id = await desk.send(people("ann", "bob"))

    found = await of_last_batch(desk, letters, message_id)

    assert [(letter.delivery_id, letter.recipient_id) for letter in found.values()] == [
        (desk.vault.ids.delivery(message_id, 1, 0), "ann"),
        (desk.vault.ids.delivery(message_id, 1, 1), "bob"),
    ]


async def test_a_resend_says_the_same_as_the_first_attempt(desk: Desk, letters: MessageRenderer) -> None:
    """Its recipients come from several batches of the first round, and their variables stand there."""
    recipients = [Recipient(id=f"{n:03}", name=f"N{n}", variables={"n": str(n)}) for n in range(250)]
    failing = ("003", "120", "121", "249")
    message_id = await desk.send(recipients, text="{{name}} {{n}}")
    for _ in range(2):
        await desk.deliver(message_id, dict.fromkeys(failing, FAILED))
        await desk.resend(message_id)

    found = await of_last_batch(desk, letters, message_id)

    assert [letter.content.text for letter in found.values()] == ["N3 3", "N120 120", "N121 121", "N249 249"]


async def test_many_messages_are_told_apart(desk: Desk, letters: MessageRenderer) -> None:
    """More than are kept open at once."""
    ids = [await desk.send(people("ann"), text=f"text {n}") for n in range(CACHED_MESSAGES + 3)]

    for _ in range(2):
        for number, message_id in enumerate(ids):
            (letter,) = (await of_last_batch(desk, letters, message_id)).values()
            assert letter.content.text == f"text {number}"


async def test_a_letter_knows_the_name_and_the_variables_that_no_error_may_quote(
    desk: Desk, letters: MessageRenderer
) -> None:
    """Also where the text asks for none of them, and in a resend, whose batch has no names."""
    ann = Recipient(id="1", name="Ann", variables={"city": "Hanoi"})
    for text, known in (("{{name}} of {{city}}", {"name": "Ann", "city": "Hanoi"}), ("Dear all", {"name": "Ann"})):
        message_id = await desk.send([ann], text=text)
        [letter] = (await of_last_batch(desk, letters, message_id)).values()
        assert letter.fillings() == known
        assert "Ann" not in repr(letter.fillings)

        await desk.deliver(message_id, {"1": FAILED})
        await desk.resend(message_id)
        [letter] = (await of_last_batch(desk, letters, message_id)).values()
        assert letter.fillings()["name"] == "Ann"
