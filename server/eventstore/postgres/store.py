"""The database behind the log on PostgreSQL, shared by any number of processes (protocol rule 18).

The library's own recorder takes its lock too late for read models in the same transaction, commits when Python raises
after the lock, and retries blindly; so the writing is ours: an advisory transaction lock first, then versions, guards,
events and read models, then the commit; any exception rolls all of it back.
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
from server.eventstore.group_commit import Written
from server.eventstore.postgres.group import PostgresGroup
from server.eventstore.postgres.rows import recorded, stored
from server.eventstore.postgres.sql import PostgresSql
from server.eventstore.postgres.staging import PostgresStaging
from server.eventstore.store import READERS, Interruption
from server.eventstore.stream import recorded_in

T = TypeVar("T")

logger = structlog.get_logger()

# A connection that gives up on a database that gives no sign of life: stopped, cut off, or on a dead machine.
#
# libpq itself waits for an answer as long as the kernel keeps the connection, which may be for ever.


WRITE_SECONDS = 3.0  # a statement of the writer takes milliseconds, and waits for a lock for 2 s
CHECK_SECONDS = 1.0
READ_SECONDS = 10.0  # a query may have to count a million rows


class TimeoutConnection(psycopg.Connection[DictRow]):
    """Raises psycopg.OperationalError after `patience` seconds without an answer, and is closed then.

    What becomes of the statement is not known: the database may carry it out when it goes on.
    """

    patience = READ_SECONDS

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **options: Any) -> T:
        """Every statement of the connection waits here."""
        return super().wait(self._answered(gen), *args, **options)

    def _answered(self, gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        gives_up = time.monotonic() + self.patience
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() > gives_up:
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"the database has given no answer for {self.patience:g} s")
                wanted = gen.send(ready)
        except StopIteration as end:
            result: T = end.value
            return result


def check(connection: TimeoutConnection) -> None:
    """Finds out quickly whether a connection is of use still."""
    connection.patience = CHECK_SECONDS
    ConnectionPool.check_connection(connection)
    connection.patience = READ_SECONDS


# What PostgreSQL knows of its tables, kept fresh while they grow.
#
# A statement's plan is kept until its tables are looked at again. Made while they were empty, it goes through all of a
# message for each recipient: measured, a batch of 50 took minutes where it takes a millisecond. Autovacuum looks once a
# minute, if at all.


FIRST_ROWS = 1_000  # until then a bad plan costs little
MOST_ROWS = 200_000  # a look takes a tenth of a second: at full speed, less than 1 % of the time
_LOOK = "ANALYZE (SKIP_LOCKED) batches, deliveries, recipients, sealed_names, person_keys"


class PostgresStatistics:
    """Has the tables looked at when this process has put 1,000 rows into them, then 2,000, 4,000 and so on."""

    def __init__(self) -> None:
        self._rows = 0
        self._next = FIRST_ROWS

    def count(self, written: Sequence[Written]) -> bool:
        """Counts the recipients that were written; says whether it is time to look."""
        events = (recorded.event for one in written for recorded in one.recorded)
        self._rows += sum(len(event.recipients) for event in events if isinstance(event, BatchCreated))
        if self._rows < self._next:
            return False
        self._rows, self._next = 0, min(2 * self._next, MOST_ROWS)
        return True

    def look(self, connection: psycopg.Connection[DictRow]) -> None:
        """Looks at the tables. What was written stays written if that fails, so nobody hears of it but the log."""
        try:
            connection.execute(_LOOK)
        except psycopg.Error as error:
            logger.warning("statistics_not_taken", error=type(error).__name__)


WRITER_LOCK = 0x72656472  # "redr": every writer of the log takes it first
CHANNEL = "redrive_log"  # notified with each commit
POOL = READERS + 2  # connections that run queries: the readers', the follower's, and one for maintenance
CANCEL_SECONDS = 1.0  # for PostgreSQL to take the request to stop a statement
LOCK_SECONDS = 2
CONNECT_SECONDS = 2

_OPTIONS = f"-c lock_timeout={LOCK_SECONDS}s -c idle_in_transaction_session_timeout={LOCK_SECONDS}s"
_READER_OPTIONS = f"{_OPTIONS} -c default_transaction_isolation=repeatable\\ read -c default_transaction_read_only=on"
# What the writer looks for it always finds by an index. A plan made while a table was small would read all of it, and
# be kept while it grows.
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

# An attempt's row changes twice, and nothing that an index holds: with room on its page, no index is written again.
_ROOM_FOR_UPDATES = "ALTER TABLE deliveries SET (fillfactor = 60)"

# A statement that was prepared before its table got another column fails for as long as its session lasts ("cached plan
# must not change result type"): servers that are at work meanwhile connect anew, as after an outage.
_END_OTHER_SESSIONS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
      AND backend_type = 'client backend'
"""

