"""In any order of steps, an automatic round takes no recipient that a person has left out."""

from collections.abc import Awaitable, Callable, Mapping
from itertools import chain
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from domain.canary import Canary
from domain.errors import CanaryUnderWay
from domain.fault import ErrorType
from domain.message_events import RetryRequested, RetryStopped
from domain.outcome import Outcome
from domain.retry import RetryPolicy, RetryTrigger, RetryType
from domain.streams import page_stream
from projections import message_rows, pages
from server.background.round_finalizer import RoundFinalizer
from server.queries.failures import FailureFilter, list_failures
from tests.builders import (
    FAILED,
    FAILED_FOR_TOKEN,
    OWNER,
    PAGE,
    SENT,
    auto,
    cron,
    page_token_replaced,
    people,
    resume_message,
)
from tests.server.commands.command_harness import CommandHarness

IDS = tuple("abcdef")
OUTCOMES: Mapping[str, Outcome] = {"sent": SENT, "failed": FAILED, "for its token": FAILED_FOR_TOKEN}
outcomes = st.fixed_dictionaries(dict.fromkeys(IDS, st.sampled_from([*OUTCOMES.values()])))
named = st.fixed_dictionaries(
    {},
    optional={
        "recipient_ids": st.lists(st.sampled_from(IDS), min_size=1, unique=True).map(tuple),
        "error_types": st.sampled_from([(ErrorType.NETWORK,), (ErrorType.ACCESS_TOKEN,)]),
        "canary": st.just(Canary(recipients=1)),
        "as_of_sequence": st.just(True),
    },
)
STEPS = (
    *(("deliver",), ("deliver one",), ("close",), ("resend",), ("replace",), ("resume",), ("timer",)),
    ("resend", "deliver", "close"),
    ("deliver one", "resend", "deliver", "close"),
    ("deliver", "close", "deliver", "close"),
    ("replace", "resend", "deliver", "close"),
)


class Scenario:
    """One message and a person's decisions about it, stored separately from the service."""

    def __init__(self, harness: CommandHarness, data: st.DataObject, message_id: str, policy: RetryPolicy) -> None:
        self.harness, self.data, self.id, self.policy = harness, data, message_id, policy
        self.left_out: set[str] = set()  # recipients that a person saw and did not resend
        self.is_limited = False
        self.is_suspended = False
        self.seen = 0  # events of the message that were checked
        self.finalizer = RoundFinalizer(harness.log, harness.rounds, "worker", harness.now)

    async def fail_all(self) -> None:
        """Let all deliveries fail with a token error, complete the message and replace the token."""
        await self.harness.deliver(self.id, dict.fromkeys(IDS, FAILED_FOR_TOKEN))
        await self.close()
        await self.replace()

    async def deliver(self) -> None:
        await self.harness.deliver(self.id, self.data.draw(outcomes))

    async def deliver_one(self) -> None:
        """Complete one batch, and leave the others open."""
        for row in (await self.harness.open_batches(self.id))[:1]:
            await self.harness.deliver_batch(row, self.data.draw(outcomes))

    async def close(self) -> None:
        was_completed = (await self.harness.row(self.id)).completed
        await self.finalizer.finalize(self.id, by_reconciler=True)
        row = await self.harness.row(self.id)
        if not was_completed and row.completed and self.policy.type is RetryType.AUTO and not row.suspended:
            has_rounds = row.retry_policy.has_rounds_left(row.retry_count)
            assert not (has_rounds and await self.retryable() - self.left_out), "the policy requires another round"

    async def retryable(self) -> set[str]:
        wanted = FailureFilter(owner=OWNER, message_id=self.id, retryable_only=True)
        found = await self.harness.log.read(list_failures(wanted, after="", limit=100))
        return {failure.row.recipient_id for failure in found.failures}

    async def resend(self) -> None:
        asked_for: dict[str, Any] = self.data.draw(named)
        before = await self.harness.row(self.id)
        is_under_way = before.is_open or before.canary_round > 0
        if "as_of_sequence" in asked_for:
            asked_for["as_of_sequence"] = before.sequence
        try:
            started = await self.harness.resend(self.id, **asked_for)
        except CanaryUnderWay:
            return
        if not started.recipients:
            return
        was_suspended, self.is_suspended = self.is_suspended, False
        names_something = bool({"recipient_ids", "error_types", "as_of_sequence"} & asked_for.keys())
        if not names_something:
            self.left_out, self.is_limited = set(), False
        elif self.policy.type is RetryType.AUTO and not is_under_way and (was_suspended or not self.is_limited):
            event("a resend left recipients out")
            self.left_out, self.is_limited = set(IDS), True
        round_ = (await self.harness.row(self.id)).round
        self.left_out -= set(await self.harness.taken(self.id, round_=round_))

    async def replace(self) -> None:
        page = await self.harness.log.read(lambda sql: pages.find(sql, PAGE))
        assert page is not None
        generation = page.token_generation
        await self.harness.append(page_stream(PAGE), generation, page_token_replaced(generation + 1))

    async def resume(self) -> None:
        await self.harness.pauses.resume(resume_message(self.id))
        if self.is_suspended:
            self.left_out, self.is_limited, self.is_suspended = set(), False, False

    async def run_timer(self) -> None:
        """Run the timer for this message only, so that other examples' messages do not change."""
        due = await self.harness.log.read(lambda sql: message_rows.due_for_timer(sql, after="", limit=1_000))
        for row in due:
            if row.message_id == self.id:
                await self.harness.rounds.start(
                    self.id, RetryTrigger.CRON, retry_count=row.retry_count, from_batch=row.automatic_from_batch
                )

    async def check(self) -> None:
        """Check the events that were recorded since the last check."""
        events = await self.harness.events(self.id)
        for one in events[self.seen :]:
            if isinstance(one, RetryStopped):
                event("a canary was stopped")
                self.is_suspended = True
            elif isinstance(one, RetryRequested) and one.trigger is not RetryTrigger.MANUAL:
                event(f"an automatic round, limited: {one.selection.from_batch > 0}")
                assert not self.is_suspended
                assert not self.left_out & set(await self.harness.taken(self.id, round_=one.round))
            elif isinstance(one, RetryRequested):  # includes the remaining recipients after a canary
                self.left_out -= set(await self.harness.taken(self.id, round_=one.round))
        self.seen = len(events)
        assert (await self.harness.row(self.id)).automatic_rounds_suspended is self.is_suspended


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("domain.batch_plan.BATCH_SIZE", 2)


@pytest.mark.timeout(300)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.data(),
    st.booleans(),
    st.sampled_from([auto(10), auto(10), cron(10)]),
    st.lists(st.sampled_from(STEPS), min_size=3, max_size=12),
)
async def test_no_automatic_round_takes_a_recipient_that_was_left_out(
    harness: CommandHarness, data: st.DataObject, begins_done: bool, policy: RetryPolicy, steps: list[tuple[str, ...]]
) -> None:
    story = Scenario(harness, data, await harness.send(people(*IDS), retry_policy=policy), policy)
    does: Mapping[str, Callable[[], Awaitable[None]]] = {
        "deliver": story.deliver,
        "deliver one": story.deliver_one,
        "close": story.close,
        "resend": story.resend,
        "replace": story.replace,
        "resume": story.resume,
        "timer": story.run_timer,
    }
    if begins_done:
        await story.fail_all()
    for step in chain.from_iterable(steps):
        await does[step]()
        await story.check()
