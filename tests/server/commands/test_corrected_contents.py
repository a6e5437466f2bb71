"""Resends with a corrected content, on both databases: the attempts that get it, and their texts."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from domain.canary import Canary
from domain.content import Content
from domain.message_events import RetryRequested
from domain.retry import RetryTrigger
from domain.streams import batch_stream, message_stream
from server.commands.resend import ResendService
from server.eventstore.commit import Commit, Committed, StreamEvents
from server.eventstore.event_store import EventStore
from server.eventstore.rebuild import differences
from server.eventstore.store import Store
from server.sending.rendered_messages import MessageRenderer
from tests.builders import (
    FAILED,
    FAILED_FOR_TOKEN,
    NOW,
    SENT,
    auto,
    batch_created,
    batch_recipients,
    crowd,
    pause_message,
    people,
    resend_message,
    resume_message,
    retry_requested,
)
from tests.databases import opened
from tests.server.commands.command_harness import CommandHarness
from tests.server.commands.corrections import (
    BAD_CONTENT,
    CORRECTED,
    content_columns,
    content_rounds,
    finish,
    texts,
)
from tests.server.commands.crashing_log import CrashingLog, Killed


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


@pytest.fixture
def _small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use slices of 100 recipients instead of 10,000, and answer after the first."""
    monkeypatch.setattr("server.commands.resend_planning.PLAN_SLICE", 100)
    monkeypatch.setattr("server.commands.resend.PLAN_SECONDS", 0.0)
    monkeypatch.setattr("server.commands.open_rounds.PLAN_SECONDS", 0.0)


# Recipients of a correction


async def test_a_correction_is_used_for_the_recipients_of_its_round_and_their_later_rounds(
    harness: CommandHarness, renderer: MessageRenderer
) -> None:
    message_id = await harness.sent({"ann": FAILED, "bob": FAILED_FOR_TOKEN}, retry_policy=auto(5))
    original = await texts(harness, renderer, message_id)
    await harness.resend(message_id, content=CORRECTED)
    corrected = await texts(harness, renderer, message_id)
    await harness.deliver(message_id, {"ann": FAILED})
    await harness.complete(message_id)
    await harness.replace_token()

    await harness.rounds.start(message_id, RetryTrigger.AUTO, retry_count=0)

    assert original == {"ann": "Hello Ann", "bob": "Hello Bob"}
    assert corrected == {"ann": "Dear Ann"}
    assert await content_rounds(harness, message_id, 1) == {"ann": 1}
    assert await content_rounds(harness, message_id, 2) == {"ann": 1, "bob": 0}
    assert await texts(harness, renderer, message_id) == {"ann": "Dear Ann", "bob": "Hello Bob"}


async def test_the_last_of_several_corrections_is_used(harness: CommandHarness, renderer: MessageRenderer) -> None:
    failing = dict.fromkeys(("ann", "bob"), FAILED)
    message_id = await harness.sent(failing)
    await harness.resend(message_id, content=CORRECTED)
    await harness.deliver(message_id, failing)
    await harness.resend(message_id, recipient_ids=("bob",), content=Content(text="Bye {{name}}"))
    await harness.deliver(message_id, failing)

    await harness.resend(message_id)

    assert await texts(harness, renderer, message_id) == {"ann": "Dear Ann", "bob": "Bye Bob"}


async def test_without_a_selection_it_takes_recipients_whose_failure_the_content_may_have_caused(
    harness: CommandHarness,
) -> None:
    message_id = await harness.sent({"ann": BAD_CONTENT, "bob": FAILED, "cid": SENT})

    dry = await harness.resend(message_id, content=CORRECTED, validate_only=True)
    plain = await harness.resend(message_id, validate_only=True)
    await harness.resend(message_id, content=CORRECTED)

    assert (dry.recipients, plain.recipients) == (2, 1)
    assert await harness.taken(message_id) == ["ann", "bob"]


async def test_a_recipient_that_was_sent_the_message_gets_no_correction(harness: CommandHarness) -> None:
    message_id = await harness.sent({"ann": SENT, "bob": BAD_CONTENT})

    await harness.resend(message_id, recipient_ids=("ann", "bob"), content=CORRECTED)

    assert await harness.taken(message_id) == ["bob"]


async def test_the_remaining_recipients_get_the_canarys_content(
    harness: CommandHarness, renderer: MessageRenderer
) -> None:
    message_id = await harness.sent(dict.fromkeys(("ann", "bob", "cid"), FAILED))
    await harness.resend(message_id, content=CORRECTED, canary=Canary(recipients=1))
    await harness.deliver(message_id, {})

    await finish(harness, message_id)

    assert await content_rounds(harness, message_id, 1) == {"ann": 1, "bob": 1, "cid": 1}
    assert await texts(harness, renderer, message_id) == {"bob": "Dear Bob", "cid": "Dear Cid"}


