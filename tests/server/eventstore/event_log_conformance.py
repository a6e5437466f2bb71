"""What every event log promises of a commit: one suite, a subclass per database, which brings the fixture `log`.

What it promises while much goes on stands in busy_log_conformance.py.
"""

import asyncio
import threading

import pytest

from domain.event import Event
from domain.owner import ANYBODY
from domain.streams import page_stream
from projections import pages
from projections.recorded import Recorded
from projections.sql import Sql
from server.eventstore.commit import Commit, Committed, Conflict, EventLog, Refused, StreamEvents
from server.eventstore.store import READERS
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
    return [page.page_id for page in pages.in_order(sql, ANYBODY, after="", limit=1_000)]


class EventLogConformance:
    """Inherit, name the class Test..., and bring a `log`."""

    # Appending

    async def test_an_owner_finds_its_pages_those_shared_with_it_and_those_without_owner(self, log: EventLog) -> None:
        owners = {"1": "shop", "2": "crm", "3": "crm", "4": "crm", "5": "", "6": "crm", "7": "crm"}
        appends = [appended(id_, 0, page_registered(id_, requested_by=owner)) for id_, owner in owners.items()]
        await log.commit(Commit(appends))
        shared: dict[str, tuple[str, ...]] = {"2": ("ops", "shop"), "3": ("my-shop", "shop2"), "4": ("shop",), "7": ()}
        await log.commit(Commit([appended(id_, 1, page_shared(*names, page_id=id_)) for id_, names in shared.items()]))
        await log.commit(Commit([appended("4", 2, page_transferred("ops", page_id="4"))]))

        found = await log.read(lambda sql: pages.in_order(sql, "shop", after="", limit=9))

        assert [(page.page_id, page.owner, page.shared_with) for page in found] == [
            ("1", "shop", ("*",)),
            ("2", "crm", ("ops", "shop")),
            ("5", "", ("*",)),
            ("6", "crm", ("*",)),
        ]
        assert await log.read(page_ids) == list(owners)

    async def test_events_are_loaded_in_the_order_in_which_they_were_appended(self, log: EventLog) -> None:
        events = [page_registered("1"), *(page_settings_changed("1", name=f"name {n}") for n in range(20))]

        await log.commit(Commit([appended("1", 0, *events[:8])]))
        await log.commit(Commit([appended("1", 8, *events[8:])]))

        assert list(await log.load(page_stream("1"))) == events
        assert list(await log.load(page_stream("1"), limit=3)) == events[:3]

    async def test_a_stream_that_nobody_has_written_to_is_empty(self, log: EventLog) -> None:
        assert list(await log.load(page_stream("1"))) == []

    async def test_events_of_some_streams_come_in_the_order_of_the_log(self, log: EventLog) -> None:
        await log.commit(Commit([appended("1", 0, page_registered("1"))]))
        await log.commit(Commit([appended("2", 0, page_registered("2"))]))
        await log.commit(Commit([appended("3", 0, page_registered("3"))]))
        await log.commit(Commit([appended("1", 1, page_settings_changed("1"), page_settings_changed("1", name="x"))]))
        streams = [page_stream("3"), page_stream("1"), page_stream("nobody's")]

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

    async def test_positions_grow_over_all_streams(self, log: EventLog) -> None:
        results = [await log.commit(Commit([registered(str(n))])) for n in range(5)]

        positions = [result.position for result in results if isinstance(result, Committed)]
        assert len(positions) == 5
        assert positions == sorted(set(positions))

    @pytest.mark.parametrize("expected_version", [0, 1, 3, 7])
    async def test_another_version_than_the_last_is_a_conflict(self, log: EventLog, expected_version: int) -> None:
        before = [page_registered("1"), page_settings_changed("1")]
        await log.commit(Commit([appended("1", 0, *before)]))

        result = await log.commit(Commit([appended("1", expected_version, page_settings_changed("1", name="late"))]))

        assert result == Conflict(page_stream("1"))
        assert list(await log.load(page_stream("1"))) == before

    async def test_a_stream_begins_without_a_gap(self, log: EventLog) -> None:
        assert await log.commit(Commit([appended("1", 1, page_registered("1"))])) == Conflict(page_stream("1"))
        assert list(await log.load(page_stream("1"))) == []

    async def test_several_streams_are_written_together(self, log: EventLog) -> None:
        await log.commit(Commit([registered("1"), registered("2"), registered("3")]))

        assert [len(await log.load(page_stream(page))) for page in "123"] == [1, 1, 1]

    async def test_a_conflict_on_one_stream_keeps_all_of_a_commit_from_being_written(self, log: EventLog) -> None:
        await log.commit(Commit([registered("2")]))

        commit = Commit([registered("1"), registered("2"), registered("3")], also=lambda sql: change(sql, "w"))

        assert await log.commit(commit) == Conflict(page_stream("2"))
        assert [len(await log.load(page_stream(page))) for page in "13"] == [0, 0]
        assert await log.read(workers) == []

    async def test_of_two_writers_at_one_version_one_wins(self, log: EventLog) -> None:
        one, two = page_registered("1", name="one"), page_registered("1", name="two")

        results = await asyncio.gather(*(log.commit(Commit([appended("1", 0, event)])) for event in (one, two)))

        assert sorted(type(result).__name__ for result in results) == ["Committed", "Conflict"]
        assert len(await log.load(page_stream("1"))) == 1

    async def test_a_commit_that_is_handed_in_twice_is_written_once(self, log: EventLog) -> None:
        """Whoever lost the connection does not know whether it was written, and asks again (protocol rule 17)."""
        heard: list[Recorded] = []
        log.listen(heard.extend)
        commit = Commit([registered("1"), registered("2")], also=lambda sql: change(sql, "w"))

        first, again = await log.commit(commit), await log.commit(commit)

        assert isinstance(first, Committed)
        assert isinstance(again, Committed)
        assert len(await log.load(page_stream("1"))) == 1
        assert await log.read(workers) == ["w"]
        assert len(heard) == 2

    # Read models, guards, and what stands beside

    async def test_read_models_are_changed_in_the_same_transaction(self, log: EventLog) -> None:
        await log.commit(Commit([registered("1"), registered("2")]))

        assert await log.read(page_ids) == ["1", "2"]

    async def test_what_stands_beside_is_written_in_the_same_transaction(self, log: EventLog) -> None:
        result = await log.commit(Commit([registered("1")], also=lambda sql: change(sql, "w")))

        assert isinstance(result, Committed)
        assert await log.read(workers) == ["w"]

    async def test_a_commit_without_events_only_writes_beside(self, log: EventLog) -> None:
        assert isinstance(await log.commit(Commit([], also=lambda sql: change(sql, "w"))), Committed)
        assert await log.read(workers) == ["w"]

    async def test_when_the_write_beside_fails_nothing_is_written(self, log: EventLog) -> None:
        def break_off(sql: Sql) -> None:
            change(sql, "w")
            raise ValueError("broken off")

        with pytest.raises(ValueError, match="broken off"):
            await log.commit(Commit([registered("1")], also=break_off))

        assert list(await log.load(page_stream("1"))) == []
        assert await log.read(workers) == []
        assert await log.read(page_ids) == []

    async def test_a_guard_that_agrees_lets_the_commit_through(self, log: EventLog) -> None:
        assert isinstance(await log.commit(Commit([registered("1")], guard=lambda _: None)), Committed)

    async def test_a_guard_that_refuses_keeps_everything_from_being_written(self, log: EventLog) -> None:
        commit = Commit([registered("1")], guard=lambda _: "not today", also=lambda sql: change(sql, "w"))

        assert await log.commit(commit) == Refused("not today")
        assert list(await log.load(page_stream("1"))) == []
        assert await log.read(workers) == []

    async def test_a_guard_sees_what_every_commit_before_it_wrote(self, log: EventLog) -> None:
        def fewer_than_five(sql: Sql) -> str | None:
            return "enough" if len(page_ids(sql)) >= 5 else None

        commits = [Commit([registered(f"{n:02}")], guard=fewer_than_five) for n in range(40)]
        results = await asyncio.gather(*map(log.commit, commits))

        assert sum(isinstance(result, Committed) for result in results) == 5
        assert len(await log.read(page_ids)) == 5

    async def test_a_conflict_is_found_before_the_guard_is_asked(self, log: EventLog) -> None:
        await log.commit(Commit([registered("1")]))

        result = await log.commit(Commit([registered("1")], guard=lambda _: "not today"))

        assert result == Conflict(page_stream("1"))

    # Cancelled reads

    async def test_cancelled_reads_are_stopped_and_their_readers_are_free(self, log: EventLog) -> None:
        begun: list[None] = []

        def endless(sql: Sql) -> None:
            begun.append(None)
            sql.row(ENDLESS)

        reading = [asyncio.create_task(log.read(endless)) for _ in range(READERS)]
        await eventually(lambda: asyncio.sleep(0, begun), lambda found: len(found) == READERS)
        waiting = [asyncio.create_task(log.read(endless)) for _ in range(2 * READERS)]
        other = asyncio.create_task(log.read(page_ids))
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            for task in (*waiting, *reading):
                task.cancel()
            ended = await asyncio.gather(*waiting, *reading, return_exceptions=True)

            assert {type(one) for one in ended} == {asyncio.CancelledError}
            assert await other == []  # the database was not taken to be away
            assert await asyncio.gather(*(log.read(page_ids) for _ in range(READERS))) == [[]] * READERS
        assert len(begun) == READERS

    async def test_what_is_made_of_a_read_is_computed_off_the_loop(self, log: EventLog) -> None:
        assert await log.compute(threading.get_ident) != threading.get_ident()
