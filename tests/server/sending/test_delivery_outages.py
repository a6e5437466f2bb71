"""A log that cannot be written for a while: sending waits, nothing is lost, and nobody is written to twice."""

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence

import pytest

from projections import message_rows
from projections.message_rows import MessageRow
from projections.sql import Sql
from server.eventstore.commit import Commit
from server.eventstore.group_commit import Written
from server.sandbox.control import SandboxControl
from tests.builders import auto, crowd
from tests.server.sending.works import Works

Write = Callable[[Sequence[Commit]], Sequence[Written]]


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.sending.batch_log.LONGEST_PAUSE", 0.1)


def refuse(works: Works, monkeypatch: pytest.MonkeyPatch, *, after: int, times: int, every: int = 1) -> list[int]:
    """Lets so many writes pass, then makes every n-th fail, so many times; gives the count of what failed."""
    write: Write = works.store.write_together
    calls, failed = [0], [0]

    def unreliable(group: Sequence[Commit]) -> Sequence[Written]:
        calls[0] += 1
        if calls[0] > after and failed[0] < times and calls[0] % every == 0:
            failed[0] += 1
            raise sqlite3.OperationalError("disk I/O error")
        return write(group)

    monkeypatch.setattr(works.store, "write_together", unreliable)
    return failed


async def test_sending_waits_while_the_log_is_away(works: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    message_id = await works.send(crowd(150))
    failed = refuse(works, monkeypatch, after=3, times=12)

    row = await works.done(message_id)

    assert (row.status, failed) == ("SENT", [12])
    assert await works.accepted() == {who.id: 1 for who in crowd(150)}


async def test_outcomes_that_are_known_wait_until_the_log_is_back(works: Works, control: SandboxControl) -> None:
    """It goes away when everything has left, and no answer has come yet."""
    await control.order({"effect": {"kind": "delay", "seconds": 0.3}})
    message_id = await works.send(crowd(40))
    await works.arrived(40)
    with pytest.MonkeyPatch.context() as monkeypatch:
        failed = refuse(works, monkeypatch, after=0, times=10)

        row = await works.done(message_id)

        assert failed == [10]
    assert (row.status, await works.counts(message_id)) == ("SENT", {"SENT": 40})
    assert await works.accepted() == {who.id: 1 for who in crowd(40)}


async def test_a_log_that_fails_now_and_then_all_the_time_costs_nobody_anything(
    works: Works, control: SandboxControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    await control.order({"preset": "temporary", "times": 1, "share": 0.3})
    await works.put_page(access_token="", pace=300.0)
    message_id = await works.send(crowd(150), retry_policy=auto())
    failed = refuse(works, monkeypatch, after=0, times=1_000, every=3)

    row = await works.done(message_id)

    assert (row.status, await works.counts(message_id)) == ("SENT", {"SENT": 150})
    assert set((await works.accepted()).values()) == {1}
    assert failed[0] > 5


async def test_a_defect_in_looking_for_rounds_that_are_over_keeps_no_message_from_its_end(
    works: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_each, broke = message_rows.find_each, asyncio.Event()

    def break_once(sql: Sql, message_ids: Collection[str]) -> Mapping[str, MessageRow]:
        if not broke.is_set():
            broke.set()
            raise ArithmeticError
        return find_each(sql, message_ids)

    monkeypatch.setattr("projections.message_rows.find_each", break_once)

    row = await works.done(await works.send(crowd(3)))

    assert broke.is_set()
    assert row.status == "SENT"
