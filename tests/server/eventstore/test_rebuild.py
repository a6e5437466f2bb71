"""Rebuilds of the read models from the log, and comparisons with the current ones, on both databases."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from domain.event import RecordedEvent
from domain.message_events import MessageArchived
from domain.streams import page_stream
from projections import read_models
from projections.sql import Sql
from server.eventstore.codec import TYPES
from server.eventstore.rebuild import DatabaseInUseByWorkersError, Difference, differences, rebuild
from server.eventstore.store import StagingInUseError, Store
from tests.builders import PAGE, page_registered
from tests.contents import contents
from tests.databases import opened
from tests.server.eventstore.whole_log import append, write_everything, write_many


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    with closing(opened(database_url)) as store:
        yield store


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.eventstore.rebuild.EVENTS_AT_ONCE", 4)


def all_of(store: Store) -> Any:
    with store.transaction(commit=False) as sql:
        return contents(sql)


def change(store: Store, *statements: str) -> None:
    with store.transaction(commit=True) as sql:
        for statement in statements:
            sql.execute(statement)


def interrupt_at(position: int) -> Callable[[int, int], None]:
    def report(reached: int, _: int) -> None:
        if reached >= position:
            raise KeyboardInterrupt

    return report


def test_the_test_log_has_every_type_of_event(store: Store) -> None:
    write_everything(store)

    recorded = store.recorded_after(0, 1_000)

    elsewhere = {MessageArchived}  # a log with this event needs its archive; see test_archiving.py
    assert {type(one.event) for one in recorded} == set(TYPES.values()) - elsewhere
    assert all(all_of(store)[table] for table in read_models.TABLE_NAMES)


def test_rebuilt_read_models_equal_the_maintained_ones(store: Store) -> None:
    write_everything(store)
    before = all_of(store)

    assert differences(store) == {}
    assert rebuild(store) == {}
    assert all_of(store) == before


def test_wrong_rows_are_found_and_replaced(store: Store) -> None:
    write_everything(store)
    before = all_of(store)
    change(
        store,
        "UPDATE messages SET sent = sent + 1",
        "DELETE FROM recipients WHERE recipient_id IN ('ann', 'bob')",
        "INSERT INTO failures VALUES ('m-9', 'OTHER', 1)",
        "UPDATE deliveries SET error_type = NULL WHERE status = 'FAILED'",
    )

    assert differences(store) == {"messages": 2, "deliveries": 4, "recipients": 2, "failures": 1}
    assert rebuild(store) == {
        "messages": Difference(1, 1),
        "deliveries": Difference(2, 2),
        "recipients": Difference(0, 2),
        "failures": Difference(1, 0),
    }
    assert all_of(store) == before
    assert rebuild(store) == {}


def test_a_comparison_changes_nothing(store: Store) -> None:
    write_everything(store)
    change(store, "UPDATE pages SET name = 'spoilt'")
    before = all_of(store)

    differences(store)

    assert all_of(store) == before


def test_the_log_can_be_written_after_a_replacement(store: Store) -> None:
    """The new tables have the same keys and indexes."""
    write_everything(store)
    change(store, *(f"DELETE FROM {table}" for table in read_models.TABLE_NAMES))  # noqa: S608 - our own names

    assert set(rebuild(store)) == set(read_models.TABLE_NAMES)
    append(store, page_stream("2"), 0, page_registered("2"))
    with pytest.raises(Exception, match=r"(?i)unique"):
        change(store, f"INSERT INTO pages SELECT * FROM pages WHERE page_id = '{PAGE}'")  # noqa: S608

    assert differences(store) == {}


def test_the_log_is_read_in_chunks(store: Store) -> None:
    write_many(store, PAGE, 9)
    reported: list[tuple[int, int]] = []

    rebuild(store, lambda *report: reported.append(report))

    assert reported == [(0, 10), (4, 10), (8, 10), (10, 10)]


def test_an_interrupted_rebuild_continues_at_its_position(store: Store) -> None:
    write_everything(store)
    change(store, "UPDATE pages SET name = 'spoilt'")
    before = all_of(store)
    with pytest.raises(KeyboardInterrupt):
        rebuild(store, interrupt_at(8))
    assert all_of(store) == before
    reported: list[int] = []

    found = rebuild(store, lambda position, _: reported.append(position))

    assert found == {"pages": Difference(1, 1)}
    assert reported[:2] == [8, 12]
    assert differences(store) == {}


@pytest.mark.parametrize(
    "change_of_progress", ["made_by = 'an older release'", "stream = 'page/of another log'", "position = 1000"]
)
def test_the_progress_of_another_release_or_log_is_discarded(
    store: Store, monkeypatch: pytest.MonkeyPatch, change_of_progress: str
) -> None:
    write_everything(store)
    with pytest.raises(KeyboardInterrupt):
        rebuild(store, interrupt_at(8))
    with closing(store.staging("rebuild")) as shadow, shadow.building() as sql:
        sql.execute(f"UPDATE rebuild_progress SET {change_of_progress}")  # noqa: S608
        sql.execute("DELETE FROM messages")
    reported: list[int] = []

    assert rebuild(store, lambda position, _: reported.append(position)) == {}
    assert reported[0] == 0


def test_events_appended_at_the_end_are_included(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are appended between the last chunk and the comparison, which locks the log."""
    write_many(store, PAGE, 7)
    recorded_after = store.recorded_after

    def append_after_the_last_chunk(position: int, limit: int) -> Sequence[RecordedEvent]:
        chunk = recorded_after(position, limit)
        if not chunk and position == 8:
            append(store, page_stream("2"), 0, page_registered("2"))
        return chunk

    monkeypatch.setattr(store, "recorded_after", append_after_the_last_chunk)

    assert rebuild(store) == {}
    assert [page["page_id"] for page in all_of(store)["pages"]] == [PAGE, "2"]


