"""Resends with a corrected content, on both databases: rejected requests, stored data and shown data."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from domain.commands import ErasePerson, Recipient
from domain.content import Attachment, Content, QuickReply
from domain.errors import InvalidRequest, OlderReleaseRunning, RequestIdReused, Violation
from domain.fault import ErrorType, Fault, RetryRule
from domain.message_events import RetryRequested
from projections.sql import Sql
from server.commands.erasure import ErasureService
from server.commands.resend import ResendService
from server.commands.send import SendService
from server.crypto.key_ring import SealingKey
from server.crypto.rotation import rotate
from server.crypto.vault import Vault
from server.eventstore.event_store import EventStore
from server.eventstore.store import Store
from server.queries.event_texts import details, summary
from server.queries.rounds import RetryFilter, list_retries
from server.sending.rendered_messages import MessageRenderer
from tests.builders import (
    FAILED,
    OWNER,
    pause_message,
    people,
)
from tests.databases import opened
from tests.server.commands.command_harness import CommandHarness
from tests.server.commands.corrections import (
    BAD_CONTENT,
    CORRECTED,
    rendered,
    texts,
)

OLD_SERVER = "INSERT INTO workers (worker, lease_expire_time) VALUES ('old', :expires)"


@pytest.fixture
def store(database_url: str) -> Store:
    return opened(database_url)


@pytest.fixture
async def harness(store: Store) -> AsyncIterator[CommandHarness]:
    async with EventStore(store) as log:
        harness = CommandHarness(log)
        await harness.register_page()
        yield harness


@pytest.fixture
def renderer(harness: CommandHarness) -> MessageRenderer:
    """Return one cache for the whole test, as a server has it."""
    return MessageRenderer(harness.log, harness.vault)


# Variables


async def test_a_correction_may_use_variables_of_the_original(
    harness: CommandHarness, renderer: MessageRenderer
) -> None:
    ann = Recipient(id="ann", name="Ann", variables={"city": "Hue", "unused": "x"})
    message_id = await harness.send([ann], text="Hello {{city}}")
    await harness.deliver(message_id, {"ann": BAD_CONTENT})

    await harness.resend(message_id, content=Content(text="{{name}} of {{city}}"))

    assert await texts(harness, renderer, message_id) == {"ann": "Ann of Hue"}


async def test_an_unknown_variable_without_a_default_is_refused_in_any_field(harness: CommandHarness) -> None:
    message_id = await harness.sent({"ann": FAILED}, text="Hello {{city}}")
    image = Attachment(type="image", url="https://example.org/{{city}}/{{file}}.png")
    replies = [QuickReply(title="{{area|All}}"), QuickReply(title="Yes", payload="{{name}}-{{code}}")]

    with pytest.raises(InvalidRequest) as refused:
        await harness.resend(message_id, content=Content(attachment=image, quick_replies=replies))

    assert [one.field for one in refused.value.violations] == [
        "content.attachment.url",
        "content.quick_replies[1].payload",
    ]


@pytest.mark.parametrize("validate_only", [False, True])
async def test_an_unknown_variable_is_named_in_the_refusal(harness: CommandHarness, validate_only: bool) -> None:
    message_id = await harness.sent({"ann": FAILED}, text="Hello {{city}}")
    before = await harness.contents()

    with pytest.raises(InvalidRequest) as refused:
        await harness.resend(
            message_id, content=Content(text="{{name}} {{street}} {{area}}"), validate_only=validate_only
        )

    words = "asks for {{area}}, {{street}}, which was not kept: the original content did not ask for it"
    assert list(refused.value.violations) == [Violation("content.text", words)]
    assert await harness.contents() == before


async def test_a_recipient_without_a_variable_of_the_correction_fails_and_the_others_are_sent(
    harness: CommandHarness, renderer: MessageRenderer
) -> None:
    message_id = await harness.send([Recipient(id="ann"), *people("bob")], text="Hello")
    await harness.deliver(message_id, dict.fromkeys(("ann", "bob"), BAD_CONTENT))

    await harness.resend(message_id, content=CORRECTED)

    assert await texts(harness, renderer, message_id) == {"bob": "Dear Bob"}
    found = await rendered(harness, renderer, 2, message_id)
    assert [(one.type, one.retry, one.message) for one in found if isinstance(one, Fault)] == [
        (
            ErrorType.OTHER,
            RetryRule.NEVER,
            "nothing was sent: the recipient lacks {{name}}, which the text asks for",
        )
    ]


# Requests


async def test_the_content_is_part_of_a_repeated_request(harness: CommandHarness) -> None:
    message_id = await harness.sent({"ann": FAILED})

    await harness.resend(message_id, content=CORRECTED, request_id="r-1")
    await harness.resend(message_id, content=CORRECTED, request_id="r-1")

    for other in (None, Content(text="Dear {{ name }}")):
        with pytest.raises(RequestIdReused):
            await harness.resend(message_id, content=other, request_id="r-1")
    assert len(await harness.created(message_id, round_=1)) == 1


async def test_a_dry_run_changes_nothing(harness: CommandHarness) -> None:
    message_id = await harness.sent({"ann": FAILED})
    await harness.pauses.pause(pause_message(await harness.send(people("bob"))))
    before = await harness.contents()

    await harness.resend(message_id, content=CORRECTED, validate_only=True)

    assert await harness.contents() == before


async def test_the_list_of_rounds_shows_that_the_content_changed(harness: CommandHarness) -> None:
    message_id = await harness.sent({"ann": FAILED})
    await harness.resend(message_id, content=CORRECTED)
    await harness.deliver(message_id, {"ann": FAILED})
    await harness.resend(message_id)

    wanted = RetryFilter(owner=OWNER, message_id=message_id)
    found = await list_retries(harness.log, wanted, before=2**62, limit=10)

    assert [one.first_slice.selection.content_changed for one in found] == [False, True]


# Stored data


async def test_no_text_is_in_the_history_or_the_log(harness: CommandHarness) -> None:
    message_id = await harness.sent({"ann": FAILED})
    await harness.resend(message_id, content=Content(text="Secret words"))

    event = next(event for event in await harness.events(message_id) if isinstance(event, RetryRequested))

    assert b"Secret" not in event.sealed_content
    assert "sealed_content" not in json.loads(details(event))
    assert summary(event).endswith("with a corrected content")


async def test_no_correction_is_written_while_an_older_server_runs(harness: CommandHarness) -> None:
    def old_server(sql: Sql) -> None:
        sql.execute(OLD_SERVER, {"expires": sql.clock() + 60_000_000})

    await harness.log.write(old_server)
    message_id = await harness.sent({"ann": FAILED})

    with pytest.raises(OlderReleaseRunning):
        await harness.resend(message_id, content=CORRECTED)
    assert (await harness.resend(message_id)).recipients == 1


async def test_a_corrected_content_opens_after_a_key_rotation(harness: CommandHarness, store: Store) -> None:
    old, new = (SealingKey(bytes([number]) * 32) for number in (1, 2))
    harness.vault = Vault(old)
    harness.sends, harness.resends = (
        SendService(harness.log, harness.vault, harness.now),
        ResendService(harness.log, harness.vault, harness.now),
    )
    message_id = await harness.sent({"ann": FAILED})
    await harness.resend(message_id, content=CORRECTED)

    await asyncio.to_thread(rotate, store, old, new)

    assert await texts(harness, MessageRenderer(harness.log, Vault(new)), message_id) == {"ann": "Dear Ann"}


async def test_an_erased_recipient_gets_no_corrected_message(
    harness: CommandHarness, renderer: MessageRenderer
) -> None:
    message_id = await harness.sent({"ann": FAILED, "bob": FAILED})
    await harness.resend(message_id, content=CORRECTED)

    erasures = ErasureService(harness.log, harness.vault, harness.now)
    await erasures.erase(ErasePerson(owner=OWNER, recipient_id="ann"))

    assert await texts(harness, renderer, message_id) == {"bob": "Dear Bob"}
