"""Limits of automatic rounds during planning: on both databases, in slices, and after a crash."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial

import pytest

from domain.fault import ErrorType
from domain.message_events import RetryRequested
from domain.outcome import Outcome
from domain.retry import RetrySelection, RetryTrigger
from projections import retry_groups
from server.bootstrap import event_store_over
from server.commands.open_rounds import OpenRoundService
from server.commands.rounds import AutomaticRoundService
from server.settings import Settings
from tests.builders import FAILED, FAILED_FOR_GOOD, NOW, SENT, auto, crowd
from tests.databases import opened
from tests.server.commands.command_harness import CommandHarness
from tests.server.commands.crashing_log import CrashingLog, Killed

AUTO = RetryTrigger.AUTO
ALL = [who.id for who in crowd(250)]
NAMED = tuple(ALL[20:])


@pytest.fixture
async def harness(database_url: str) -> AsyncIterator[CommandHarness]:
    """Yield the services on SQLite and on PostgreSQL."""
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(
            event_store_over(opened(database_url), Settings(database_url=database_url))
        )
        harness = CommandHarness(log)
        await harness.register_page()
        yield harness


async def limited(harness: CommandHarness, *, last: Outcome = FAILED) -> str:
    """Create a message whose 250 deliveries all failed and of which 230 named ones failed again; return its id."""
    message_id = await harness.sent(dict.fromkeys(ALL, FAILED), retry_policy=auto())
    await harness.resend(message_id, recipient_ids=NAMED)
    await harness.deliver(message_id, dict.fromkeys(ALL, last))
    await harness.complete(message_id)
    return message_id


async def test_a_trigger_with_an_outdated_limit_starts_no_round(harness: CommandHarness) -> None:
    message_id = await limited(harness)

    assert await harness.rounds.start(message_id, AUTO, retry_count=0) is None
    assert await harness.rounds.start(message_id, AUTO, retry_count=0, from_batch=5) is None


async def test_an_automatic_round_records_its_limit_and_takes_recipients_within_it(harness: CommandHarness) -> None:
    message_id = await limited(harness)
    limit = (await harness.row(message_id)).automatic_from_batch

    started = await harness.rounds.start(message_id, AUTO, retry_count=0, from_batch=limit)

    assert started is not None
    assert started.recipients == 230
    assert await harness.taken(message_id, round_=2) == list(NAMED)
    requested = (await harness.events(message_id))[-1]
    assert isinstance(requested, RetryRequested)
    assert (requested.selection, requested.automatic_from_batch) == (RetrySelection(from_batch=4), 4)


async def test_no_round_starts_without_a_retryable_recipient_within_the_limit(harness: CommandHarness) -> None:
    message_id = await limited(harness, last=SENT)

    assert await harness.rounds.start(message_id, AUTO, retry_count=0, from_batch=4) is None


@pytest.mark.parametrize("is_written", [False, True])
@pytest.mark.parametrize("at", [0, 1, 2])
async def test_slices_and_a_crash_keep_the_limit(
    harness: CommandHarness, monkeypatch: pytest.MonkeyPatch, at: int, *, is_written: bool
) -> None:
    message_id = await limited(harness)
    monkeypatch.setattr("server.commands.resend_planning.PLAN_SLICE", 100)
    crashing = AutomaticRoundService(CrashingLog(harness.log, at=at, is_written=is_written), harness.now)

    with pytest.raises(Killed):
        await crashing.start(message_id, AUTO, retry_count=0, from_batch=4)
    await OpenRoundService(harness.log, lambda: NOW).finish(message_id)
    await harness.rounds.start(message_id, AUTO, retry_count=0, from_batch=4)

    assert await harness.taken(message_id, round_=2) == list(NAMED)
    assert (await harness.row(message_id)).automatic_from_batch == 4


async def test_a_resend_in_slices_limits_by_its_first_slice(
    harness: CommandHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.commands.resend_planning.PLAN_SLICE", 100)
    message_id = await harness.sent(
        {**dict.fromkeys(ALL, FAILED), **dict.fromkeys(ALL[:20], FAILED_FOR_GOOD)}, retry_policy=auto()
    )

    await harness.resend(message_id, error_types=(ErrorType.NETWORK,))

    slices = [event for event in await harness.events(message_id) if isinstance(event, RetryRequested)]
    assert [one.automatic_from_batch for one in slices] == [4, 4, 4]


async def test_recipients_are_found_by_their_attempts(harness: CommandHarness) -> None:
    message_id = await limited(harness)

    for from_batch, expected in ((0, {ALL[0], ALL[30]}), (4, {ALL[30]}), (9, set())):
        ask = partial(
            retry_groups.attempted_since, message_id=message_id, from_batch=from_batch, recipient_ids=[ALL[0], ALL[30]]
        )
        assert await harness.log.read(ask) == expected
