"""Requirements of every event log: one suite, with a subclass per database that provides the fixture `log`.

busy_log_conformance.py has the requirements under load.
"""

import asyncio
import threading

import pytest

from domain.event import Event, RecordedEvent
from domain.owner import ANY_OWNER
from domain.streams import page_stream
from projections import pages
from projections.sql import Sql
from server.eventstore.commit import Commit, Committed, Conflict, EventLog, Refused, StreamEvents
from server.eventstore.store import READERS
from server.eventstore.stream import EVENTS_BETWEEN_SIZES, first_events_of
from tests.builders import page_registered, page_settings_changed, page_shared, page_transferred
from tests.waiting import eventually

ENDLESS = """
    WITH RECURSIVE numbers(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers)
    SELECT COUNT(*) AS found FROM numbers
"""


def appended(page_id: str, expected_version: int, *events: Event) -> StreamEvents:
    return StreamEvents(page_stream(page_id), expected_version, events)


def registered(page_id: str) -> StreamEvents:
    return appended(page_id, 0, page_registered(page_id))


def change(sql: Sql, name: str) -> None:
    sql.execute("INSERT INTO workers (worker, lease_expire_time) VALUES (:worker, 0)", {"worker": name})


def workers(sql: Sql) -> list[str]:
    return [row["worker"] for row in sql.rows("SELECT worker FROM workers ORDER BY worker")]


def page_ids(sql: Sql) -> list[str]:
    return [page.page_id for page in pages.list_usable(sql, ANY_OWNER, after="", limit=1_000)]


