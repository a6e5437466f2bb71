"""The Store on PostgreSQL: one database, shared by any number of processes (protocol rule 18).

The library's recorder does not fit: it takes its lock too late for read models in the same transaction, commits when
Python raises after the lock, and retries without a check. So this store writes by itself, in one transaction: first an
advisory lock, then versions, guards, events and read models. Any exception rolls the transaction back.
"""

import time
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import psycopg
import structlog
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from domain.batch_events import BatchCreated
from domain.event import Event, RecordedEvent
from projections.sql import Sql
from server.eventstore import schema
from server.eventstore.codec import decode
from server.eventstore.commit import Commit
from server.eventstore.group_commit import WriteResult
from server.eventstore.postgres.group import PostgresGroup
from server.eventstore.postgres.rows import recorded, stored
from server.eventstore.postgres.sql import PostgresSql
from server.eventstore.postgres.staging import PostgresStaging
from server.eventstore.store import READERS, Interruption
from server.eventstore.stream import recorded_in

logger = structlog.get_logger()

T = TypeVar("T")
Connection = psycopg.Connection[DictRow]
Cursor = psycopg.Cursor[DictRow]
C = TypeVar("C", bound=Connection)

WRITER_LOCK = 0x72656472  # "redr": every writer of the log takes this advisory lock first
CHANNEL = "redrive_log"  # notified with each commit
POOL = READERS + 2  # connections that run queries: the readers', the follower's, and one for maintenance
CONNECT_SECONDS = 2
LOCK_SECONDS = 2
CHECK_SECONDS = 1.0  # limit of the check of a pooled connection
WRITE_SECONDS = 3.0  # limit of one statement of the writer: it takes milliseconds, and waits for a lock for 2 s
READ_SECONDS = 10.0  # limit of one statement of a reader: it may have to count a million rows
CANCEL_SECONDS = 1.0  # limit of a request to cancel a statement
FIRST_ANALYZED_ROWS = 1_000  # with fewer rows a bad plan costs little
MAX_ROWS_BETWEEN_ANALYZE = 200_000  # ANALYZE takes a tenth of a second: at full speed, less than 1 % of the time

_OPTIONS = f"-c lock_timeout={LOCK_SECONDS}s -c idle_in_transaction_session_timeout={LOCK_SECONDS}s"
_READER_OPTIONS = f"{_OPTIONS} -c default_transaction_isolation=repeatable\\ read -c default_transaction_read_only=on"
# Every query of the writer can use an index. A plan that was made while a table was small would scan it, and would stay
# in use while the table grows.
_WRITER_OPTIONS = f"{_OPTIONS} -c enable_seqscan=off"

TABLES = (
    """
    CREATE TABLE IF NOT EXISTS stored_events (
        notification_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        originator_id TEXT NOT NULL,
        originator_version BIGINT NOT NULL,
        topic TEXT NOT NULL,
        state BYTEA NOT NULL,
        UNIQUE (originator_id, originator_version)
    )
    """,
)

# Each attempt updates its delivery's row twice, in columns without an index. With free space on the row's page, such an
# update does not write the indexes.
_FREE_SPACE_FOR_UPDATES = "ALTER TABLE deliveries SET (fillfactor = 60)"

# A prepared statement fails for the rest of its session after its table gets a column ("cached plan must not change
# result type"). So the sessions of other servers are ended, and they connect again as after an outage.
_END_OTHER_SESSIONS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
      AND backend_type = 'client backend'