Connection = psycopg.Connection[DictRow]
Cursor = psycopg.Cursor[DictRow]
C = TypeVar("C", bound=Connection)


class PostgresStore:
    """One PostgreSQL database."""

    away = (
        psycopg.OperationalError,
        psycopg.InterfaceError,
        psycopg.errors.ReadOnlySqlTransaction,
        psycopg.errors.IdleInTransactionSessionTimeout,  # this process was stopped in mid-transaction
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
            reconnect_timeout=LOCK_SECONDS,  # a later question tries anew; else its pauses grow with the outage
            check=check,
            open=True,
        )
        self._writer: TimeoutConnection | None = None
        self._statistics = PostgresStatistics()
        try:
            with self._locked() as c:
                if schema.bring_up(PostgresSql(c.connection), TABLES):
                    c.execute(_END_OTHER_SESSIONS)
                c.execute(_ROOM_FOR_UPDATES)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Lets the database go."""
        self._discard_writer()
        self._readers.close()

    @contextmanager
    def transaction(self, *, commit: bool) -> Iterator[Sql]:
        """A snapshot to read, or a change under the log's lock."""
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
        """The events of a stream in order."""
        with self._readers.connection() as connection:
            found = connection.execute(
                "SELECT * FROM stored_events WHERE originator_id = %s ORDER BY originator_version LIMIT %s",
                (stream, limit),
            )
            return [decode(stored(row)) for row in found]

    def recorded_in(self, streams: Sequence[str], after: int, limit: int | None) -> Sequence[RecordedEvent]:
        """Events of some streams in the log's order, after a position."""
        with self.transaction(commit=False) as sql:
            return recorded_in(sql, streams, position=sql.log_position, after=after, limit=limit)

    def recorded_after(self, position: int, limit: int, known: Collection[int] = ()) -> Sequence[RecordedEvent]:
        """Events of the whole log in order, after a position, but for those at positions that are known."""
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
        """The position of the log's last event; 0 when it is empty."""
        with self._readers.connection() as connection:
            row = connection.execute("SELECT MAX(notification_id) AS last FROM stored_events").fetchone()
            return (row and row["last"]) or 0

    def shadow(self, name: str) -> PostgresStaging:
        """Read models of their own, beside the live ones; raises StagingInUseError."""
        return PostgresStaging(self._connect(Connection), f"redrive_{name}", WRITER_LOCK)

    def write_together(self, group: Sequence[Commit]) -> Sequence[Written]:
        """Writes all of them in one transaction; raises what any of them raises, and then none is written."""
        with self._locked() as c, c.connection.pipeline():
            together = PostgresGroup(c.connection, group)
            written = [together.write(commit) for commit in group]
            together.end()
            if any(one.recorded for one in written):
                c.execute(f"NOTIFY {CHANNEL}")
        if self._statistics.count(written) and self._writer is not None:
            self._statistics.look(self._writer)
        return written

    @contextmanager
    def _locked(self) -> Iterator[Cursor]:
        """The one writing transaction of all processes; a connection that failed is not used again."""
        try:
            connection = self._writing_connection()
            with connection.transaction():
                c = connection.cursor()
                self._lock(c)
                yield c
        except self.away:
            self._discard_writer()
            raise

    def _lock(self, c: Cursor) -> None:
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
        """Whoever held the lock for so long is stopped or cut off: its transaction is ended, and rolls back."""
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
            self._writer.patience = WRITE_SECONDS
        return self._writer

    def _connect(self, kind: type[C], options: str = _OPTIONS) -> C:
        return kind.connect(
            self._url, row_factory=dict_row, autocommit=True, options=options, connect_timeout=CONNECT_SECONDS
        )

    def _discard_writer(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
