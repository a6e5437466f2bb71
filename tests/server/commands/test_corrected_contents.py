"""Resend with a corrected content, on both databases: which attempts it is planned for, and what they say."""

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
from tests.server.commands.corrections import (
    BAD_CONTENT,
    CORRECTED,
    content_columns,
    content_rounds,
    finish,
    texts,
)
from tests.server.commands.desk import Desk
from tests.server.commands.mortal_log import Killed, MortalLog


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


@pytest.fixture
def _small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices of 100 recipients in place of 10,000, and an answer after the first."""
    monkeypatch.setattr("server.commands.resend_planning.PLAN_SLICE", 100)
    monkeypatch.setattr("server.commands.resend.PLAN_SECONDS", 0.0)
    monkeypatch.setattr("server.commands.open_rounds.PLAN_SECONDS", 0.0)


# Whom it is for


async def test_a_corrected_content_is_for_the_recipients_of_its_round_and_their_later_rounds(
    desk: Desk, letters: MessageRenderer
) -> None:
    message_id = await desk.sent({"ann": FAILED, "bob": FAILED_FOR_TOKEN}, retry_policy=auto(5))
    original = await texts(desk, letters, message_id)
    await desk.resend(message_id, content=CORRECTED)
    corrected = await texts(desk, letters, message_id)
    await desk.deliver(message_id, {"ann": FAILED})
    await desk.complete(message_id)
    await desk.replace_token()

    await desk.rounds.start(message_id, RetryTrigger.AUTO, retry_count=0)

    assert original == {"ann": "Hello Ann", "bob": "Hello Bob"}
    assert corrected == {"ann": "Dear Ann"}
    assert await content_rounds(desk, message_id, 1) == {"ann": 1}
    assert await content_rounds(desk, message_id, 2) == {"ann": 1, "bob": 0}
    assert await texts(desk, letters, message_id) == {"ann": "Dear Ann", "bob": "Hello Bob"}


async def test_the_last_of_several_corrections_is_said(desk: Desk, letters: MessageRenderer) -> None:
    failing = dict.fromkeys(("ann", "bob"), FAILED)
    message_id = await desk.sent(failing)
    await desk.resend(message_id, content=CORRECTED)
    await desk.deliver(message_id, failing)
    await desk.resend(message_id, recipient_ids=("bob",), content=Content(text="Bye {{name}}"))
    await desk.deliver(message_id, failing)

    await desk.resend(message_id)

    assert await texts(desk, letters, message_id) == {"ann": "Dear Ann", "bob": "Bye Bob"}


async def test_with_nothing_named_it_takes_those_whom_the_old_content_may_have_failed(desk: Desk) -> None:
    message_id = await desk.sent({"ann": BAD_CONTENT, "bob": FAILED, "cid": SENT})

    dry = await desk.resend(message_id, content=CORRECTED, validate_only=True)
    plain = await desk.resend(message_id, validate_only=True)
    await desk.resend(message_id, content=CORRECTED)

    assert (dry.recipients, plain.recipients) == (2, 1)
    assert await desk.taken(message_id) == ["ann", "bob"]


async def test_nobody_who_was_sent_the_message_gets_the_corrected_one(desk: Desk) -> None:
    message_id = await desk.sent({"ann": SENT, "bob": BAD_CONTENT})

    await desk.resend(message_id, recipient_ids=("ann", "bob"), content=CORRECTED)

    assert await desk.taken(message_id) == ["bob"]


async def test_the_rest_after_a_canary_gets_the_canarys_content(desk: Desk, letters: MessageRenderer) -> None:
    message_id = await desk.sent(dict.fromkeys(("ann", "bob", "cid"), FAILED))
    await desk.resend(message_id, content=CORRECTED, canary=Canary(recipients=1))
    await desk.deliver(message_id, {})

    await finish(desk, message_id)

    assert await content_rounds(desk, message_id, 1) == {"ann": 1, "bob": 1, "cid": 1}
    assert await texts(desk, letters, message_id) == {"bob": "Dear Bob", "cid": "Dear Cid"}


@pytest.mark.usefixtures("_small_slices")
@pytest.mark.parametrize("is_written", [False, True])
@pytest.mark.parametrize("at", range(3))
async def test_all_slices_of_a_round_keep_its_content_whoever_plans_them(
    desk: Desk, letters: MessageRenderer, at: int, is_written: bool
) -> None:
    """A server that is killed leaves the rest to others, or to the same request that comes again."""
    everyone = [who.id for who in crowd(250)]
    message_id = await desk.sent(dict.fromkeys(everyone, FAILED))
    mortal = MortalLog(desk.log, at=at, is_written=is_written)
    asked = resend_message(message_id, request_id="r-1", content=CORRECTED)

    async def live() -> None:
        await ResendService(mortal, desk.vault, lambda: NOW).resend(asked)
        await finish(desk, message_id, mortal)

    with pytest.raises(Killed):
        await live()
    await finish(desk, message_id)
    await desk.resend(message_id, request_id="r-1", content=CORRECTED)
    await finish(desk, message_id)

    assert await content_rounds(desk, message_id, 1) == dict.fromkeys(everyone, 1)
    slices = [event for event in await desk.events(message_id) if isinstance(event, RetryRequested)]
    assert [bool(one.sealed_content) for one in slices] == [True, False, False]
    assert set((await texts(desk, letters, message_id)).values()) == {f"Dear {id_.title()}" for id_ in everyone[200:]}


async def test_a_rebuild_finds_the_same_contents(desk: Desk, store: Store) -> None:
    message_id = await desk.sent(dict.fromkeys(("ann", "bob", "cid"), FAILED))
    await desk.resend(message_id, recipient_ids=("ann",), content=CORRECTED)
    await desk.pauses.pause(pause_message(message_id))
    await desk.resend(message_id, content=CORRECTED)
    await desk.deliver(message_id, {"ann": FAILED})

    assert await content_columns(desk) == ({"ann": 1, "bob": 2, "cid": 2}, 2)
    assert await asyncio.to_thread(differences, store) == {}


async def test_an_attempt_planned_for_somebody_who_was_reached_brings_the_content_too(desk: Desk) -> None:
    """A receipt may come between the look and the append; the projection takes another path then."""
    message_id = await desk.sent({"ann": FAILED, "bob": SENT})
    message = await desk.message(message_id)
    requested = retry_requested(message_id=message_id, recipients=2, sealed_content=b"sealed")
    who = [msgspec.structs.replace(one, content_round=1) for one in batch_recipients("ann", "bob", attempt=2)]
    created = batch_created(*who, message_id=message_id, round=1, batch_number=2)
    appends = [
        StreamEvents(message_stream(message_id), message.version, [requested]),
        StreamEvents(batch_stream(message_id, message.stage, 2), 0, [created]),
    ]

    assert isinstance(await desk.log.commit(Commit(appends)), Committed)

    assert await content_columns(desk) == ({"ann": 1, "bob": 1}, 0)


# A paused message


async def test_while_a_message_is_paused_the_correction_is_also_for_what_is_pending(
    desk: Desk, letters: MessageRenderer
) -> None:
    message_id = await desk.send(crowd(150))
    await desk.deliver_batch((await desk.batches(message_id))[0], {"u00003": BAD_CONTENT})
    before = await texts(desk, letters, message_id, 2)
    await desk.pauses.pause(pause_message(message_id))

    await desk.resend(message_id, content=CORRECTED)

    await desk.pauses.resume(resume_message(message_id))
    assert set(before.values()) == {f"Hello U{n:05}" for n in range(100, 150)}
    assert set((await texts(desk, letters, message_id, 2)).values()) == {f"Dear U{n:05}" for n in range(100, 150)}
    assert await texts(desk, letters, message_id) == {"u00003": "Dear U00003"}


async def test_a_correction_of_a_paused_message_counts_also_if_it_takes_no_recipient(
    desk: Desk, letters: MessageRenderer
) -> None:
    message_id = await desk.send(people("ann"))
    await desk.pauses.pause(pause_message(message_id))

    started = await desk.resend(message_id, content=CORRECTED, request_id="r-1")
    again = await desk.resend(message_id, content=CORRECTED, request_id="r-1")

    assert (started.recipients, started.start_number) == (0, 0)
    assert again == started
    assert (await desk.row(message_id)).batches_total == 1
    assert await texts(desk, letters, message_id) == {"ann": "Dear Ann"}


async def test_a_resend_that_takes_no_recipient_of_a_message_under_way_is_no_round(
    desk: Desk, letters: MessageRenderer
) -> None:
    message_id = await desk.send(people("ann"))

    await desk.resend(message_id, content=CORRECTED)

    assert await texts(desk, letters, message_id) == {"ann": "Hello Ann"}
    assert (await desk.row(message_id)).round == 0
