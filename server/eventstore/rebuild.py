"""The rebuild: builds the read models again from the log (invariant 6), and compares them with the live ones.

The new read models are built in staging tables. Each transaction applies a chunk of events and stores the position that
it reached, so that an interrupted rebuild continues there. One transaction at the end replaces the live read models.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from domain.event import RecordedEvent
from projections import read_models
from projections.count_deltas import CountDeltas
from projections.sql import Sql
from server.eventstore import outcome_backfill
from server.eventstore.store import StagingReadModels, Store
from server.eventstore.whole_log import WholeLog

EVENTS_AT_ONCE = 500  # in one transaction: one event per transaction is 20 times slower

_PROGRESS = """
    CREATE TABLE IF NOT EXISTS rebuild_progress (
        made_by TEXT NOT NULL,
        position BIGINT NOT NULL,
        stream TEXT NOT NULL,
        version BIGINT NOT NULL
    )
"""

Report = Callable[[int, int], None]  # the position reached, and that of the log's last event


class DatabaseInUseByWorkersError(Exception):
    """Servers run on this database; the text lists their worker names."""


class Difference(NamedTuple):
    """The number of rows that only the live table has, and that only the rebuilt table has."""

    live_only: int
    rebuilt_only: int


def no_workers(_: Sql) -> Collection[str]:
    """Return no worker names: for an embedded database, which one process uses at a time."""
    return ()


def rebuild(
    store: Store,
    report: Report = lambda *_: None,
    workers: Callable[[Sql], Collection[str]] = no_workers,
    archive: Path | None = None,
) -> Mapping[str, Difference]:
    """Rebuild every read model, replace the live ones that differ, and return the differences by table.

    `workers` returns the names of the servers that run: if there are any, DatabaseInUseByWorkersError is raised.
    `archive` is the folder of archive files: ArchiveError is raised if one is missing or damaged. Raises also
    StagingInUseError and the database's errors. After an error, the live read models are unchanged.
    """
    with store.transaction(commit=False) as sql:
        refuse_if_in_use(workers(sql))
    with closing(store.staging("rebuild")) as staging:
        log = WholeLog(store, archive)
        _build(log, staging, _resume(log, staging), report)
        with staging.comparing() as sql:
            refuse_if_in_use(workers(sql))
            found = _compare(store, staging, sql)
            _replace(staging, sql, found)
            outcome_backfill.mark_complete(sql)
        staging.remove()
    return found


def differences(store: Store, archive: Path | None = None) -> Mapping[str, int]:
    """Return by table how many rows only the live or only the rebuilt read models have; empty if all are equal.

    Changes nothing. Other processes may write to the log; they wait during the comparison.
    """
    with closing(store.staging("comparison")) as staging:
        try:
            _begin(staging)
            _build(WholeLog(store, archive), staging, 0, lambda *_: None)
            with staging.comparing() as sql:
                return {table: sum(found) for table, found in _compare(store, staging, sql).items()}
        finally:
            staging.remove()


def refuse_if_in_use(workers: Collection[str]) -> None:
    """Raise DatabaseInUseByWorkersError if there are any workers."""
    if workers:
        raise DatabaseInUseByWorkersError(", ".join(sorted(workers)))


def _begin(staging: StagingReadModels) -> None:
    staging.clear()
    with staging.building() as sql:
        read_models.create(sql)
        sql.execute(_PROGRESS)
        sql.execute("INSERT INTO rebuild_progress VALUES (:made_by, 0, '', 0)", {"made_by": _made_by()})


def _made_by() -> str:
    """Return the release. Another release must not continue a rebuild: it may project the same events differently."""
    return version("redrive-server")


def _resume(log: WholeLog, staging: StagingReadModels) -> int:
    """Return the position to continue from; 0, after clearing the staging tables, unless this release built them.

    The event at the stored position must be the same as then, since the database may have been restored from a backup.
    """
    with staging.building() as sql:
        sql.execute(_PROGRESS)
        row = sql.row("SELECT * FROM rebuild_progress WHERE made_by = :made_by", {"made_by": _made_by()})
    if row is not None:
        position: int = row["position"]
        last = next(log.after(position - 1), None)
        if last is not None and last[:3] == (position, row["stream"], row["version"]):
            return position
    _begin(staging)
    return 0


def _build(log: WholeLog, staging: StagingReadModels, position: int, report: Report) -> None:
    report(position, log.last_position())
    events = log.after(position)
    while chunk := list(islice(events, EVENTS_AT_ONCE)):
        with staging.building() as sql:
            _apply(sql, chunk)
        report(chunk[-1].position, log.last_position())


def _apply(sql: Sql, chunk: Sequence[RecordedEvent]) -> None:
    deltas = CountDeltas()
    read_models.apply(sql, chunk, deltas)
    deltas.write(sql)
    last = chunk[-1]
    sql.execute(
        "UPDATE rebuild_progress SET position = :position, stream = :stream, version = :version",
        {"position": last.position, "stream": last.stream, "version": last.version},
    )


def _compare(store: Store, staging: StagingReadModels, sql: Sql) -> Mapping[str, Difference]:
    """Apply the events that were recorded since, and return the differences of the tables that differ."""
    row = sql.row("SELECT position FROM rebuild_progress")
    position = row["position"] if row else 0
    while chunk := store.recorded_after(position, EVENTS_AT_ONCE):
        _apply(sql, chunk)
        position = chunk[-1].position
    found = {table: _difference(staging, sql, table) for table in read_models.TABLE_NAMES}
    return {table: difference for table, difference in found.items() if any(difference)}


def _difference(staging: StagingReadModels, sql: Sql, table: str) -> Difference:
    live, rebuilt = f"SELECT * FROM {staging.live}.{table}", f"SELECT * FROM {staging.own}.{table}"  # noqa: S608 - our own names
    return Difference(_count(sql, f"{live} EXCEPT {rebuilt}"), _count(sql, f"{rebuilt} EXCEPT {live}"))


def _count(sql: Sql, query: str) -> int:
    row = sql.row(f"SELECT COUNT(*) AS differences FROM ({query}) AS differing")  # noqa: S608
    return row["differences"] if row else 0


def _replace(staging: StagingReadModels, sql: Sql, tables: Collection[str]) -> None:
    """Replace tables, and mark the staging set as unusable in the same transaction: its tables may have been moved."""
    for table in tables:
        staging.replace(sql, table)
    sql.execute("DELETE FROM rebuild_progress")
