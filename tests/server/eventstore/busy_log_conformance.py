"""Requirements of every event log under load: concurrent commits, listeners, readers, and an outage."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import pytest

from domain.errors import Unavailable
from domain.event import RecordedEvent
from domain.streams import page_stream
from projections.sql import Sql
from server.eventstore.commit import Commit, CommitResult, Committed, EventLog
from tests.builders import page_registered, page_settings_changed
from tests.server.eventstore.event_log_conformance import appended, page_ids, registered

Outage = Callable[[], AbstractContextManager[None]]


class BusyLogConformance:
    """Base class; a subclass named Test... provides the fixtures `log` and `outage` (a context without a log)."""

    # Concurrent commits

    async def test_all_concurrent_commits_are_written_except_the_failing_one(self, log: EventLog) -> None:
        heard: list[int] = []
        log.listen(lambda recorded: heard.append(len(recorded)))

        def fail(_: Sql) -> None:
            raise ValueError("this one")

        commits = [Commit([registered(f"{n:03}")], also=fail if n == 77 else None) for n in range(200)]
        results: Sequence[CommitResult | BaseException] = await asyncio.gather(
            *map(log.commit, commits), return_exceptions=True
        )

        assert isinstance(results[77], ValueError)
        assert sum(isinstance(result, Committed) for result in results) == 199
        assert await log.read(page_ids) == [f"{n:03}" for n in range(200) if n != 77]
        assert sum(heard) == 199

    async def test_a_write_that_runs_again_after_a_rollback_returns_the_last_result(self, log: EventLog) -> None:
        def fail(_: Sql) -> None:
            raise ValueError("this one")

        attempts: list[int] = []

        def count(_: Sql) -> int:
            attempts.append(len(attempts) + 1)
            return attempts[-1]

        commits = [log.commit(Commit([registered(f"{n:03}")])) for n in range(50)]
        failing = log.commit(Commit([registered("050")], also=fail))
        results = await asyncio.gather(*commits, log.write(count), failing, return_exceptions=True)

        assert isinstance(results[-1], ValueError)
        assert results[-2] == attempts[-1]

    async def test_waiting_commits_are_written_together(self, log: EventLog) -> None:
        groups: list[int] = []
        log.listen(lambda recorded: groups.append(len(recorded)))

        await asyncio.gather(*(log.commit(Commit([registered(f"{n:03}")])) for n in range(200)))

        assert sum(groups) == 200
        assert len(groups) <= 20

    async def test_the_commit_of_a_cancelled_caller_is_written(self, log: EventLog) -> None:
        going = asyncio.create_task(log.commit(Commit([registered("1")])))
        await asyncio.sleep(0)  # lets the task hand over its commit
        going.cancel()

        await log.commit(Commit([registered("2")]))

        assert await log.read(page_ids) == ["1", "2"]
        assert going.cancelled()

    # Listeners

    async def test_a_listener_gets_events_before_the_commit_returns(self, log: EventLog) -> None:
        seen: list[RecordedEvent] = []
        log.listen(seen.extend)
        events = (page_registered("1"), page_settings_changed("1"))

        result = await log.commit(Commit([appended("1", 0, *events)]))

        assert isinstance(result, Committed)
        assert [(one.stream, one.version, one.event) for one in seen] == [
            (page_stream("1"), 1, events[0]),
            (page_stream("1"), 2, events[1]),
        ]
        assert seen[-1].position == result.position

    async def test_listeners_get_all_events_in_log_order(self, log: EventLog) -> None:
        heard: list[RecordedEvent] = []
        log.listen(heard.extend)

        await asyncio.gather(*(log.commit(Commit([registered(f"{n:03}")])) for n in range(100)))

        positions = [one.position for one in heard]
        assert len(positions) == 100
        assert positions == sorted(positions)

    async def test_listeners_get_no_events_of_failed_commits(self, log: EventLog) -> None:
        await log.commit(Commit([registered("1")]))
        seen: list[RecordedEvent] = []
        log.listen(seen.extend)

        await log.commit(Commit([registered("1")]))
        await log.commit(Commit([registered("2")], guard=lambda _: "no"))

        assert seen == []

    # Reads

    async def test_a_query_reads_one_snapshot(self, log: EventLog) -> None:
        await log.commit(Commit([registered("1")]))
        looked, may_look_again = threading.Event(), threading.Event()

        def look_twice(sql: Sql) -> tuple[list[str], list[str]]:
            first = page_ids(sql)
            looked.set()
            may_look_again.wait(10)
            return first, page_ids(sql)

        reading = asyncio.create_task(log.read(look_twice))
        await asyncio.to_thread(looked.wait, 10)
        await log.commit(Commit([registered("2")]))
        may_look_again.set()

        assert await reading == (["1"], ["1"])
        assert await log.read(page_ids) == ["1", "2"]

    async def test_an_exception_of_a_query_reaches_its_caller(self, log: EventLog) -> None:
        def fail(_: Sql) -> None:
            raise LookupError("no row")

        with pytest.raises(LookupError, match="no row"):
            await log.read(fail)

    # Outages

    async def test_an_outage_raises_unavailable_and_the_log_recovers(self, log: EventLog, outage: Outage) -> None:
        await log.commit(Commit([registered("1")]))
        with outage():
            with pytest.raises(Unavailable) as refused:
                await log.commit(Commit([registered("2")]))
            with pytest.raises(Unavailable):
                await log.load(page_stream("1"))

        assert refused.value.retry_after.total_seconds() > 0
        assert isinstance(await log.commit(Commit([registered("3")])), Committed)
        assert await log.read(page_ids) == ["1", "3"]

    async def test_an_outage_fails_all_waiting_commits(self, log: EventLog, outage: Outage) -> None:
        with outage():
            results = await asyncio.gather(
                *(log.commit(Commit([registered(str(n))])) for n in range(20)), return_exceptions=True
            )

        assert {type(result) for result in results} == {Unavailable}
        assert await log.read(page_ids) == []
