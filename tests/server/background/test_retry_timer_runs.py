"""Stored results of the timer's last runs."""

from collections.abc import Iterator, Sequence
from contextlib import closing

import pytest

from server.background import retry_timer
from server.background.timer_report import TimerResult, TimerRun, TimerStatus
from server.eventstore.store import Store
from tests.builders import NOW, after
from tests.databases import opened


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    with closing(opened(database_url)) as store:
        yield store


def remember(store: Store, seconds: float, *results: TimerResult) -> None:
    with store.transaction(commit=True) as sql:
        retry_timer.add_run(sql, after(seconds), results)


def last_runs(store: Store) -> Sequence[TimerRun]:
    with store.transaction(commit=False) as sql:
        return retry_timer.last_runs(sql)


def taken(message_id: str, recipients: int) -> TimerResult:
    return TimerResult(
        message_id=message_id, title="Spring", status=TimerStatus.STARTED, recipients=recipients, batches=1
    )


IDLE = TimerResult(message_id="m-0", title="Winter", status=TimerStatus.NOTHING_TO_DO)


def test_without_runs_there_are_no_results(store: Store) -> None:
    assert list(last_runs(store)) == []


def test_a_run_is_stored_with_its_results(store: Store) -> None:
    results = [taken("m-1", 40), IDLE, taken("m-2", 2)]

    remember(store, 0, *results)

    assert list(last_runs(store)) == [TimerRun(time=NOW, eligible=3, started=2, recipients=42, results=results)]


def test_the_last_twenty_runs_are_stored_newest_first(store: Store) -> None:
    for seconds in range(25):
        remember(store, seconds)

    assert [run.time for run in last_runs(store)] == [after(seconds) for seconds in range(24, 4, -1)]


def test_only_the_first_results_of_a_very_large_run_are_stored(store: Store) -> None:
    remember(store, 0, *(taken(f"m-{number}", 1) for number in range(150)))

    [run] = last_runs(store)
    assert (run.eligible, run.started, run.recipients, len(run.results)) == (150, 150, 150, 100)
    assert run.results[99].message_id == "m-99"
