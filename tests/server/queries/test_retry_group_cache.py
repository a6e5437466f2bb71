"""Counts of a message's failures are cached until the message changes."""

from collections.abc import Callable, Mapping

import pytest

from domain.retry import RetryState
from projections import retry_groups
from projections.retry_groups import RetryContext
from projections.sql import Sql
from server.queries import failures
from server.queries.failures import FailureFilter, RetryGroupCache, list_failures
from tests.builders import FAILED, FAILED_FOR_TOKEN, OWNER, SENT
from tests.server.commands.command_harness import CommandHarness

Groups = Callable[[Sql, RetryContext], Mapping[RetryState, int]]


class CountingFailures:
    """A list of failures that counts how often it reads the groups."""

    def __init__(self, harness: CommandHarness, monkeypatch: pytest.MonkeyPatch) -> None:
        self.harness = harness
        self.counts = 0
        self._groups = RetryGroupCache()
        monkeypatch.setattr(retry_groups, "count_groups", self._counted(retry_groups.count_groups))

    def _counted(self, groups: Groups) -> Groups:
        def counting(sql: Sql, judged: RetryContext) -> Mapping[RetryState, int]:
            self.counts += 1
            return groups(sql, judged)

        return counting

    async def retryable(self, message_id: str) -> int:
        wanted = FailureFilter(owner=OWNER, message_id=message_id)
        query = list_failures(wanted, after="", limit=100, groups_of=self._groups.of)
        return (await self.harness.log.read(query)).retryable_count


@pytest.fixture
def counted(harness: CommandHarness, monkeypatch: pytest.MonkeyPatch) -> CountingFailures:
    return CountingFailures(harness, monkeypatch)


async def test_failures_are_counted_once_while_the_message_does_not_change(counted: CountingFailures) -> None:
    message_id = await counted.harness.sent({"ann": FAILED, "bob": FAILED, "cy": SENT})
    await counted.harness.sent({"dee": FAILED})

    assert [await counted.retryable(message_id) for _ in range(3)] == [2, 2, 2]
    assert counted.counts == 1


async def test_failures_are_counted_again_after_a_change_of_the_message(counted: CountingFailures) -> None:
    message_id = await counted.harness.sent({"ann": FAILED, "bob": FAILED, "cy": SENT})
    before = await counted.retryable(message_id)

    await counted.harness.resend(message_id, recipient_ids=("ann",))

    assert (before, await counted.retryable(message_id)) == (2, 1)


async def test_failures_are_counted_again_after_a_new_token(counted: CountingFailures) -> None:
    message_id = await counted.harness.sent({"ann": FAILED_FOR_TOKEN})
    before = await counted.retryable(message_id)

    await counted.harness.replace_token()

    assert (before, await counted.retryable(message_id)) == (0, 1)


async def test_the_least_recently_used_message_leaves_the_cache(
    counted: CountingFailures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "MAX_CACHED_MESSAGES", 2)
    first, second, third = [await counted.harness.sent({"ann": FAILED}) for _ in range(3)]
    for message_id in (first, second, first, third):
        await counted.retryable(message_id)
    counted.counts = 0

    await counted.retryable(first)
    kept = counted.counts
    await counted.retryable(second)

    assert (kept, counted.counts) == (0, 1)