"""

_ANALYZE = "ANALYZE (SKIP_LOCKED) batches, deliveries, recipients, sealed_names, person_keys"


class TimeoutConnection(psycopg.Connection[DictRow]):
    """A connection with a limit for the time that the database does not respond: stopped, cut off, or switched off.

    After `response_seconds` it closes and raises psycopg.OperationalError. The database may still run the statement.
    libpq alone would wait as long as the kernel keeps the connection, possibly without end.
    """

    response_seconds = READ_SECONDS

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **options: Any) -> T:
        """Wait for the database; psycopg calls this for every statement."""
        return super().wait(self._within_limit(gen), *args, **options)

    def _within_limit(self, gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        deadline = time.monotonic() + self.response_seconds
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() > deadline:
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"the database has given no answer for {self.response_seconds:g} s")
                wanted = gen.send(ready)
        except StopIteration as end:
            result: T = end.value
            return result


def check(connection: TimeoutConnection) -> None:
    """Check that a pooled connection still works, within CHECK_SECONDS; raises psycopg.OperationalError."""
    connection.response_seconds = CHECK_SECONDS
    ConnectionPool.check_connection(connection)
    connection.response_seconds = READ_SECONDS


class PostgresStatistics:
    """Runs ANALYZE when this process has written 1,000 recipients, then after 2,000 more, 4,000 more and so on.

    PostgreSQL keeps a statement's plan until its tables are analyzed again. A plan that was made while they were empty
    scans all of a message for each recipient: measured, a batch of 50 took minutes instead of a millisecond.
    Autovacuum checks once a minute, if it is on.
    """

    def __init__(self) -> None:
        self._rows = 0
        self._next = FIRST_ANALYZED_ROWS

    def count(self, written: Sequence[WriteResult]) -> bool:
        """Count the recipients that were written; return whether ANALYZE is due."""
        events = (recorded.event for one in written for recorded in one.recorded)
        self._rows += sum(len(event.recipients) for event in events if isinstance(event, BatchCreated))
        if self._rows < self._next:
            return False
        self._rows, self._next = 0, min(2 * self._next, MAX_ROWS_BETWEEN_ANALYZE)
        return True

    def analyze(self, connection: Connection) -> None:
        """Run ANALYZE. An error is only logged, because the commits before it are durable."""
        try:
            connection.execute(_ANALYZE)
        except psycopg.Error as error:
            logger.warning("statistics_not_taken", error=type(error).__name__)


class PostgresStore:
    """One PostgreSQL database."""

    unavailable_errors = (
        psycopg.OperationalError,
        psycopg.InterfaceError,
        psycopg.errors.ReadOnlySqlTransaction,
        psycopg.errors.IdleInTransactionSessionTimeout,  # this process was suspended during a transaction
        PoolTimeout,
    )

    def __init__(self, url: str) -> None:
        self._url = url
        self._readers = ConnectionPool(
            url,
            connection_class=TimeoutConnection,
            kwargs={
                "row_factory": dict_row,
                "autocommit": True,
                "options": _READER_OPTIONS,
                "connect_timeout": CONNECT_SECONDS,
            },
            min_size=1,
            max_size=POOL,
            timeout=LOCK_SECONDS,
            reconnect_timeout=LOCK_SECONDS,  # then the next query reconnects; else the pauses grow during an outage
            check=check,
            open=True,
        )
        self._writer: TimeoutConnection | None = None
        self._statistics = PostgresStatistics()
        try:
            with self._locked() as c:
                if schema.migrate(PostgresSql(c.connection), TABLES):
                    c.execute(_END_OTHER_SESSIONS)
                c.execute(_FREE_SPACE_FOR_UPDATES)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close all connections."""
        self._discard_writer()
        self._readers.close()

    @contextmanager
    def transaction(self, *, commit: bool) -> Iterator[Sql]:
        """Open a snapshot to read, or with `commit` a transaction under the log's lock."""
        if commit:
            with self._locked() as c:
                yield PostgresSql(c.connection)
            return
        with self._readers.connection() as connection, connection.transaction():
            yield PostgresSql(connection)

    @contextmanager
    def interruptible(self, interruption: Interruption) -> Iterator[Sql]:
        """Open a snapshot to read whose statements another thread can stop; raises ReadInterrupted."""
        with (
            self._readers.connection() as connection,
            connection.transaction(),
            interruption.by(partial(connection.cancel_safe, timeout=CANCEL_SECONDS)),
        ):
            yield PostgresSql(connection)

    def load(self, stream: str, limit: int | None) -> Sequence[Event]:
        """Return the events of a stream in order: all, or the first `limit`."""
        with self._readers.connection() as connection:
            found = connection.execute(
                "SELECT * FROM stored_events WHERE originator_id = %s ORDER BY originator_version LIMIT %s",
                (stream, limit),
            )
            return [decode(stored(row)) for row in found]

    def recorded_in(self, streams: Sequence[str], after: int, limit: int | None) -> Sequence[RecordedEvent]:
        """Return events of some streams in the log's order, after a position."""
        with self.transaction(commit=False) as sql:
            return recorded_in(sql, streams, position=sql.log_position, after=after, limit=limit)

    def recorded_after(self, position: int, limit: int, known: Collection[int] = ()) -> Sequence[RecordedEvent]:
        """Return events of all streams in the log's order, after a position, except those at `known` positions."""
        with self._readers.connection() as connection:
            found = connection.execute(
                """
                SELECT * FROM stored_events WHERE notification_id > %s AND notification_id <> ALL(%s)
                ORDER BY notification_id LIMIT %s
                """,
                (position, list(known), limit),
            )
            return [recorded(row) for row in found]

    def last_position(self) -> int:
        """Return the position of the log's last event; 0 if the log is empty."""
        with self._readers.connection() as connection:
            row = connection.execute("SELECT MAX(notification_id) AS last FROM stored_events").fetchone()
            return (row and row["last"]) or 0

    def staging(self, name: str) -> PostgresStaging:
        """Open the staging read models of this name; raises StagingInUseError."""
        return PostgresStaging(self._connect(Connection), f"redrive_{name}", WRITER_LOCK)

    def write_together(self, group: Sequence[Commit]) -> Sequence[WriteResult]:
        """Write a group of commits in one transaction; if one raises, none is written."""
        with self._locked() as c, c.connection.pipeline():
            together = PostgresGroup(c.connection, group)
            written = [together.write(commit) for commit in group]
            together.end()
            if any(one.recorded for one in written):
                c.execute(f"NOTIFY {CHANNEL}")
        if self._statistics.count(written) and self._writer is not None:
            self._statistics.analyze(self._writer)
        return written

    @contextmanager
    def _locked(self) -> Iterator[Cursor]:
        """Open the transaction under the log's lock, which one process holds at a time. Drop a failed connection."""
        try:
            connection = self._writing_connection()
            with connection.transaction():
                c = connection.cursor()
                self._lock(c)
                yield c
        except self.unavailable_errors:
            self._discard_writer()
            raise

    def _lock(self, c: Cursor) -> None:
        """Take the log's lock for this transaction; after LOCK_SECONDS, end the transaction that holds it."""
        row = c.execute("SELECT pg_try_advisory_xact_lock(%s) AS locked", (WRITER_LOCK,)).fetchone()
        if row is not None and row["locked"]:
            return
        try:
            c.execute("SAVEPOINT before_lock")
            c.execute("SELECT pg_advisory_xact_lock(%s)", (WRITER_LOCK,))
        except psycopg.errors.LockNotAvailable:
            c.execute("ROLLBACK TO SAVEPOINT before_lock")
            self._end_blockers(c)
            c.execute("SELECT pg_advisory_xact_lock(%s)", (WRITER_LOCK,))

    def _end_blockers(self, c: Cursor) -> None:
        """End the session that holds the lock for so long: its process is suspended or cut off. It is rolled back."""
        c.execute(
            """
            SELECT pg_terminate_backend(lock.pid) FROM pg_locks lock JOIN pg_stat_activity activity USING (pid)
            WHERE lock.locktype = 'advisory' AND lock.objid = %s AND lock.granted
              AND activity.usename = current_user AND lock.database = (SELECT oid FROM pg_database
                                                                       WHERE datname = current_database())
            """,
            (WRITER_LOCK,),
        )

    def _writing_connection(self) -> TimeoutConnection:
        if self._writer is None or self._writer.closed:
            self._writer = self._connect(TimeoutConnection, _WRITER_OPTIONS)
            self._writer.response_seconds = WRITE_SECONDS
        return self._writer

    def _connect(self, kind: type[C], options: str = _OPTIONS) -> C:
        return kind.connect(
            self._url, row_factory=dict_row, autocommit=True, options=options, connect_timeout=CONNECT_SECONDS
        )

    def _discard_writer(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
