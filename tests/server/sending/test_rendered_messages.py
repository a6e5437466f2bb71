"""Rendered messages: the content for each recipient."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from domain.commands import Recipient
from domain.content import Attachment, Content, QuickReply
from domain.fault import Fault
from server.eventstore.event_store import EventStore
from server.eventstore.sqlite.store import SqliteStore
from server.messenger.channel import OutgoingMessage
from server.sending.rendered_messages import CACHED_MESSAGES, MessageRenderer, load_recipients
from tests.builders import FAILED, people
from tests.server.commands.command_harness import CommandHarness


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[CommandHarness]:
    async with EventStore(SqliteStore(tmp_path / "redrive.db")) as log:
        harness = CommandHarness(log)
        await harness.register_page()
        yield harness


@pytest.fixture
def renderer(harness: CommandHarness) -> MessageRenderer:
    return MessageRenderer(harness.log, harness.vault)


async def all_of_last_batch(
    harness: CommandHarness, renderer: MessageRenderer, message_id: str
) -> Mapping[int, OutgoingMessage | Fault]:
    batch = await harness.batch((await harness.batches(message_id))[-1])
    people = await harness.log.read(lambda sql: load_recipients(sql, batch, erased_until=0))
    found = await renderer.prepare(batch, people)
    return await found.render(range(len(batch.recipients)))


async def of_last_batch(
    harness: CommandHarness, renderer: MessageRenderer, message_id: str
) -> Mapping[int, OutgoingMessage]:
    found = await all_of_last_batch(harness, renderer, message_id)
    return {position: outgoing for position, outgoing in found.items() if isinstance(outgoing, OutgoingMessage)}


async def texts(
    harness: CommandHarness, renderer: MessageRenderer, text: str, *recipients: Recipient, **fields: Any
) -> list[str]:
    message_id = await harness.send(recipients, text=text, **fields)
    return [outgoing.content.text for outgoing in (await of_last_batch(harness, renderer, message_id)).values()]


async def test_a_text_is_filled_in_for_each_recipient(harness: CommandHarness, renderer: MessageRenderer) -> None:
    ann = Recipient(id="1", name="Ann", variables={"city": "Hanoi"})
    bob = Recipient(id="2", name="Bob", variables={"city": "Hue"})

    assert await texts(harness, renderer, "{{name}} of {{city}}", ann, bob) == ["Ann of Hanoi", "Bob of Hue"]


async def test_a_text_with_names_only_needs_no_variables(harness: CommandHarness, renderer: MessageRenderer) -> None:
    assert await texts(harness, renderer, "Dear {{name}}", *people("ann", "bob")) == ["Dear Ann", "Dear Bob"]


async def test_a_text_without_placeholders_is_unchanged(harness: CommandHarness, renderer: MessageRenderer) -> None:
    assert await texts(harness, renderer, "Dear all", *people("ann")) == ["Dear all"]


async def test_a_variable_called_name_overrides_the_recipients_name(
    harness: CommandHarness, renderer: MessageRenderer
) -> None:
    doctor = Recipient(id="1", name="Ann", variables={"name": "Dr Ann", "city": "Hue"})

    assert await texts(harness, renderer, "{{name}} of {{city}}", doctor) == ["Dr Ann of Hue"]


async def test_a_variable_called_name_is_used_without_other_variables(
    harness: CommandHarness, renderer: MessageRenderer
) -> None:
    """The recipient has no name; the text was accepted because of the variable."""
    doctor = Recipient(id="1", name="", variables={"name": "Dr Ann"})

    assert await texts(harness, renderer, "Dear {{name}}", doctor) == ["Dear Dr Ann"]


async def test_every_part_of_a_content_is_rendered(harness: CommandHarness, renderer: MessageRenderer) -> None:
    content = Content(
        text="Dear {{name}}",
        attachment=Attachment(type="image", url="https://example.org/a.png", is_reusable=True),
        quick_replies=[QuickReply(title="Yes", payload="yes")],
        messaging_type="MESSAGE_TAG",
        tag="ACCOUNT_UPDATE",
        notification_type="NO_PUSH",
    )
    message_id = await harness.send(people("ann"), content=content)

    (outgoing,) = (await of_last_batch(harness, renderer, message_id)).values()

    sent = outgoing.content
    assert (sent.text, sent.attachment, list(sent.quick_replies)) == (
        "Dear Ann",
        content.attachment,
        list(content.quick_replies),
    )
    assert (sent.messaging_type, sent.tag, sent.notification_type) == ("MESSAGE_TAG", "ACCOUNT_UPDATE", "NO_PUSH")


async def test_every_rendered_message_has_its_delivery_id(harness: CommandHarness, renderer: MessageRenderer) -> None:
    message_id = await harness.send(people("ann", "bob"))

    found = await of_last_batch(harness, renderer, message_id)

    assert [(outgoing.delivery_id, outgoing.recipient_id) for outgoing in found.values()] == [
        (harness.vault.ids.delivery(message_id, 1, 0), "ann"),
        (harness.vault.ids.delivery(message_id, 1, 1), "bob"),
    ]


async def test_a_resend_renders_the_same_text_as_the_first_attempt(
    harness: CommandHarness, renderer: MessageRenderer
) -> None:
    """Its recipients come from several batches of the first round, which hold their variables."""
    recipients = [Recipient(id=f"{n:03}", name=f"N{n}", variables={"n": str(n)}) for n in range(250)]
    failing = ("003", "120", "121", "249")
    message_id = await harness.send(recipients, text="{{name}} {{n}}")
    for _ in range(2):
        await harness.deliver(message_id, dict.fromkeys(failing, FAILED))
        await harness.resend(message_id)

    found = await of_last_batch(harness, renderer, message_id)

    assert [outgoing.content.text for outgoing in found.values()] == ["N3 3", "N120 120", "N121 121", "N249 249"]


async def test_a_resend_reads_the_variables_of_all_its_batches_of_the_first_round_at_once(
    harness: CommandHarness, renderer: MessageRenderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipients = [Recipient(id=f"{n:04}", name=f"N{n}", variables={"n": str(n)}) for n in range(3_000)]
    failing = [f"{n:04}" for n in range(5, 3_000, 100)]
    message_id = await harness.send(recipients, text="{{name}} {{n}}")
    await of_last_batch(harness, renderer, message_id)  # the message is in the cache now
    await harness.deliver(message_id, dict.fromkeys(failing, FAILED))
    await harness.resend(message_id)
    batch = await harness.batch((await harness.batches(message_id))[-1])
    stored = await harness.log.read(lambda sql: load_recipients(sql, batch, erased_until=0))
    reads: list[str] = []
    for name in ("read", "load", "recorded_in"):
        monkeypatch.setattr(harness.log, name, _counted(getattr(harness.log, name), name, reads))

    messages = await (await renderer.prepare(batch, stored)).render(range(len(failing)))

    assert reads == ["read"]
    assert [one.content.text for one in messages.values() if isinstance(one, OutgoingMessage)] == [
        f"N{n} {n}" for n in range(5, 3_000, 100)
    ]


def _counted(method: Callable[..., Awaitable[Any]], name: str, calls: list[str]) -> Callable[..., Awaitable[Any]]:
    def counted(*args: Any, **kwargs: Any) -> Awaitable[Any]:
        calls.append(name)
        return method(*args, **kwargs)

    return counted


async def test_contents_of_many_messages_are_not_confused(harness: CommandHarness, renderer: MessageRenderer) -> None:
    """More messages than the cache holds."""
    ids = [await harness.send(people("ann"), text=f"text {n}") for n in range(CACHED_MESSAGES + 3)]

    for _ in range(2):
        for number, message_id in enumerate(ids):
            (outgoing,) = (await of_last_batch(harness, renderer, message_id)).values()
            assert outgoing.content.text == f"text {number}"


async def test_a_rendered_message_has_the_name_and_variables_that_errors_must_not_quote(
    harness: CommandHarness, renderer: MessageRenderer
) -> None:
    """This holds for texts without placeholders, and in a resend, whose batch has no names."""
    ann = Recipient(id="1", name="Ann", variables={"city": "Hanoi"})
    for text, known in (("{{name}} of {{city}}", {"name": "Ann", "city": "Hanoi"}), ("Dear all", {"name": "Ann"})):
        message_id = await harness.send([ann], text=text)
        [outgoing] = (await of_last_batch(harness, renderer, message_id)).values()
        assert outgoing.variable_values() == known
        assert "Ann" not in repr(outgoing.variable_values)

        await harness.deliver(message_id, {"1": FAILED})
        await harness.resend(message_id)
        [outgoing] = (await of_last_batch(harness, renderer, message_id)).values()
        assert outgoing.variable_values()["name"] == "Ann"
