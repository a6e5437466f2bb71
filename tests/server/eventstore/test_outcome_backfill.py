"""Outcomes of an older release are counted only after a rebuild, and the start of the count is stored."""

from contextlib import closing

from projections.sql import Micros
from server.eventstore import outcome_backfill
from server.eventstore.rebuild import rebuild
from server.eventstore.store import Store
from tests.databases import opened
from tests.server.eventstore.whole_log import write_everything


def counted_since(store: Store) -> Micros:
    with store.transaction(commit=False) as sql:
        return outcome_backfill.counted_since(sql)


def counted(store: Store) -> list[int]:
    with store.transaction(commit=False) as sql:
        return [
            sum(row["deliveries"] for row in sql.rows(f"SELECT deliveries FROM {table}"))  # noqa: S608 - our own names
            for table in ("outcomes", "page_outcomes")
        ]


def written_by_an_older_release(url: str) -> None:
    """Create a database with outcomes and without the tables of this release."""
    with closing(opened(url)) as store:
        write_everything(store)
        with store.transaction(commit=True) as sql:
            for table in ("outcomes", "page_outcomes", "outcomes_counted"):
                sql.execute(f"DROP TABLE {table}")


def test_a_new_database_counts_from_its_start(database_url: str) -> None:
    for _ in range(2):  # opening it again changes nothing
        with closing(opened(database_url)) as store:
            assert counted_since(store) == 0
            if not counted(store)[0]:
                write_everything(store)


def test_an_older_database_counts_from_now_and_after_a_rebuild_from_its_start(database_url: str) -> None:
    written_by_an_older_release(database_url)

    with closing(opened(database_url)) as store:
        assert counted_since(store) > 0
        assert counted(store) == [0, 0]
        assert set(rebuild(store)) == {"outcomes", "page_outcomes"}
        assert counted_since(store) == 0
        assert counted(store) == [4, 4]


def test_the_start_of_the_count_is_the_first_opening(database_url: str) -> None:
    written_by_an_older_release(database_url)
    with closing(opened(database_url)) as store:
        since = counted_since(store)

    with closing(opened(database_url)) as store:
        assert counted_since(store) == since