class EventLogConformance:
    """Base class; a subclass named Test... provides a `log`."""

    # Appends

    async def test_an_owner_finds_its_pages_those_shared_with_it_and_those_without_owner(self, log: EventLog) -> None:
        owners = {"1": "shop", "2": "crm", "3": "crm", "4": "crm", "5": "", "6": "crm", "7": "crm"}
        appends = [appended(id_, 0, page_registered(id_, requested_by=owner)) for id_, owner in owners.items()]
        await log.commit(Commit(appends))
        shared: dict[str, tuple[str, ...]] = {"2": ("ops", "shop"), "3": ("my-shop", "shop2"), "4": ("shop",), "7": ()}
        await log.commit(Commit([appended(id_, 1, page_shared(*names, page_id=id_)) for id_, names in shared.items()]))
        await log.commit(Commit([appended("4", 2, page_transferred("ops", page_id="4"))]))

        found = await log.read(lambda sql: pages.list_usable(sql, "shop", after="", limit=9))

        assert [(page.page_id, page.owner, page.shared_with) for page in found] == [
            ("1", "shop", ("*",)),
            ("2", "crm", ("ops", "shop")),
            ("5", "", ("*",)),
            ("6", "crm", ("*",)),
        ]
        assert await log.read(page_ids) == list(owners)

    async def test_events_are_loaded_in_the_order_of_their_appends(self, log: EventLog) -> None:
        events = [page_registered("1"), *(page_settings_changed("1", name=f"name {n}") for n in range(20))]

        await log.commit(Commit([appended("1", 0, *events[:8])]))
        await log.commit(Commit([appended("1", 8, *events[8:])]))

        assert list(await log.load(page_stream("1"))) == events
        assert list(await log.load(page_stream("1"), limit=3)) == events[:3]

    async def test_a_stream_without_events_is_empty(self, log: EventLog) -> None:
        assert list(await log.load(page_stream("1"))) == []

    async def test_events_of_several_streams_have_the_order_of_the_log(self, log: EventLog) -> None:
        await log.commit(Commit([appended("1", 0, page_registered("1"))]))
        await log.commit(Commit([appended("2", 0, page_registered("2"))]))
        await log.commit(Commit([appended("3", 0, page_registered("3"))]))
        await log.commit(Commit([appended("1", 1, page_settings_changed("1"), page_settings_changed("1", name="x"))]))
        streams = [page_stream("3"), page_stream("1"), page_stream("unknown")]

        found = await log.recorded_in(streams)

        assert [(one.stream, one.version) for one in found] == [
            (page_stream("1"), 1),
            (page_stream("3"), 1),
            (page_stream("1"), 2),
            (page_stream("1"), 3),
        ]
        assert [one.event for one in found[2:]] == [page_settings_changed("1"), page_settings_changed("1", name="x")]
        positions = [one.position for one in found]
        assert positions == sorted(set(positions))
        assert list(await log.recorded_in(streams, after=positions[0], limit=2)) == list(found[1:3])
        assert list(await log.recorded_in(streams, after=positions[-1])) == []
        assert list(await log.recorded_in([])) == []

    async def test_the_first_events_of_many_streams_are_read_together(self, log: EventLog) -> None:
        pages = [str(n) for n in range(EVENTS_BETWEEN_SIZES + 5)]
        await log.commit(Commit([registered(page_id) for page_id in pages]))
        await log.commit(Commit([appended(pages[0], 1, page_settings_changed(pages[0]))]))
        streams = [page_stream(page_id) for page_id in [*pages, "unknown"]]

        found = await log.read(lambda sql: dict(first_events_of(sql, streams)))

        assert found == {page_stream(page_id): page_registered(page_id) for page_id in pages}

    async def test_positions_grow_over_all_streams(self, log: EventLog) -> None:
        results = [await log.commit(Commit([registered(str(n))])) for n in range(5)]

        positions = [result.position for result in results if isinstance(result, Committed)]
        assert len(positions) == 5
        assert positions == sorted(set(positions))

    @pytest.mark.parametrize("expected_version", [0, 1, 3, 7])
    async def test_a_wrong_expected_version_is_a_conflict(self, log: EventLog, expected_version: int) -> None:
        before = [page_registered("1"), page_settings_changed("1")]
        await log.commit(Commit([appended("1", 0, *before)]))

        result = await log.commit(Commit([appended("1", expected_version, page_settings_changed("1", name="late"))]))

        assert result == Conflict(page_stream("1"))
        assert list(await log.load(page_stream("1"))) == before

    async def test_the_first_event_of_a_stream_has_version_one(self, log: EventLog) -> None:
        assert await log.commit(Commit([appended("1", 1, page_registered("1"))])) == Conflict(page_stream("1"))
        assert list(await log.load(page_stream("1"))) == []

    async def test_several_streams_are_written_together(self, log: EventLog) -> None:
        await log.commit(Commit([registered("1"), registered("2"), registered("3")]))

        assert [len(await log.load(page_stream(page))) for page in "123"] == [1, 1, 1]

    async def test_a_conflict_on_one_stream_rejects_the_whole_commit(self, log: EventLog) -> None:
        await log.commit(Commit([registered("2")]))

        commit = Commit([registered("1"), registered("2"), registered("3")], also=lambda sql: change(sql, "w"))

        assert await log.commit(commit) == Conflict(page_stream("2"))
        assert [len(await log.load(page_stream(page))) for page in "13"] == [0, 0]
        assert await log.read(workers) == []

    async def test_one_of_two_writers_at_the_same_version_succeeds(self, log: EventLog) -> None:
        one, two = page_registered("1", name="one"), page_registered("1", name="two")

        results = await asyncio.gather(*(log.commit(Commit([appended("1", 0, event)])) for event in (one, two)))

        assert sorted(type(result).__name__ for result in results) == ["Committed", "Conflict"]
        assert len(await log.load(page_stream("1"))) == 1

    async def test_a_repeated_commit_is_written_once(self, log: EventLog) -> None:
        """A caller that lost its connection does not know whether its commit was written (protocol rule 17)."""
        heard: list[RecordedEvent] = []
        log.listen(heard.extend)
        commit = Commit([registered("1"), registered("2")], also=lambda sql: change(sql, "w"))

        first, again = await log.commit(commit), await log.commit(commit)

        assert isinstance(first, Committed)
        assert isinstance(again, Committed)
        assert len(await log.load(page_stream("1"))) == 1
        assert await log.read(workers) == ["w"]
        assert len(heard) == 2

    # Read models, guards and operational tables

    async def test_read_models_are_changed_in_the_same_transaction(self, log: EventLog) -> None:
        await log.commit(Commit([registered("1"), registered("2")]))

        assert await log.read(page_ids) == ["1", "2"]

    async def test_operational_tables_are_written_in_the_same_transaction(self, log: EventLog) -> None:
        result = await log.commit(Commit([registered("1")], also=lambda sql: change(sql, "w")))

        assert isinstance(result, Committed)
        assert await log.read(workers) == ["w"]

    async def test_a_commit_without_events_writes_operational_tables_only(self, log: EventLog) -> None:
        assert isinstance(await log.commit(Commit([], also=lambda sql: change(sql, "w"))), Committed)
        assert await log.read(workers) == ["w"]

    async def test_a_write_of_operational_tables_returns_its_result(self, log: EventLog) -> None:
        def add(sql: Sql) -> list[str]:
            change(sql, "w")
            return workers(sql)

        assert await log.write(add) == ["w"]
        assert await log.read(workers) == ["w"]

    async def test_a_failed_write_changes_nothing(self, log: EventLog) -> None:
        def break_off(sql: Sql) -> None:
            change(sql, "w")
            raise ValueError("broken off")

        with pytest.raises(ValueError, match="broken off"):
            await log.write(break_off)

        assert await log.read(workers) == []

    async def test_a_failing_write_to_operational_tables_rejects_the_commit(self, log: EventLog) -> None:
        def break_off(sql: Sql) -> None:
            change(sql, "w")
            raise ValueError("broken off")

        with pytest.raises(ValueError, match="broken off"):
            await log.commit(Commit([registered("1")], also=break_off))

        assert list(await log.load(page_stream("1"))) == []
        assert await log.read(workers) == []
        assert await log.read(page_ids) == []

    async def test_a_guard_that_returns_none_allows_the_commit(self, log: EventLog) -> None:
        assert isinstance(await log.commit(Commit([registered("1")], guard=lambda _: None)), Committed)

    async def test_a_guard_that_refuses_rejects_the_whole_commit(self, log: EventLog) -> None:
        commit = Commit([registered("1")], guard=lambda _: "not today", also=lambda sql: change(sql, "w"))

        assert await log.commit(commit) == Refused("not today")
        assert list(await log.load(page_stream("1"))) == []
        assert await log.read(workers) == []

    async def test_a_guard_sees_all_earlier_commits(self, log: EventLog) -> None:
        def fewer_than_five(sql: Sql) -> str | None:
            return "enough" if len(page_ids(sql)) >= 5 else None

        commits = [Commit([registered(f"{n:02}")], guard=fewer_than_five) for n in range(40)]
        results = await asyncio.gather(*map(log.commit, commits))

        assert sum(isinstance(result, Committed) for result in results) == 5
        assert len(await log.read(page_ids)) == 5

    async def test_a_conflict_is_detected_before_the_guard_runs(self, log: EventLog) -> None:
        await log.commit(Commit([registered("1")]))

        result = await log.commit(Commit([registered("1")], guard=lambda _: "not today"))

        assert result == Conflict(page_stream("1"))

    # Cancelled reads

    async def test_a_cancelled_read_is_interrupted_and_frees_its_reader(self, log: EventLog) -> None:
        started: list[None] = []

        def endless(sql: Sql) -> None:
            started.append(None)
            sql.row(ENDLESS)

        reading = [asyncio.create_task(log.read(endless)) for _ in range(READERS)]
        await eventually(lambda: asyncio.sleep(0, started), lambda found: len(found) == READERS)
        waiting = [asyncio.create_task(log.read(endless)) for _ in range(2 * READERS)]
        other = asyncio.create_task(log.read(page_ids))
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            for task in (*waiting, *reading):
                task.cancel()
            ended = await asyncio.gather(*waiting, *reading, return_exceptions=True)

            assert {type(one) for one in ended} == {asyncio.CancelledError}
            assert await other == []  # the log does not report an outage
            assert await asyncio.gather(*(log.read(page_ids) for _ in range(READERS))) == [[]] * READERS
        assert len(started) == READERS

    async def test_compute_runs_outside_the_event_loop(self, log: EventLog) -> None:
        assert await log.compute(threading.get_ident) != threading.get_ident()