def test_two_concurrent_rebuilds_do_not_affect_each_other(postgres_url: str) -> None:
    with closing(opened(postgres_url)) as store, closing(opened(postgres_url)) as other:
        write_everything(store)
        refusals = []

        def start_another(position: int, _: int) -> None:
            if position == 4:
                with pytest.raises(StagingInUseError) as refusal:
                    rebuild(other)
                refusals.append(refusal)

        assert rebuild(store, start_another) == {}
        assert len(refusals) == 1
        assert rebuild(other) == {}


def test_a_server_that_starts_during_a_long_comparison_takes_precedence(postgres_url: str) -> None:
    """The comparison waits for the log's lock as long as any writer; the rebuilt tables are kept."""
    with closing(opened(postgres_url)) as store, ThreadPoolExecutor(1) as thread:
        write_everything(store)
        change(store, "UPDATE pages SET name = 'spoilt'")
        before = all_of(store)
        looks = itertools.count(1)
        servers = []

        def take_long(sql: Sql) -> Sequence[str]:
            if next(looks) == 2:
                servers.append(thread.submit(opened, postgres_url))
                sql.execute("SELECT pg_sleep(30)")
            return []

        with pytest.raises(store.unavailable_errors):
            rebuild(store, workers=take_long)
        servers[0].result().close()
        reported: list[int] = []

        assert all_of(store) == before
        assert rebuild(store, lambda position, _: reported.append(position)) == {"pages": Difference(1, 1)}
        assert reported == [store.last_position()]


def test_a_rebuild_is_refused_while_a_server_runs(store: Store) -> None:
    write_everything(store)
    reported: list[int] = []

    with pytest.raises(DatabaseInUseByWorkersError, match="worker-7"):
        rebuild(store, lambda position, _: reported.append(position), lambda _: ["worker-7"])

    assert reported == []


def test_nothing_is_replaced_if_a_server_started_during_the_rebuild(store: Store) -> None:
    write_everything(store)
    change(store, "UPDATE pages SET name = 'spoilt'")
    before = all_of(store)
    answers: Iterator[list[str]] = iter([[], ["worker-7"]])

    def workers(_: Sql) -> list[str]:
        return next(answers)

    with pytest.raises(DatabaseInUseByWorkersError, match="worker-7"):
        rebuild(store, workers=workers)

    assert all_of(store) == before


def test_operational_tables_are_not_changed(store: Store) -> None:
    with store.transaction(commit=True) as sql:
        sql.execute("INSERT INTO message_keys VALUES ('m-1', :sealed)", {"sealed": b"0"})
    write_everything(store)
    change(store, "DELETE FROM messages")

    rebuild(store)

    with store.transaction(commit=False) as sql:
        assert len(sql.rows("SELECT * FROM message_keys")) == 1
