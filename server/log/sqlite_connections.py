"""Connections to the database file."""

import sqlite3

from eventsourcing.sqlite import SQLiteConnection, SQLiteConnectionPool, SQLiteDatastore

from server.log.store import READERS

CACHED_STATEMENTS = 200  # all that the service says: none is prepared twice
POOL = READERS + 2  # connections that are kept: the readers', the writer's, and one for maintenance
CHECKPOINT_PAGES = 8_000  # of 4 KiB in the write-ahead log, before they are copied to their places


class CachingPool(SQLiteConnectionPool):
    """The library's own connections keep one prepared statement (9.5.6), which doubles the cost of an append."""

    def _create_connection(self) -> SQLiteConnection:
        connection = sqlite3.connect(
            self.db_name,
            check_same_thread=False,  # the pool lends a connection to one thread at a time
            isolation_level=None,
            cached_statements=CACHED_STATEMENTS,
            timeout=self.lock_timeout or 0,
        )
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA secure_delete = ON")  # a key that was destroyed leaves no trace in free space
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        return SQLiteConnection(sqlite_conn=connection, max_age=self.max_age)


class CachingDatastore(SQLiteDatastore):
    """The library's datastore over such connections; ids are texts."""

    def __init__(self, path: str, lock_timeout: int) -> None:
        super().__init__(path, lock_timeout=lock_timeout, originator_id_type="text")
        self.pool = CachingPool(db_name=path, lock_timeout=lock_timeout, pool_size=POOL)
