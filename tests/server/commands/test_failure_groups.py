"""What is known of a message's failures is kept while nothing befalls the message."""

from collections.abc import Callable, Mapping

import pytest

from domain.retry import Standing
from projections import standings
from projections.sql import Sql
from projections.standings import Judged
from server.queries import failures
from server.queries.failures import FailureFilter, FailureGroups, list_failures
from tests.builders import FAILED, FAILED_FOR_TOKEN, OWNER, SENT
from tests.server.commands.desk import Desk

Groups = Callable[[Sql, Judged], Mapping[Standing, int]]


class Looks:
    """A desk whose list of failures keeps what it has counted; how often it counted."""

    def __init__(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        self.desk = desk
        self.counts = 0
        self._groups = FailureGroups()
        monkeypatch.setattr(standings, "groups", self._counted(standings.groups))

    def _counted(self, groups: Groups) -> Groups:
        def counting(sql: Sql, judged: Judged) -> Mapping[Standing, int]:
            self.counts += 1
            return groups(sql, judged)

        return counting

    async def retryable(self, message_id: str) -> int:
        wanted = FailureFilter(owner=OWNER, message_id=message_id)
        query = list_failures(wanted, after="", limit=100, groups_of=self._groups.of)
        return (await self.desk.log.read(query)).retryable_count


@pytest.fixture
def looks(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Looks:
    return Looks(desk, monkeypatch)


async def test_they_are_counted_once_while_nothing_befalls_the_message(looks: Looks) -> None:
    message_id = await looks.desk.sent({"ann": FAILED, "bob": FAILED, "cy": SENT})
    await looks.desk.sent({"dee": FAILED})

    assert [await looks.retryable(message_id) for _ in range(3)] == [2, 2, 2]
    assert looks.counts == 1


async def test_they_are_counted_anew_after_whatever_befalls_it(looks: Looks) -> None:
    message_id = await looks.desk.sent({"ann": FAILED, "bob": FAILED, "cy": SENT})
    before = await looks.retryable(message_id)

    await looks.desk.resend(message_id, recipient_ids=("ann",))

    assert (before, await looks.retryable(message_id)) == (2, 1)


async def test_they_are_counted_anew_after_the_page_has_another_token(looks: Looks) -> None:
    message_id = await looks.desk.sent({"ann": FAILED_FOR_TOKEN})
    before = await looks.retryable(message_id)

    await looks.desk.replace_token()

    assert (before, await looks.retryable(message_id)) == (0, 1)


async def test_what_was_asked_for_longest_ago_goes_first(looks: Looks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "MOST", 2)
    first, second, third = [await looks.desk.sent({"ann": FAILED}) for _ in range(3)]
    for message_id in (first, second, first, third):
        await looks.retryable(message_id)
    looks.counts = 0

    await looks.retryable(first)
    kept = looks.counts
    await looks.retryable(second)

    assert (kept, looks.counts) == (0, 1)
