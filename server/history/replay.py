"""One message's read models, made anew from its events, apart from the live ones."""

import sqlite3
from collections.abc import Callable, Sequence
from threading import Lock
from typing import TypeVar

from eventsourcing.sqlite import SQLiteCursor

from projections import page_pauses, read_models
from projections.recorded import Recorded
from projections.sql import Micros, Sql
from projections.tally import Tally
from server.log.sqlite_connections import CACHED_STATEMENTS
from server.log.sqlite_sql import SqliteSql

T = TypeVar("T")

CACHE_KIB = 32 * 1024


class Replay:
    """Stands in a temporary file of SQLite's own, which is gone once it is closed. Every method blocks."""

    def __init__(self, message_id: str) -> None:
        self._message_id = message_id
        self._updated: Micros = 0
        self._in_use = Lock()
        self._file = sqlite3.connect(
            "", isolation_level=None, check_same_thread=False, cached_statements=CACHED_STATEMENTS
        )
        self._file.row_factory = sqlite3.Row
        self._file.execute("PRAGMA journal_mode = OFF")  # there is nothing to go back to
        self._file.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        read_models.create(self._sql())
        self._sql().execute(page_pauses.TABLE)  # stays empty: the log does not hold pauses

    def _sql(self) -> Sql:
        return SqliteSql(SQLiteCursor(self._file.cursor()))

    def apply(self, recorded: Sequence[Recorded]) -> None:
        """Goes on with some more events; a batch's come after those that planned it."""
        with self._in_use:
            tally, sql = Tally(), self._sql()
            self._file.execute("BEGIN")
            read_models.apply(sql, recorded, tally)
            tally.write(sql)
            self._keep_update_time(sql)
            self._file.execute("COMMIT")

    def _keep_update_time(self, sql: Sql) -> None:
        """The latest of all: batches come one after the other, and not in the order in which things happened."""
        found = sql.row("SELECT update_time FROM messages WHERE message_id = :id", {"id": self._message_id})
        self._updated = max(self._updated, found["update_time"] if found else 0)
        sql.execute("UPDATE messages SET update_time = :time", {"time": self._updated})

    def ask(self, query: Callable[[Sql], T]) -> T:
        """What a query finds in the read models."""
        with self._in_use:
            return query(self._sql())

    def close(self) -> None:
        """Lets the file go."""
        with self._in_use:
            self._file.close()
