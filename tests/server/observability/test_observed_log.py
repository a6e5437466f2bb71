"""Metrics of commits by their result."""

import asyncio
import threading
from pathlib import Path

import pytest

from domain.errors import Unavailable
from domain.streams import page_stream
from projections.sql import Sql
from server.eventstore.commit import Commit, StreamEvents
from server.eventstore.event_store import EventStore
from server.eventstore.sqlite.store import SqliteStore
from server.observability.metrics import Metrics
from server.observability.observed_event_store import ObservedEventStore
from tests.builders import PAGE, page_registered


class HeldCommit:
    """A commit that registers a page and waits in its transaction until released."""

    def __init__(self) -> None:
        self.has_come, self.may_go = threading.Event(), threading.Event()
        self.commit = Commit([StreamEvents(page_stream(PAGE), 0, [page_registered()])], guard=self._wait)

    def _wait(self, _: Sql) -> None:
        self.has_come.set()
        self.may_go.wait()


def commits(metrics: Metrics, result: str) -> float | None:
    """Return the number of commits with this result."""
    return metrics.registry.get_sample_value("redrive_commits_total", {"result": result})


async def test_a_cancelled_caller_does_not_count_as_unavailable(tmp_path: Path) -> None:
    metrics, held = Metrics(), HeldCommit()
    async with EventStore(SqliteStore(tmp_path / "redrive.db")) as log:
        committing = asyncio.create_task(ObservedEventStore(log, metrics, None).commit(held.commit))
        await asyncio.to_thread(held.has_come.wait)

        committing.cancel()

        with pytest.raises(asyncio.CancelledError):
            await committing
        held.may_go.set()
    assert commits(metrics, "unavailable") == 0


async def test_a_write_of_operational_tables_counts_as_a_commit(tmp_path: Path) -> None:
    metrics = Metrics()
    async with EventStore(SqliteStore(tmp_path / "redrive.db")) as log:
        assert await ObservedEventStore(log, metrics, None).write(lambda _: 7) == 7

    assert commits(metrics, "committed") == 1


async def test_an_unavailable_log_counts_as_unavailable(tmp_path: Path) -> None:
    metrics = Metrics()
    async with EventStore(SqliteStore(tmp_path / "redrive.db")) as log:
        observed = ObservedEventStore(log, metrics, None)
    with pytest.raises(Unavailable):
        await observed.commit(Commit([]))

    assert commits(metrics, "unavailable") == 1