@pytest.mark.usefixtures("_small_slices")
@pytest.mark.parametrize("is_written", [False, True])
@pytest.mark.parametrize("at", range(3))
async def test_all_slices_of_a_round_use_its_content_after_a_crash(
    harness: CommandHarness, renderer: MessageRenderer, at: int, is_written: bool
) -> None:
    """Another server, or the repeated request, plans the rest after the crash."""
    everyone = [who.id for who in crowd(250)]
    message_id = await harness.sent(dict.fromkeys(everyone, FAILED))
    mortal = CrashingLog(harness.log, at=at, is_written=is_written)
    asked = resend_message(message_id, request_id="r-1", content=CORRECTED)

    async def run() -> None:
        await ResendService(mortal, harness.vault, lambda: NOW).resend(asked)
        await finish(harness, message_id, mortal)

    with pytest.raises(Killed):
        await run()
    await finish(harness, message_id)
    await harness.resend(message_id, request_id="r-1", content=CORRECTED)
    await finish(harness, message_id)

    assert await content_rounds(harness, message_id, 1) == dict.fromkeys(everyone, 1)
    slices = [event for event in await harness.events(message_id) if isinstance(event, RetryRequested)]
    assert [bool(one.sealed_content) for one in slices] == [True, False, False]
    assert set((await texts(harness, renderer, message_id)).values()) == {
        f"Dear {id_.title()}" for id_ in everyone[200:]
    }


async def test_a_rebuild_restores_the_contents(harness: CommandHarness, store: Store) -> None:
    message_id = await harness.sent(dict.fromkeys(("ann", "bob", "cid"), FAILED))
    await harness.resend(message_id, recipient_ids=("ann",), content=CORRECTED)
    await harness.pauses.pause(pause_message(message_id))
    await harness.resend(message_id, content=CORRECTED)
    await harness.deliver(message_id, {"ann": FAILED})

    assert await content_columns(harness) == ({"ann": 1, "bob": 2, "cid": 2}, 2)
    assert await asyncio.to_thread(differences, store) == {}


async def test_an_attempt_for_a_recipient_that_was_reached_has_the_content_too(harness: CommandHarness) -> None:
    """A receipt may arrive between the read and the append; the projection then uses another path."""
    message_id = await harness.sent({"ann": FAILED, "bob": SENT})
    message = await harness.message(message_id)
    requested = retry_requested(message_id=message_id, recipients=2, sealed_content=b"sealed")
    who = [msgspec.structs.replace(one, content_round=1) for one in batch_recipients("ann", "bob", attempt=2)]
    created = batch_created(*who, message_id=message_id, round=1, batch_number=2)
    appends = [
        StreamEvents(message_stream(message_id), message.version, [requested]),
        StreamEvents(batch_stream(message_id, message.stage, 2), 0, [created]),
    ]

    assert isinstance(await harness.log.commit(Commit(appends)), Committed)

    assert await content_columns(harness) == ({"ann": 1, "bob": 1}, 0)


# Paused messages


async def test_a_correction_of_a_paused_message_applies_to_pending_deliveries(
    harness: CommandHarness, renderer: MessageRenderer
) -> None:
    message_id = await harness.send(crowd(150))
    await harness.deliver_batch((await harness.batches(message_id))[0], {"u00003": BAD_CONTENT})
    before = await texts(harness, renderer, message_id, 2)
    await harness.pauses.pause(pause_message(message_id))

    await harness.resend(message_id, content=CORRECTED)

    await harness.pauses.resume(resume_message(message_id))
    assert set(before.values()) == {f"Hello U{n:05}" for n in range(100, 150)}
    assert set((await texts(harness, renderer, message_id, 2)).values()) == {f"Dear U{n:05}" for n in range(100, 150)}
    assert await texts(harness, renderer, message_id) == {"u00003": "Dear U00003"}


async def test_a_correction_of_a_paused_message_is_stored_even_without_recipients(
    harness: CommandHarness, renderer: MessageRenderer
) -> None:
    message_id = await harness.send(people("ann"))
    await harness.pauses.pause(pause_message(message_id))

    started = await harness.resend(message_id, content=CORRECTED, request_id="r-1")
    again = await harness.resend(message_id, content=CORRECTED, request_id="r-1")

    assert (started.recipients, started.start_number) == (0, 0)
    assert again == started
    assert (await harness.row(message_id)).batches_total == 1
    assert await texts(harness, renderer, message_id) == {"ann": "Dear Ann"}


async def test_a_correction_without_recipients_starts_no_round_while_the_message_is_sent(
    harness: CommandHarness, renderer: MessageRenderer
) -> None:
    message_id = await harness.send(people("ann"))

    await harness.resend(message_id, content=CORRECTED)

    assert await texts(harness, renderer, message_id) == {"ann": "Hello Ann"}
    assert (await harness.row(message_id)).round == 0
