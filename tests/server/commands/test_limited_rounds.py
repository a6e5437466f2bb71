"""A limit of automatic rounds, as they are planned: by keys on both databases, in slices, and after a crash."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial

import pytest

from domain.fault import ErrorType
from domain.message_events import RetryRequested
from domain.outcome import Outcome
from domain.retry import RetrySelection, RetryTrigger
from projections import standings
from server.bootstrap import event_store_over
from server.commands.open_rounds import OpenRoundService
from server.commands.rounds import AutomaticRoundService
from server.settings import Settings
from tests.builders import FAILED, FAILED_FOR_GOOD, NOW, SENT, auto, crowd
from tests.databases import opened
from tests.server.commands.desk import Desk
from tests.server.commands.mortal_log import Killed, MortalLog

AUTO = RetryTrigger.AUTO
ALL = [who.id for who in crowd(250)]
NAMED = tuple(ALL[20:])


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    """On SQLite and on PostgreSQL."""
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(
            event_store_over(opened(database_url), Settings(database_url=database_url))
        )
        desk = Desk(log)
        await desk.register_page()
        yield desk


async def limited(desk: Desk, *, last: Outcome = FAILED) -> str:
    """The id of a message for 250 that all failed; 230 were named in a resend, and failed again."""
    message_id = await desk.sent(dict.fromkeys(ALL, FAILED), retry_policy=auto())
    await desk.resend(message_id, recipient_ids=NAMED)
    await desk.deliver(message_id, dict.fromkeys(ALL, last))
    await desk.complete(message_id)
    return message_id


async def test_a_trigger_that_saw_another_limit_stops(desk: Desk) -> None:
    message_id = await limited(desk)

    assert await desk.rounds.start(message_id, AUTO, retry_count=0) is None
    assert await desk.rounds.start(message_id, AUTO, retry_count=0, from_batch=5) is None


async def test_an_automatic_round_records_its_limit_and_takes_what_is_within(desk: Desk) -> None:
    message_id = await limited(desk)
    limit = (await desk.row(message_id)).automatic_from_batch

    started = await desk.rounds.start(message_id, AUTO, retry_count=0, from_batch=limit)

    assert started is not None
    assert started.recipients == 230
    assert await desk.taken(message_id, round_=2) == list(NAMED)
    requested = (await desk.events(message_id))[-1]
    assert isinstance(requested, RetryRequested)
    assert (requested.selection, requested.automatic_from_batch) == (RetrySelection(from_batch=4), 4)


async def test_nothing_starts_when_nobody_within_the_limit_can_be_retried(desk: Desk) -> None:
    message_id = await limited(desk, last=SENT)

    assert await desk.rounds.start(message_id, AUTO, retry_count=0, from_batch=4) is None


@pytest.mark.parametrize("is_written", [False, True])
@pytest.mark.parametrize("at", [0, 1, 2])
async def test_slices_and_a_crash_keep_the_limit(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, at: int, *, is_written: bool
) -> None:
    message_id = await limited(desk)
    monkeypatch.setattr("server.commands.resend_planning.PLAN_SLICE", 100)
    dying = AutomaticRoundService(MortalLog(desk.log, at=at, is_written=is_written), desk.now)

    with pytest.raises(Killed):
        await dying.start(message_id, AUTO, retry_count=0, from_batch=4)
    await OpenRoundService(desk.log, lambda: NOW).finish(message_id)
    await desk.rounds.start(message_id, AUTO, retry_count=0, from_batch=4)

    assert await desk.taken(message_id, round_=2) == list(NAMED)
    assert (await desk.row(message_id)).automatic_from_batch == 4


async def test_a_resend_in_slices_limits_by_its_first(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.commands.resend_planning.PLAN_SLICE", 100)
    message_id = await desk.sent(
        {**dict.fromkeys(ALL, FAILED), **dict.fromkeys(ALL[:20], FAILED_FOR_GOOD)}, retry_policy=auto()
    )

    await desk.resend(message_id, error_types=(ErrorType.NETWORK,))

    slices = [event for event in await desk.events(message_id) if isinstance(event, RetryRequested)]
    assert [one.automatic_from_batch for one in slices] == [4, 4, 4]


async def test_recipients_are_found_by_their_attempts(desk: Desk) -> None:
    message_id = await limited(desk)

    for from_batch, expected in ((0, {ALL[0], ALL[30]}), (4, {ALL[30]}), (9, set())):
        ask = partial(
            standings.attempted_since, message_id=message_id, from_batch=from_batch, recipient_ids=[ALL[0], ALL[30]]
        )
        assert await desk.log.read(ask) == expected
