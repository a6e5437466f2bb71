"""Resend with a corrected content, on both databases: what is refused, what is stored, and what is shown."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from domain.commands import ErasePerson
from domain.content import Attachment, Content, QuickReply
from domain.errors import InvalidRequest, OlderReleaseLives, RequestIdReused, Violation
from domain.fault import ErrorType, Fault, RetryRule
from domain.message_events import RetryRequested
from domain.recipient import Recipient
from projections.sql import Sql
from server.commands.erasure import ErasureService
from server.commands.resend import ResendService
from server.commands.send import SendService
from server.crypto.key_ring import SealingKey
from server.crypto.rotation import rotate
from server.crypto.vault import Vault
from server.eventstore.commit import Commit
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
from tests.server.commands.corrections import (
    BAD_CONTENT,
    CORRECTED,
    rendered,
    texts,
)
from tests.server.commands.desk import Desk

OLD_SERVER = "INSERT INTO workers (worker, lease_expire_time) VALUES ('old', :expires)"


@pytest.fixture
def store(database_url: str) -> Store:
    return opened(database_url)


@pytest.fixture
async def desk(store: Store) -> AsyncIterator[Desk]:
    async with EventStore(store) as log:
        desk = Desk(log)
        await desk.register_page()
        yield desk


@pytest.fixture
def letters(desk: Desk) -> MessageRenderer:
    """One cache for the whole test, as a server has it."""
    return MessageRenderer(desk.log, desk.vault)


# Variables


async def test_variables_that_the_original_asked_for_may_be_asked_for_again(
    desk: Desk, letters: MessageRenderer
) -> None:
    ann = Recipient(id="ann", name="Ann", variables={"city": "Hue", "unused": "x"})
    message_id = await desk.send([ann], text="Hello {{city}}")
    await desk.deliver(message_id, {"ann": BAD_CONTENT})

    await desk.resend(message_id, content=Content(text="{{name}} of {{city}}"))

    assert await texts(desk, letters, message_id) == {"ann": "Ann of Hue"}


async def test_a_variable_that_was_not_kept_is_refused_wherever_it_stands_unless_it_has_a_default(desk: Desk) -> None:
    message_id = await desk.sent({"ann": FAILED}, text="Hello {{city}}")
    image = Attachment(type="image", url="https://example.org/{{city}}/{{file}}.png")
    replies = [QuickReply(title="{{area|All}}"), QuickReply(title="Yes", payload="{{name}}-{{code}}")]

    with pytest.raises(InvalidRequest) as refused:
        await desk.resend(message_id, content=Content(attachment=image, quick_replies=replies))

    assert [one.field for one in refused.value.violations] == [
        "content.attachment.url",
        "content.quick_replies[1].payload",
    ]


@pytest.mark.parametrize("validate_only", [False, True])
async def test_a_variable_that_was_not_kept_is_refused_by_name(desk: Desk, validate_only: bool) -> None:
    message_id = await desk.sent({"ann": FAILED}, text="Hello {{city}}")
    before = await desk.contents()

    with pytest.raises(InvalidRequest) as refused:
        await desk.resend(message_id, content=Content(text="{{name}} {{street}} {{area}}"), validate_only=validate_only)

    words = "asks for {{area}}, {{street}}, which was not kept: the original content did not ask for it"
    assert list(refused.value.violations) == [Violation("content.text", words)]
    assert await desk.contents() == before


async def test_a_recipient_who_lacks_what_the_correction_asks_for_fails_and_the_others_are_sent_to(
    desk: Desk, letters: MessageRenderer
) -> None:
    message_id = await desk.send([Recipient(id="ann"), *people("bob")], text="Hello")
    await desk.deliver(message_id, dict.fromkeys(("ann", "bob"), BAD_CONTENT))

    await desk.resend(message_id, content=CORRECTED)

    assert await texts(desk, letters, message_id) == {"bob": "Dear Bob"}
    found = await rendered(desk, letters, 2, message_id)
    assert [(one.type, one.retry, one.message) for one in found if isinstance(one, Fault)] == [
        (
            ErrorType.OTHER,
            RetryRule.NEVER,
            "nothing was sent: the recipient lacks {{name}}, which the text asks for",
        )
    ]


# Requests


async def test_the_content_is_part_of_what_a_repeated_request_asks_for(desk: Desk) -> None:
    message_id = await desk.sent({"ann": FAILED})

    await desk.resend(message_id, content=CORRECTED, request_id="r-1")
    await desk.resend(message_id, content=CORRECTED, request_id="r-1")

    for other in (None, Content(text="Dear {{ name }}")):
        with pytest.raises(RequestIdReused):
            await desk.resend(message_id, content=other, request_id="r-1")
    assert len(await desk.created(message_id, round_=1)) == 1


async def test_a_dry_run_changes_nothing(desk: Desk) -> None:
    message_id = await desk.sent({"ann": FAILED})
    await desk.pauses.pause(pause_message(await desk.send(people("bob"))))
    before = await desk.contents()

    await desk.resend(message_id, content=CORRECTED, validate_only=True)

    assert await desk.contents() == before


async def test_the_rounds_say_that_the_content_changed(desk: Desk) -> None:
    message_id = await desk.sent({"ann": FAILED})
    await desk.resend(message_id, content=CORRECTED)
    await desk.deliver(message_id, {"ann": FAILED})
    await desk.resend(message_id)

    wanted = RetryFilter(owner=OWNER, message_id=message_id)
    found = await list_retries(desk.log, wanted, before=2**62, limit=10)

    assert [one.asked.selection.content_changed for one in found] == [False, True]


# What is stored


async def test_no_text_is_shown_by_the_history_or_stands_in_the_log(desk: Desk) -> None:
    message_id = await desk.sent({"ann": FAILED})
    await desk.resend(message_id, content=Content(text="Secret words"))

    event = next(event for event in await desk.events(message_id) if isinstance(event, RetryRequested))

    assert b"Secret" not in event.sealed_content
    assert "sealed_content" not in json.loads(details(event))
    assert summary(event).endswith("with a corrected content")


async def test_a_server_of_the_release_before_keeps_a_correction_from_being_written(desk: Desk) -> None:
    def old_server(sql: Sql) -> None:
        sql.execute(OLD_SERVER, {"expires": sql.clock() + 60_000_000})

    await desk.log.commit(Commit([], also=old_server))
    message_id = await desk.sent({"ann": FAILED})

    with pytest.raises(OlderReleaseLives):
        await desk.resend(message_id, content=CORRECTED)
    assert (await desk.resend(message_id)).recipients == 1


async def test_with_another_key_of_the_server_the_corrected_content_opens_still(desk: Desk, store: Store) -> None:
    old, new = (SealingKey(bytes([number]) * 32) for number in (1, 2))
    desk.vault = Vault(old)
    desk.sends, desk.resends = (
        SendService(desk.log, desk.vault, desk.now),
        ResendService(desk.log, desk.vault, desk.now),
    )
    message_id = await desk.sent({"ann": FAILED})
    await desk.resend(message_id, content=CORRECTED)

    await asyncio.to_thread(rotate, store, old, new)

    assert await texts(desk, MessageRenderer(desk.log, Vault(new)), message_id) == {"ann": "Dear Ann"}


async def test_a_person_who_was_erased_gets_no_corrected_message(desk: Desk, letters: MessageRenderer) -> None:
    message_id = await desk.sent({"ann": FAILED, "bob": FAILED})
    await desk.resend(message_id, content=CORRECTED)

    erasures = ErasureService(desk.log, desk.vault, desk.now)
    await erasures.erase(ErasePerson(owner=OWNER, recipient_id="ann"))

    assert await texts(desk, letters, message_id) == {"bob": "Dear Bob"}
