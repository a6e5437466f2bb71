"""Pauses of a page: which of several is kept, and until when it is returned."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from domain.fault import ErrorType, RetryRule
from projections import page_pauses
from projections.page_pauses import PauseRow
from projections.sql import Sql
from server.eventstore.store import Store
from tests.builders import PAGE, fault
from tests.databases import opened

MINUTE = 60_000_000


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    with closing(opened(database_url)) as store:
        yield store


def record(store: Store, reason: str, minutes: float) -> None:
    limit = fault(ErrorType.RATE_LIMIT, RetryRule.AUTOMATIC, code=613) if "error" in reason else None
    with store.transaction(commit=True) as sql:
        page_pauses.record(sql, PAGE, reason, limit, until=sql.clock() + int(minutes * MINUTE))


def pause(store: Store) -> PauseRow | None:
    def found(sql: Sql) -> PauseRow | None:
        return page_pauses.of_pages(sql, [PAGE, "another"]).get(PAGE)

    with store.transaction(commit=False) as sql:
        return found(sql)


def test_the_longer_of_two_pauses_is_kept_with_the_start_of_the_first(store: Store) -> None:
    record(store, "first", 5)
    first = pause(store)
    record(store, "longer, an error", 30)
    record(store, "shorter", 10)

    kept = pause(store)

    assert first is not None
    assert kept is not None
    assert (kept.reason, kept.error_code, kept.error_type) == ("longer, an error", 613, ErrorType.RATE_LIMIT)
    assert (kept.time, first.error_type) == (first.time, None)
    assert kept.until > first.until


def test_an_expired_pause_is_not_returned_and_does_not_affect_the_next_one(store: Store) -> None:
    record(store, "past", -1)
    assert pause(store) is None

    record(store, "next", 5)

    kept = pause(store)
    assert kept is not None
    assert kept.until - kept.time >= 4.9 * MINUTE


def test_an_ended_pause_is_not_returned(store: Store) -> None:
    record(store, "first", 5)

    with store.transaction(commit=True) as sql:
        page_pauses.delete(sql, PAGE)

    assert pause(store) is None
