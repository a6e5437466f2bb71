"""A log that cannot be written for a while: sending waits, no outcome is lost, and no recipient is sent to twice."""

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence

import pytest

from projections import message_rows
from projections.message_rows import MessageRow
from projections.sql import Sql
from server.eventstore.commit import Commit
from server.eventstore.group_commit import WriteResult
from server.sandbox.control import SandboxControl
from tests.builders import auto, crowd
from tests.server.sending.service_process import ServiceProcess

Write = Callable[[Sequence[Commit]], Sequence[WriteResult]]


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.sending.batch_log.LONGEST_PAUSE", 0.1)


def refuse(
    service: ServiceProcess, monkeypatch: pytest.MonkeyPatch, *, after: int, times: int, every: int = 1
) -> list[int]:
    """Let `after` writes pass, then fail every n-th write, up to `times` failures; return the count of failures."""
    write: Write = service.store.write_together
    calls, failed = [0], [0]

    def unreliable(group: Sequence[Commit]) -> Sequence[WriteResult]:
        calls[0] += 1
        if calls[0] > after and failed[0] < times and calls[0] % every == 0:
            failed[0] += 1
            raise sqlite3.OperationalError("disk I/O error")
        return write(group)

    monkeypatch.setattr(service.store, "write_together", unreliable)
    return failed


async def test_sending_waits_while_the_log_is_unavailable(
    service: ServiceProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    message_id = await service.send(crowd(150))
    failed = refuse(service, monkeypatch, after=3, times=12)

    row = await service.done(message_id)

    assert (row.status, failed) == ("SENT", [12])
    assert await service.accepted() == {who.id: 1 for who in crowd(150)}


async def test_known_outcomes_wait_until_the_log_is_available(service: ServiceProcess, control: SandboxControl) -> None:
    """The log fails after all requests have left and before the first answer."""
    await control.order({"effect": {"kind": "delay", "seconds": 0.3}})
    message_id = await service.send(crowd(40))
    await service.arrived(40)
    with pytest.MonkeyPatch.context() as monkeypatch:
        failed = refuse(service, monkeypatch, after=0, times=10)

        row = await service.done(message_id)

        assert failed == [10]
    assert (row.status, await service.counts(message_id)) == ("SENT", {"SENT": 40})
    assert await service.accepted() == {who.id: 1 for who in crowd(40)}


async def test_a_log_that_fails_repeatedly_loses_no_delivery(
    service: ServiceProcess, control: SandboxControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    await control.order({"preset": "temporary", "times": 1, "share": 0.3})
    await service.put_page(access_token="", pace=300.0)
    message_id = await service.send(crowd(150), retry_policy=auto())
    failed = refuse(service, monkeypatch, after=0, times=1_000, every=3)

    row = await service.done(message_id)

    assert (row.status, await service.counts(message_id)) == ("SENT", {"SENT": 150})
    assert set((await service.accepted()).values()) == {1}
    assert failed[0] > 5


async def test_an_error_in_finding_finished_rounds_prevents_no_completion(
    service: ServiceProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_each, broke = message_rows.find_each, asyncio.Event()

    def break_once(sql: Sql, message_ids: Collection[str]) -> Mapping[str, MessageRow]:
        if not broke.is_set():
            broke.set()
            raise ArithmeticError
        return find_each(sql, message_ids)

    monkeypatch.setattr("projections.message_rows.find_each", break_once)

    row = await service.done(await service.send(crowd(3)))

    assert broke.is_set()
    assert row.status == "SENT"
