"""Makes the read models anew from the log, the only truth (invariant 6), and compares them with the live ones.

They grow in a shadow, a chunk of events per transaction together with the position that was reached, so that a rebuild
that was cut off goes on where it was. Live read models are replaced in one transaction at the end, or not at all.
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

Report = Callable[[int, int], None]  # the position reached, and the log's last


class DatabaseInUseByWorkersError(Exception):
    """Servers work on this database; the text names them."""


class Difference(NamedTuple):
    """How many rows of a table stand only in the live one, and only in the one built anew."""

    live_only: int
    rebuilt_only: int


def nobody(_: Sql) -> Collection[str]:
    """For a database that is this process's alone."""
    return ()


def rebuild(
    store: Store,
    report: Report = lambda *_: None,
    workers: Callable[[Sql], Collection[str]] = nobody,
    archive: Path | None = None,
) -> Mapping[str, Difference]:
    """Builds every read model anew, and puts those that differ in the place of the live ones; answers which did.

    `workers` asks who works on the database: raises DatabaseInUseByWorkersError if anybody does. `archive` is the
    folder of archived events: raises ArchiveError unless all that were archived are there, and whole. Raises
    StagingInUseError, or what the database raises. Whatever it raises, the live read models are as they were.
    """
    with store.transaction(commit=False) as sql:
        refuse_if_in_use(workers(sql))
    with closing(store.shadow("rebuild")) as shadow:
        log = WholeLog(store, archive)
        _build(log, shadow, _resume(log, shadow), report)
        with shadow.comparing() as sql:
            refuse_if_in_use(workers(sql))
            found = _compare(store, shadow, sql)
            _replace(shadow, sql, found)
            outcome_backfill.complete(sql)
        shadow.remove()
    return found


def differences(store: Store, archive: Path | None = None) -> Mapping[str, int]:
    """Rows, by table, that the live read models and those built anew do not share; empty when all are equal.

    Changes nothing, and is exact while others write to the log: they wait for the comparison.
    """
    with closing(store.shadow("comparison")) as shadow:
        try:
            _begin(shadow)
            _build(WholeLog(store, archive), shadow, 0, lambda *_: None)
            with shadow.comparing() as sql:
                return {table: sum(found) for table, found in _compare(store, shadow, sql).items()}
        finally:
            shadow.remove()


def refuse_if_in_use(workers: Collection[str]) -> None:
    """Raises DatabaseInUseByWorkersError if there are any."""
    if workers:
        raise DatabaseInUseByWorkersError(", ".join(sorted(workers)))


def _begin(shadow: StagingReadModels) -> None:
    shadow.clear()
    with shadow.building() as sql:
        read_models.create(sql)
        sql.execute(_PROGRESS)
        sql.execute("INSERT INTO rebuild_progress VALUES (:made_by, 0, '', 0)", {"made_by": _made_by()})


def _made_by() -> str:
    """Only the release that began a rebuild goes on with it: another may make something else of the same events."""
    return version("redrive-server")


def _resume(log: WholeLog, shadow: StagingReadModels) -> int:
    """The position from which to go on: 0 unless the shadow was made by this release, from this log."""
    with shadow.building() as sql:
        sql.execute(_PROGRESS)
        row = sql.row("SELECT * FROM rebuild_progress WHERE made_by = :made_by", {"made_by": _made_by()})
    if row is not None:
        position: int = row["position"]
        last = next(log.after(position - 1), None)
        if last is not None and last[:3] == (position, row["stream"], row["version"]):
            return position
    _begin(shadow)
    return 0


def _build(log: WholeLog, shadow: StagingReadModels, position: int, report: Report) -> None:
    report(position, log.last_position())
    events = log.after(position)
    while chunk := list(islice(events, EVENTS_AT_ONCE)):
        with shadow.building() as sql:
            _apply(sql, chunk)
        report(chunk[-1].position, log.last_position())


def _apply(sql: Sql, chunk: Sequence[RecordedEvent]) -> None:
    tally = CountDeltas()
    read_models.apply(sql, chunk, tally)
    tally.write(sql)
    last = chunk[-1]
    sql.execute(
        "UPDATE rebuild_progress SET position = :position, stream = :stream, version = :version",
        {"position": last.position, "stream": last.stream, "version": last.version},
    )


def _compare(store: Store, shadow: StagingReadModels, sql: Sql) -> Mapping[str, Difference]:
    """The tables that differ, once the shadow has all that the log has."""
    row = sql.row("SELECT position FROM rebuild_progress")
    position = row["position"] if row else 0
    while chunk := store.recorded_after(position, EVENTS_AT_ONCE):
        _apply(sql, chunk)
        position = chunk[-1].position
    found = {table: _difference(shadow, sql, table) for table in read_models.TABLE_NAMES}
    return {table: difference for table, difference in found.items() if any(difference)}


def _difference(shadow: StagingReadModels, sql: Sql, table: str) -> Difference:
    live, own = f"SELECT * FROM {shadow.live}.{table}", f"SELECT * FROM {shadow.own}.{table}"  # noqa: S608 - our own names
    return Difference(_count(sql, f"{live} EXCEPT {own}"), _count(sql, f"{own} EXCEPT {live}"))


def _count(sql: Sql, query: str) -> int:
    row = sql.row(f"SELECT COUNT(*) AS how_many FROM ({query}) AS differing")  # noqa: S608
    return row["how_many"] if row else 0


def _replace(shadow: StagingReadModels, sql: Sql, tables: Collection[str]) -> None:
    """In the same transaction the shadow says that nobody may go on with it: its tables may be gone."""
    for table in tables:
        shadow.replace(sql, table)
    sql.execute("DELETE FROM rebuild_progress")
